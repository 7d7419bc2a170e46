"""`manage.py delete_role ARN --plan`, then with `--name NAME` and what that showed: delete a managed role in AWS."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from roles.errors import NotFound
from roles.management.orders import OrderCommand
from roles.models import IamRole, ProvisioningRun
from roles.operations.delete_managed_role import delete_managed_role
from roles.values.arns import role_arn


class Command(OrderCommand):
    """Delete a role that the portal made and nobody uses any more."""

    help = (
        "Delete a managed role in AWS that nobody uses any more. Ends with 0 planned or deleted, 1 AWS says no or "
        "cannot be read, 2 bad input or not as it was seen."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the role, and its name to confirm it."""
        parser.add_argument("role", metavar="ARN", help="the role")
        parser.add_argument("--name", default="", help="the role's name, to confirm it")
        super().add_arguments(parser)

    def order(self, **options: Any) -> ProvisioningRun:
        """Queue the run that deletes it."""
        role = IamRole.named(role_arn(options["role"], field="role")).first()
        if role is None:
            raise NotFound(f"There is no role '{options['role']}'.", hint="Look at the ARN again.")
        return delete_managed_role(
            actor=self.actor, role=role, name=options["name"], reason=options["reason"], seen=options["seen"]
        )

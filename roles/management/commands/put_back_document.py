"""`manage.py put_back_document RUN --step N --resource ARN --plan`, then with what the plan showed: undo that step."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from roles.management.orders import OrderCommand
from roles.models import ProvisioningRun
from roles.operations.put_back_document import put_back_document
from roles.provisioning import kept


class Command(OrderCommand):
    """Put a document in AWS back to what it was before a run."""

    help = (
        "Put a document in AWS back to what it was before a run. Ends with 0 planned or put back, 1 AWS says no or "
        "cannot be read, 2 bad input or not as it was seen."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the run's step, and what of the document goes back."""
        parser.add_argument("run", metavar="RUN", type=int, help="the number of the run that replaced it")
        parser.add_argument("--step", metavar="NUMBER", type=int, required=True, help="the step's number, 1 to 6")
        parser.add_argument("--resource", metavar="ARN", required=True, help="what the step is about, as the run says")
        parser.add_argument(
            "--exactly", action="store_true", help="with the statements of others, which may be lost or come back"
        )
        parser.add_argument("--agree", action="store_true", help="you have read in the plan which, and mean that")
        super().add_arguments(parser)

    def order(self, **options: Any) -> ProvisioningRun:
        """Queue the run that puts it back."""
        return put_back_document(
            actor=self.actor,
            step=kept.step_named(options["run"], options["step"], options["resource"]),
            exactly=options["exactly"],
            agrees=options["agree"],
            reason=options["reason"],
            seen=options["seen"],
        )

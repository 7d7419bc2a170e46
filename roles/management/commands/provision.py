"""`manage.py provision --group NAME | --all [--plan] [--json]`: bring AWS in line now, or show what that would do."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from difflib import get_close_matches
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.db.models import Q

from roles import context
from roles.errors import PortalError
from roles.management.results import BAD_INPUT, FAILED, PLANNED, Result, reconciled
from roles.management.steps import StepLine
from roles.models import GroupRole, IamRole, UserGroup
from roles.models.choices import MappingState, RunStatus
from roles.provisioning import outbox, preview
from roles.provisioning.plan_page import plan_page

ACTOR = context.SystemActor("command:provision")
GROUPS_NAMED = 10


class Command(BaseCommand):
    """Provision the roles of one group, or of all."""

    help = "Bring AWS in line with the database for mapped roles. Ends with 0 in sync, 1 a step failed, 2 bad input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to provision and how to show it."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--group", metavar="NAME", help="the roles mapped to this user group")
        which.add_argument("--all", action="store_true", help="every mapped role")
        parser.add_argument("--plan", action="store_true", help="read AWS, show what would change, change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan or provision role after role, then show all of it."""
        group = _group(options["group"]) if options["group"] is not None else None
        result = Result()
        with context.use(context.RequestContext()):
            for role, mapping in _roles(group):
                if options["plan"]:
                    _plan(role, result)
                else:
                    _provision(role, mapping, result)
        self._show(result, as_json=options["json"])
        if result.is_failure:
            raise CommandError("\n".join(result.errors) or f"Status: {result.status}.", returncode=FAILED)

    def _show(self, result: Result, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(result.as_json(), indent=2, ensure_ascii=False))
            return
        for line in result.as_lines(otherwise="No role is mapped."):
            self.stdout.write(line)


def _group(name: str) -> UserGroup:
    found = UserGroup.objects.filter(name=name).first()
    if found is None:
        names = list(UserGroup.objects.order_by("name").values_list("name", flat=True))
        allowed = get_close_matches(name, names, n=GROUPS_NAMED, cutoff=0.5) or names[:GROUPS_NAMED]
        more = f" Allowed: {', '.join(allowed)}." if allowed else " There is none yet; import_config makes them."
        raise CommandError(f"There is no user group '{name}'.{more}", returncode=BAD_INPUT)
    return found


def _roles(group: UserGroup | None) -> list[tuple[IamRole, GroupRole | None]]:
    """Return the roles to provision: those mapped, and those whose removal is unfinished.

    With each comes the mapping to show its run under; none when all groups are concerned.
    """
    in_force = GroupRole.objects.in_force().values("pk")
    mappings = GroupRole.objects.filter(Q(pk__in=in_force) | Q(state=MappingState.REMOVING))
    if group is not None:
        mappings = mappings.filter(group=group)
    found: dict[IamRole, GroupRole | None] = {}
    for mapping in mappings.select_related("role__account").order_by("role__account__name", "role__name", "pk"):
        found[mapping.role] = mapping if group is not None else None
    return list(found.items())


def _plan(role: IamRole, result: Result) -> None:
    try:
        plan = preview.plan_now(role)
    except PortalError as error:
        result.add(RunStatus.FAILED.value, [], f"{role}: {error}")
        return
    steps = [StepLine.planned(row) for row in plan_page(plan).changes]
    blocked = [f"{role}: {change.blocked} {change.hint}".strip() for change in plan.changes if change.blocked]
    status = PLANNED if plan.writes else RunStatus.IN_SYNC.value
    result.add(RunStatus.FAILED.value if blocked else status, steps, "\n".join(blocked))


def _provision(role: IamRole, mapping: GroupRole | None, result: Result) -> None:
    with transaction.atomic():
        queued = outbox.queue_run(actor=ACTOR, role=role, trigger="command.provision", mapping=mapping)
    run = reconciled(queued.pk)
    error = f"{role}: {run.error} {run.hint}".strip() if run.error else ""
    if run.status == RunStatus.NEEDS_OWNER and not error:
        error = f"{role}: an account's owner has to apply the documents above; then provision again to check."
    result.add_run(run, error)

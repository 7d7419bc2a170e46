"""`manage.py provision --group NAME | --all`: bring AWS in line now; with `--plan`, show what that would do."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from roles import context
from roles.errors import PortalError, StalePlan
from roles.management.results import BAD_INPUT, FAILED, PLANNED, Result, reconciled
from roles.management.seen import Seen, add_options
from roles.management.steps import StepLine
from roles.models import GroupRole, IamRole, ProvisioningRun, UserGroup
from roles.models.choices import MappingState, RunStatus
from roles.operations.confirmed import confirmed
from roles.provisioning import desired, outbox, preview
from roles.provisioning.plan_page import plan_page
from roles.provisioning.resources import Change, Plan

ACTOR = context.SystemActor("command:provision")
GROUPS_NAMED = 10

Roles = list[tuple[IamRole, GroupRole | None]]


class Command(BaseCommand):
    """Provision the roles of one group, or of all."""

    help = (
        "Bring AWS in line with the database for mapped roles. Ends with 0 in sync, 1 a step failed, 2 bad input or "
        "not as it was seen."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take what to provision and how to show it."""
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--group", metavar="NAME", help="the roles mapped to this user group")
        which.add_argument("--all", action="store_true", help="every mapped role")
        parser.add_argument("--plan", action="store_true", help="read AWS, show what would change, change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan or provision role after role, then show all of it; what is not as it was seen is only planned."""
        seen = Seen.of(options)
        group = _group(options["group"]) if options["group"] is not None else None
        with context.use(context.RequestContext()):
            roles = _roles(group)
            if options["plan"]:
                self._end(*_planned(roles), as_json=options["json"])
                return
            if seen is not None:
                self._require(seen, roles, as_json=options["json"])
            try:
                runs = _queued(roles, seen)
            except StalePlan as error:
                self._refuse(str(error), *_planned(roles), as_json=options["json"])
            result = Result()
            for run in runs:
                _provision(run, result)
        self._end(result, None, as_json=options["json"])

    def _require(self, seen: Seen, roles: Roles, *, as_json: bool) -> None:
        """Go on if all is as it was seen; else show the new plan and end."""
        result, now = _planned(roles)
        if stale := seen.moved(now):
            self._refuse(stale, result, now, as_json=as_json)

    def _refuse(self, why: str, result: Result, now: Seen, *, as_json: bool) -> NoReturn:
        self._show(result, now, as_json=as_json)
        raise CommandError("\n".join((why, *result.errors)), returncode=BAD_INPUT)

    def _end(self, result: Result, shown: Seen | None, *, as_json: bool) -> None:
        self._show(result, shown, as_json=as_json)
        if result.is_failure:
            raise CommandError("\n".join(result.errors) or f"Status: {result.status}.", returncode=FAILED)

    def _show(self, result: Result, shown: Seen | None, *, as_json: bool) -> None:
        if as_json:
            answer = {**result.as_json(), **(asdict(shown) if shown else {})}
            self.stdout.write(json.dumps(answer, indent=2, ensure_ascii=False))
            return
        for line in result.as_lines(otherwise="No role is mapped."):
            self.stdout.write(line)
        if shown and shown.seen and result.status == PLANNED:
            self.stdout.write(shown.as_text())


def _group(name: str) -> UserGroup:
    found = UserGroup.objects.filter(name=name).first()
    if found is None:
        names = list(UserGroup.objects.order_by("name").values_list("name", flat=True))
        allowed = get_close_matches(name, names, n=GROUPS_NAMED, cutoff=0.5) or names[:GROUPS_NAMED]
        more = f" Allowed: {', '.join(allowed)}." if allowed else " There is none yet; import_config makes them."
        raise CommandError(f"There is no user group '{name}'.{more}", returncode=BAD_INPUT)
    return found


def _roles(group: UserGroup | None) -> Roles:
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


def _planned(roles: Roles) -> tuple[Result, Seen]:
    """Return what runs of these roles would do now, and what that is to be confirmed by."""
    result, changes = Result(), list[Change]()
    unread = sum(not _plan(role, result, changes) for role, _ in roles)
    digest = desired.digest_for(*(role for role, _ in roles))
    return result, Seen(digest, Plan(tuple(changes), digest).seen if not unread else "")


def _plan(role: IamRole, result: Result, changes: list[Change]) -> bool:
    """Add the plan of one role, and return whether AWS could be read."""
    try:
        plan = preview.plan_now(role)
    except PortalError as error:
        result.add(RunStatus.FAILED.value, [], f"{role}: {error}")
        return False
    changes += plan.changes
    steps = [StepLine.planned(row) for row in plan_page(plan).changes]
    blocked = [f"{role}: {change.blocked} {change.hint}".strip() for change in plan.changes if change.blocked]
    status = PLANNED if plan.writes else RunStatus.IN_SYNC.value
    result.add(RunStatus.FAILED.value if blocked else status, steps, "\n".join(blocked))
    return True


def _queued(roles: Roles, seen: Seen | None) -> list[ProvisioningRun]:
    """Queue a run for each role, all or none. Raises `StalePlan` when what is wished is not as it was seen."""

    def queue() -> list[ProvisioningRun]:
        return [
            outbox.queue_run(actor=ACTOR, role=role, trigger="command.provision", mapping=mapping)
            for role, mapping in roles
        ]

    return confirmed(actor=ACTOR, change=queue, expected_plan=seen.expected_plan if seen else "")


def _provision(queued: ProvisioningRun, result: Result) -> None:
    role = queued.role
    run = reconciled(queued.pk)
    error = f"{role}: {run.error} {run.hint}".strip() if run.error else ""
    if run.status == RunStatus.NEEDS_OWNER and not error:
        error = f"{role}: an account's owner has to apply the documents above; then provision again to check."
    result.add_run(run, error)

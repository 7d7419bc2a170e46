"""`manage.py scan_drift [--account NAME] [--json]`: compare AWS with the database now, and say what differs."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from roles import context
from roles.errors import PortalError
from roles.management.steps import StepLine, diffs, table
from roles.models import AwsAccount
from roles.operations.scan_drift import scan_drift
from roles.provisioning.culprits import Culprits
from roles.provisioning.differences import Difference
from roles.provisioning.drift import DriftReport

ACTOR = context.SystemActor("command:scan_drift")
DRIFTED, BAD_INPUT = 1, 2
ACCOUNTS_NAMED = 10


class Command(BaseCommand):
    """Look for drift in all accounts or in one."""

    help = (
        "Compare AWS with the database; changes nothing in AWS. Ends with 0 no drift, 1 drift or something that could "
        "not be read, 2 bad input."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take where to look and how to show it."""
        parser.add_argument("--account", metavar="NAME", help="the account of this name alone")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    def handle(self, *args: Any, **options: Any) -> None:
        """Compare, remember, show."""
        account = _account(options["account"]) if options["account"] is not None else None
        with context.use(context.RequestContext()):
            try:
                report = scan_drift(actor=ACTOR, account=account, who=Culprits())
            except PortalError as error:
                raise CommandError(str(error), returncode=DRIFTED) from error
        if options["json"]:
            self.stdout.write(json.dumps(_as_json(report), indent=2, ensure_ascii=False))
        else:
            self._show(report)
        if not report.is_clean:
            raise CommandError(_summary(report), returncode=DRIFTED)

    def _show(self, report: DriftReport) -> None:
        lines = [_line(one) for one in report.differences]
        for text in (*table(lines), *diffs(lines)) if lines else ("AWS is as the database wishes.",):
            self.stdout.write(text)
        for one in report.unread:
            self.stdout.write(f"Not read: {one.resource} in account {one.account_id}: {one.why}")
        for account_id in report.handoff:
            self.stdout.write(f"Not compared: account {account_id} is a handoff account, which the portal cannot read.")
        if report.under_way:
            self.stdout.write(f"Not compared: {report.under_way} steps that runs are about now.")


def _account(name: str) -> AwsAccount:
    found = AwsAccount.objects.filter(name=name).first()
    if found is None:
        names = list(AwsAccount.objects.order_by("name").values_list("name", flat=True))
        allowed = get_close_matches(name, names, n=ACCOUNTS_NAMED, cutoff=0.5) or names[:ACCOUNTS_NAMED]
        more = f" Allowed: {', '.join(allowed)}." if allowed else " There is none yet."
        raise CommandError(f"There is no account '{name}'.{more}", returncode=BAD_INPUT)
    return found


def _line(one: Difference) -> StepLine:
    kind, note = one.kind.value, one.note or None
    return StepLine(one.step, one.account_id, one.resource, kind, one.before, one.after, "drifted", note)


def _as_json(report: DriftReport) -> dict[str, Any]:
    return {
        "drift": [asdict(one) for one in report.differences],
        "unread": [asdict(one) for one in report.unread],
        "handoff": list(report.handoff),
        "under_way": report.under_way,
    }


def _summary(report: DriftReport) -> str:
    drifted, unread = len(report.differences), len(report.unread)
    return f"Drift at {drifted} steps; {unread} could not be read."

"""Try the way into an account."""

from __future__ import annotations

from typing import Any

from roles.history.recorder import record
from roles.models import AwsAccount
from roles.models.choices import Outcome
from roles.permissions import Rule, require
from roles.provisioning.connection import ConnectionReport, try_connection


def test_connection(*, actor: Any, account: AwsAccount) -> ConnectionReport:
    """Look into the account as a run would, and return in words what was found. Changes nothing in AWS.

    Takes seconds, outside of any transaction. Raises `NotPermitted`; what AWS says is in the report.
    """
    require(actor, Rule.MANAGE_ACCOUNTS, account)
    report = try_connection(account)
    record(
        "account.tested",
        actor=actor,
        subject=account,
        outcome=Outcome.OK if report.works else Outcome.FAILED,
        account_id=account.account_id,
        resource=report.identity,
        found=[one.code for one in report.remarks],
        missing=[f"{one.action} on {one.resource}" for one in report.missing],
        unknown=sorted({one.action for one in report.unknown}),
    )
    return report

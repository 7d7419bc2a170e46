"""Compare AWS with the database and remember what differs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from roles.history.recorder import record
from roles.models import AwsAccount
from roles.permissions import Rule, require
from roles.provisioning import findings, leases, outbox
from roles.provisioning.differences import Difference
from roles.provisioning.drift import DriftReport, compare
from roles.provisioning.others import remember_others

# Who may have done it, for somebody who can tell, e.g. from CloudTrail; empty is unknown.
Who = Callable[[Difference], str]
# Two who look at the same time find the same: one after the other, they open it once.
_FINDINGS = "xacct:drift-findings"


def ask_for_scan(*, actor: Any) -> bool:
    """Have a worker compare all accounts now, and return whether one can be told. Raises `NotPermitted`."""
    require(actor, Rule.REPAIR_DRIFT)
    record("drift.scan_asked", actor=actor)
    return outbox.send_scan()


def scan_drift(*, actor: Any, account: AwsAccount | None = None, who: Who | None = None) -> DriftReport:
    """Compare all accounts, or one, and return what was found; findings and the mappings' states follow from it.

    Reads AWS outside of any transaction and writes nothing there. Accounts that cannot be read are in the report, and
    what was found in them before stays as it is. `who` is asked about what is new and about what nobody could say of
    lately. Raises `NotPermitted`.
    """
    require(actor, Rule.REPAIR_DRIFT)
    report = compare(account)
    if who is not None and report.differences:
        unknown = findings.newest_without_a_name(report.differences)
        named = {index: who(report.differences[index]) for index in unknown}
        differences = (replace(one, done_by=named.get(index, "")) for index, one in enumerate(report.differences))
        report = replace(report, differences=tuple(differences))
    with leases.held(_FINDINGS):
        remember_others(report.others)
        findings.remember(report.differences, compared=report.compared, actor=actor)
    return report

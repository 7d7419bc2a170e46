"""Drift in AWS: accounts read in bulk, what somebody did there, and looking for it by one word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from roles.aws.inventory import AccountInventory, account_inventory
from roles.aws.sessions import AccountSession
from roles.context import SystemActor
from roles.models import GroupRole
from roles.models.choices import RunStatus
from roles.provisioning import drift, findings, snapshot
from roles.provisioning.drift import DriftReport
from tests import factories
from tests.provisioning.conftest import PROFILE_A, ROLE_A, ROLE_B, reconciled
from tests.strict_aws.watched import WatchedAws

SCANNER = SystemActor("test")


def read_in_bulk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of those accounts that are read in bulk from now on."""
    read: list[str] = []

    def inventory(session: AccountSession) -> AccountInventory:
        read.append(str(session.access.account_id))
        return account_inventory(session)

    monkeypatch.setattr(snapshot, "account_inventory", inventory)
    return read


def in_sync(procedure: factories.Procedure) -> GroupRole:
    """Return a mapping of the procedure's role that a run has brought in sync."""
    row = procedure.map()
    assert reconciled(row).status == RunStatus.IN_SYNC
    row.refresh_from_db()
    return row


def scanned(**options: Any) -> DriftReport:
    """Compare and remember, as the operation does."""
    report = drift.compare(**options)
    findings.remember(report.differences, compared=report.compared, actor=SCANNER)
    return report


def seen(report: DriftReport) -> list[tuple[str, int, str]]:
    return [(one.resource, one.step, one.kind.value) for one in report.differences]


def statement(document: dict[str, Any], start: str) -> dict[str, Any]:
    """Return the first statement whose Sid begins so."""
    found: dict[str, Any] = next(one for one in document["Statement"] if one["Sid"].startswith(start))
    return found


def with_policy(aws: WatchedAws, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """Write the bucket's policy with other statements."""
    document = aws.bucket_policies["example-data"]
    aws.bucket_policies["example-data"] = {**document, "Statement": change(document["Statement"])}


def drop(aws: WatchedAws, start: str) -> None:
    with_policy(aws, lambda found: [one for one in found if not one["Sid"].startswith(start)])


def change_listing(aws: WatchedAws) -> None:
    def narrowed(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "Action": "s3:GetObject"} if one["Sid"].startswith("XacctBucketObjects") else one

    with_policy(aws, lambda found: [narrowed(one) for one in found])


def remove_bucket_policy(aws: WatchedAws) -> None:
    del aws.bucket_policies["example-data"]


def take_ours_out(aws: WatchedAws) -> None:
    drop(aws, "Xacct")


def copy_statement(aws: WatchedAws) -> None:
    copy = {**statement(aws.bucket_policies["example-data"], "XacctBucketList"), "Sid": "XacctBucketCopy"}
    with_policy(aws, lambda found: [*found, copy])


def forget_trust(aws: WatchedAws) -> None:
    trust = aws.role(ROLE_B).trust
    kept = [one for one in trust["Statement"] if not one["Sid"].startswith("XacctTrustAttribution")]
    aws.role(ROLE_B).trust = {**trust, "Statement": kept}


def replace_source(aws: WatchedAws) -> None:
    """Delete the source role and make it again: the target trusts a role that there is no more."""
    aws.role(ROLE_A).replace()


def delete_target(aws: WatchedAws) -> None:
    aws.role(ROLE_B).delete()


def remove_policy(aws: WatchedAws) -> None:
    aws.role(ROLE_A).policies.clear()


def empty_profile(aws: WatchedAws) -> None:
    aws.set_profile(PROFILE_A)

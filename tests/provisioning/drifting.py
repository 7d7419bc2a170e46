"""Drift in the AWS in memory: accounts read in bulk, what somebody did there, and looking for it by one word."""

from __future__ import annotations

from typing import Any

import pytest

from roles.aws.inventory import AccountInventory, InventoriedRole
from roles.aws.sessions import AccountSession
from roles.context import SystemActor
from roles.models import GroupRole
from roles.models.choices import RunStatus
from roles.provisioning import drift, findings, snapshot
from roles.provisioning.drift import DriftReport
from tests import factories
from tests.fakes.aws import FakeAws
from tests.provisioning.conftest import ROLE_A, ROLE_B, reconciled

SCANNER = SystemActor("test")
DEAD = "AROAEXAMPLEDEADROLE01"


def read_in_bulk(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let accounts be read in bulk from the AWS in memory; return the list of those that are."""
    read: list[str] = []

    def inventory(session: AccountSession) -> AccountInventory:
        account = str(session.access.account_id)
        read.append(account)
        roles = {
            name.lower(): InventoriedRole(
                role.arn, f"AROA{name}", "/", role.tags, (), role.trust, role.policies, tuple(role.attached)
            )
            for (owner, name), role in aws.roles.items()
            if owner == account
        }
        profiles = {name.lower(): tuple(held) for (owner, name), held in aws.profiles.items() if owner == account}
        policies = {arn: one.document for arn, one in aws.managed.items() if f"::{account}:" in arn}
        return AccountInventory(account, roles, {name: held for name, held in profiles.items() if held}, policies)

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


def drop(document: dict[str, Any], start: str) -> None:
    document["Statement"] = [one for one in document["Statement"] if not one["Sid"].startswith(start)]


def change_listing(aws: FakeAws) -> None:
    statement(aws.bucket_policies["example-data"], "XacctBucketObjects")["Action"] = ["s3:GetObject"]


def remove_bucket_policy(aws: FakeAws) -> None:
    del aws.bucket_policies["example-data"]


def take_ours_out(aws: FakeAws) -> None:
    drop(aws.bucket_policies["example-data"], "Xacct")


def copy_statement(aws: FakeAws) -> None:
    copy = {**statement(aws.bucket_policies["example-data"], "XacctBucketList"), "Sid": "XacctBucketCopy"}
    aws.bucket_policies["example-data"]["Statement"].append(copy)


def forget_trust(aws: FakeAws) -> None:
    drop(aws.role(ROLE_B).trust, "XacctTrustAttribution")


def name_dead_role(aws: FakeAws) -> None:
    statement(aws.role(ROLE_B).trust, "XacctTrust")["Principal"] = {"AWS": DEAD}


def delete_target(aws: FakeAws) -> None:
    del aws.roles["222222222222", "MyRoleB"]


def remove_policy(aws: FakeAws) -> None:
    aws.role(ROLE_A).policies.clear()


def empty_profile(aws: FakeAws) -> None:
    aws.profiles["111111111111", "MyRoleA"] = []

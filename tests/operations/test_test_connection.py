from __future__ import annotations

import pytest

from roles.errors import NotPermitted
from roles.models import AuditEvent, User
from roles.operations import test_connection as operation
from roles.provisioning.connection import ConnectionReport, Permission, Verdict
from roles.provisioning.remarks import Remark, Tone
from tests.factories import Procedure
from tests.operations.conftest import event

ROLE = "arn:aws:iam::222222222222:role/MyRoleB"
IDENTITY = "arn:aws:sts::222222222222:assumed-role/xacct-provisioner/xacct-portal"
GOOD = Remark("identity.found", Tone.GOOD, "The portal gets in.")


def permission(action: str, verdict: Verdict) -> Permission:
    return Permission(action, ROLE, "something", verdict)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[ConnectionReport]:
    """What the test of the way in finds; it is asked once for each."""
    reports: list[ConnectionReport] = []
    monkeypatch.setattr(operation, "try_connection", lambda _account: reports.pop())
    return reports


def test_who_may_not_manage_accounts_is_refused(
    powerless: User, procedure: Procedure, tried: list[ConnectionReport]
) -> None:
    tried.append(ConnectionReport("222222222222"))
    with pytest.raises(NotPermitted) as refusal:
        operation.test_connection(actor=powerless, account=procedure.account_b)
    assert refusal.value.rule == "accounts.manage"
    assert len(tried) == 1
    assert not AuditEvent.objects.exists()


def test_what_was_found_is_returned_and_on_record(
    alice: User, procedure: Procedure, tried: list[ConnectionReport]
) -> None:
    permissions = (
        permission("iam:GetRole", Verdict.ALLOWED),
        permission("iam:CreateRole", Verdict.MISSING),
        permission("iam:TagRole", Verdict.UNKNOWN),
    )
    tried.append(ConnectionReport("222222222222", IDENTITY, (GOOD,), permissions))
    report = operation.test_connection(actor=alice, account=procedure.account_b)
    assert not report.works
    found = event("account.tested")
    assert (found.actor_name, found.outcome, found.account_id) == ("alice", "failed", "222222222222")
    assert (found.subject_name, found.resource) == ("bucket-owner (222222222222)", IDENTITY)
    assert found.details == {
        "found": ["identity.found"],
        "missing": [f"iam:CreateRole on {ROLE}"],
        "unknown": ["iam:TagRole"],
    }


def test_a_way_in_that_works_is_on_record_as_done(
    alice: User, procedure: Procedure, tried: list[ConnectionReport]
) -> None:
    tried.append(ConnectionReport("222222222222", IDENTITY, (GOOD,)))
    assert operation.test_connection(actor=alice, account=procedure.account_b).works
    assert event("account.tested").outcome == "ok"

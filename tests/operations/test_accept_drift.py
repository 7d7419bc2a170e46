from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from roles.errors import Conflict, NotPermitted
from roles.models import AssumeRoleGrant, BucketGrant, DriftFinding, GroupRole, IamRole, User
from roles.operations.accept_drift import accept_drift
from roles.policies.builders import bucket_statements, trust_statements
from roles.policies.document import PolicyDocument, Statement
from roles.values.arns import AccessLevel
from tests import factories
from tests.factories import Procedure
from tests.operations.conftest import event, traces

Statements = tuple[Statement, ...]
THEIRS = Statement({"Sid": "PartnerReads", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"})


def document(*statements: Statement) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(PolicyDocument((THEIRS, *statements)).as_json())
    return found


def grant(procedure: Procedure, level: str = "READWRITE", prefix: str = "", role: IamRole | None = None) -> Statements:
    holder = role or procedure.role_b
    return bucket_statements(holder.arn, procedure.bucket.arn, AccessLevel(level), prefix)


def at_the_bucket(procedure: Procedure, *before: Statement, **given: Any) -> DriftFinding:
    """Return the finding that the bucket has `before` where the procedure's grant is wished for."""
    fields = {"kind": "changed", "after": document(*grant(procedure)), **given}
    arn, account = str(procedure.bucket.arn), "222222222222"
    return DriftFinding.objects.create(
        bucket=procedure.bucket, account_id=account, resource=arn, step=6, before=document(*before), **fields
    )


def at_the_target(procedure: Procedure, *before: Statement, **given: Any) -> DriftFinding:
    """Return the finding that the target role trusts as in `before` where the procedure's trust is wished for."""
    wished = trust_statements([procedure.role_a.arn], attribution=True)
    fields = {"kind": "changed", "step": 5, "after": document(*wished), **given}
    role = procedure.role_b
    return DriftFinding.objects.create(
        role=role, account_id="222222222222", resource=str(role.arn), before=document(*before), **fields
    )


def open_grants() -> set[tuple[str, str, str]]:
    rows = BucketGrant.objects.open().select_related("role")
    return {(row.role.name, row.access, row.prefix) for row in rows}


# --- refused ---


def test_who_may_not_accept_is_refused(procedure: Procedure, powerless: User) -> None:
    procedure.map()
    with pytest.raises(NotPermitted) as refusal:
        accept_drift(actor=powerless, finding=at_the_bucket(procedure, *grant(procedure, "READ")))
    assert refusal.value.rule == "drift.repair"
    assert traces() == (0, 0)


def test_what_is_resolved_is_not_accepted(procedure: Procedure, alice: User) -> None:
    procedure.map()
    finding = at_the_bucket(procedure, *grant(procedure, "READ"))
    DriftFinding.objects.update(resolved_at=timezone.now(), resolution="gone")
    with pytest.raises(Conflict, match="resolved already"):
        accept_drift(actor=alice, finding=finding)
    assert traces() == (0, 0)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("boundary", "role's page"),
        ("stale", "was deleted"),
        ("foreign_stale", "somebody else"),
        ("not_ours", "not the portal's"),
    ],
)
def test_what_no_row_can_mean_is_not_accepted_and_says_why(
    kind: str, why: str, procedure: Procedure, alice: User
) -> None:
    procedure.map()
    with pytest.raises(Conflict, match=why):
        accept_drift(actor=alice, finding=at_the_bucket(procedure, kind=kind))


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_what_the_procedure_always_has_is_not_accepted(step: int, procedure: Procedure, alice: User) -> None:
    procedure.map()
    with pytest.raises(Conflict, match="cannot be accepted"):
        accept_drift(actor=alice, finding=at_the_target(procedure, step=step))
    assert traces() == (0, 0)


def changed(statement: Statement, **changes: Any) -> Statement:
    return Statement({**statement.body, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"Action": ["s3:GetObject", "s3:GetObjectVersion"]},
        {"Resource": "arn:aws:s3:::example-data/team*"},
        {"Resource": "arn:aws:s3:::example-data/a/../b/*"},
        {"Resource": "arn:aws:s3:::other-data/*"},
        {"Principal": {"AWS": ["arn:aws:iam::999999999999:role/Stranger"]}},
        {"Principal": "*"},
        {"Condition": {"Bool": {"aws:SecureTransport": "true"}}},
        {"Effect": "Deny"},
    ],
)
def test_a_statement_that_no_grant_says_is_not_accepted(
    changes: dict[str, Any], procedure: Procedure, alice: User
) -> None:
    procedure.map()
    listing, objects = grant(procedure)
    with pytest.raises(Conflict, match="no words for"):
        accept_drift(actor=alice, finding=at_the_bucket(procedure, listing, changed(objects, **changes)))
    assert traces() == (0, 0)
    assert open_grants() == {("MyRoleB", "READWRITE", "")}


def test_half_a_grant_is_not_accepted(procedure: Procedure, alice: User) -> None:
    procedure.map()
    with pytest.raises(Conflict, match="no words for"):
        accept_drift(actor=alice, finding=at_the_bucket(procedure, grant(procedure)[0]))


def test_a_grant_to_a_role_that_no_mapping_reaches_is_not_accepted_and_nothing_is_begun(
    procedure: Procedure, alice: User
) -> None:
    procedure.map()
    other = factories.IamRoleFactory(account=procedure.account_b, name="Unreached")
    before = (*grant(procedure), *grant(procedure, role=other))
    with pytest.raises(Conflict, match="cannot say exactly"):
        accept_drift(actor=alice, finding=at_the_bucket(procedure, *before, kind="extra"))
    assert traces() == (0, 0)
    assert open_grants() == {("MyRoleB", "READWRITE", "")}


def test_trust_in_a_stranger_is_not_accepted(procedure: Procedure, alice: User) -> None:
    procedure.map()
    trust, attribution = trust_statements([procedure.role_a.arn], attribution=True)
    principal = {"AWS": [str(procedure.role_a.arn), "arn:aws:iam::999999999999:role/Stranger"]}
    with pytest.raises(Conflict, match="no words for"):
        accept_drift(actor=alice, finding=at_the_target(procedure, changed(trust, Principal=principal), attribution))
    assert traces() == (0, 0)


# --- accepted ---


@pytest.mark.parametrize(("level", "prefix"), [("READ", ""), ("WRITE", ""), ("READWRITE", "team/raw/"), ("READ", "x/")])
def test_another_level_or_prefix_becomes_the_grant(level: str, prefix: str, procedure: Procedure, alice: User) -> None:
    GroupRole.objects.filter(pk=procedure.map().pk).update(state="drifted")
    finding = at_the_bucket(procedure, *grant(procedure, level, prefix))
    row = accept_drift(actor=alice, finding=finding, reason="OPS-12")
    assert (row.is_open, row.resolution) == (False, "accepted")
    assert open_grants() == {("MyRoleB", level, prefix)}
    assert BucketGrant.objects.count() == 2
    accepted = event("drift.accepted")
    assert (accepted.actor_name, accepted.resource) == ("alice", str(procedure.bucket.arn))
    assert accepted.details["reason"] == "OPS-12"
    assert event("bucket_grant.added").details["reason"] == "OPS-12"


def test_statements_that_kept_their_sids_when_the_prefix_changed_are_understood(
    procedure: Procedure, alice: User
) -> None:
    procedure.map()
    old = {statement.sid[:13]: statement.sid for statement in grant(procedure, prefix="old/")}
    moved = [changed(one, Sid=old[one.sid[:13]]) for one in grant(procedure, prefix="new/")]
    BucketGrant.objects.update(prefix="old/")
    accept_drift(
        actor=alice, finding=at_the_bucket(procedure, *moved, after=document(*grant(procedure, prefix="old/")))
    )
    assert open_grants() == {("MyRoleB", "READWRITE", "new/")}


def test_a_grant_that_was_taken_out_in_aws_ends(procedure: Procedure, alice: User) -> None:
    procedure.map()
    accept_drift(actor=alice, finding=at_the_bucket(procedure, kind="missing"))
    assert open_grants() == set()
    assert event("bucket_grant.ended").details["reason"].startswith("Accepted from AWS")


def test_attribution_that_was_taken_out_in_aws_is_switched_off(procedure: Procedure, alice: User) -> None:
    procedure.map()
    trust, _ = trust_statements([procedure.role_a.arn], attribution=True)
    accept_drift(actor=alice, finding=at_the_target(procedure, trust, kind="missing"))
    procedure.role_b.refresh_from_db()
    assert procedure.role_b.attribution is False
    assert event("role.changed").after == {**(event("role.changed").before or {}), "attribution": False}
    assert AssumeRoleGrant.objects.open().count() == 1


def test_a_source_role_that_was_taken_out_of_the_trust_loses_its_grant(procedure: Procedure, alice: User) -> None:
    procedure.map()
    other = factories.IamRoleFactory(account=procedure.account_a, name="Other")
    factories.AssumeRoleGrantFactory(source=other, target=procedure.role_b)
    factories.GroupRoleFactory(role=other)
    both = trust_statements([procedure.role_a.arn, other.arn], attribution=True)
    before = trust_statements([procedure.role_a.arn], attribution=True)
    accept_drift(actor=alice, finding=at_the_target(procedure, *before, after=document(*both)))
    assert [row.source for row in AssumeRoleGrant.objects.open()] == [procedure.role_a]


def test_mappings_are_in_sync_again_when_nothing_else_is_open(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map()
    finding = at_the_bucket(procedure, *grant(procedure, "READ"))
    GroupRole.objects.update(state="drifted")
    accept_drift(actor=alice, finding=finding)
    mapping.refresh_from_db()
    assert mapping.state == "in_sync"


def test_cleaning_up_uploads_that_was_added_in_aws_becomes_the_grant(procedure: Procedure, alice: User) -> None:
    procedure.map()
    more = bucket_statements(procedure.role_b.arn, procedure.bucket.arn, AccessLevel.READWRITE, "", uploads=True)
    accept_drift(actor=alice, finding=at_the_bucket(procedure, *more))
    (row,) = BucketGrant.objects.open()
    assert row.multipart_cleanup and row.access == "READWRITE"


def test_what_a_roles_own_policy_gives_is_not_accepted(procedure: Procedure, alice: User) -> None:
    finding = at_the_target(procedure, step=6)
    with pytest.raises(Conflict, match="follows from its grants"):
        accept_drift(actor=alice, finding=finding)
    assert finding.is_open

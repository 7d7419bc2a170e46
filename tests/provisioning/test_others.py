"""Inline policies of others on adopted roles share the 10,240 characters with ours."""

from __future__ import annotations

from typing import Any

import pytest

from roles.models import IamRole
from roles.models.choices import RoleOwnership, RunStatus
from roles.operations.scan_drift import scan_drift
from roles.policies import limits
from roles.policies.document import parse
from roles.provisioning import preview
from roles.provisioning.fill import fill_of_bucket, fill_of_role
from roles.provisioning.plan_page import plan_page
from tests import factories
from tests.provisioning.conftest import ROLE_A, ROLE_B, reconciled, sids
from tests.provisioning.drifting import read_in_bulk
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db


def theirs(characters: int) -> dict[str, Any]:
    """Return a policy of somebody else's of so many characters, as IAM counts."""
    statement = {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    statement["Resource"] += "x" * (characters - limits.measure_inline_policies(parse(policy)))
    assert limits.measure_inline_policies(parse(policy)) == characters
    return policy


def adopted(aws: WatchedAws, procedure: factories.Procedure, characters: int = 0) -> IamRole:
    """Let MyRoleA be an adopted role on which others have a policy of so many characters."""
    procedure.role_a.ownership = RoleOwnership.ADOPTED
    procedure.role_a.save()
    role = aws.add_role(ROLE_A)
    if characters:
        role.policies["theirs"] = theirs(characters)
    return procedure.role_a


def test_what_others_leave_no_room_for_is_in_managed_policies(aws: WatchedAws, procedure: factories.Procedure) -> None:
    role = adopted(aws, procedure, 9_000)
    run = reconciled(procedure.map())
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert sids(aws.role(ROLE_A).policies["xacct-portal"]) == ["XacctPassRole"]
    assert len(aws.role(ROLE_A).attached) == 1
    role.refresh_from_db()
    assert role.inline_of_others == 9_000
    (_, inline, managed) = fill_of_role(role)
    assert (inline.limit, managed.used) == (216, 1) and "9,000" in inline.note


def test_what_others_leave_room_for_stays_inline(aws: WatchedAws, procedure: factories.Procedure) -> None:
    adopted(aws, procedure, 4_000)
    assert reconciled(procedure.map()).status == RunStatus.IN_SYNC
    assert len(sids(aws.role(ROLE_A).policies["xacct-portal"])) > 1
    assert aws.role(ROLE_A).attached == []


def test_where_others_leave_no_room_at_all_the_plan_says_so_and_nothing_is_written(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    role = adopted(aws, procedure, 10_200)
    mapping = procedure.map()
    run = reconciled(mapping)
    assert run.status == RunStatus.FAILED and "beside 10,200 in those of others" in run.error
    assert "make managed policies" in run.hint and "put_role_policy" not in aws.writes
    rows = [row for row in plan_page(preview.plan_now(role)).changes if row.blocked]
    assert {(row.resource, row.limit) for row in rows} == {(ROLE_A, 0)}


def test_a_preview_warns_of_what_the_portal_did_not_know_and_stores_nothing(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    role = adopted(aws, procedure, 9_000)
    mapping = procedure.map()
    said = [text for change in preview.plan_now(role).changes for text in change.warnings if "Others have" in text]
    assert said and "9,000" in said[0]
    role.refresh_from_db()
    assert role.inline_of_others == 0
    reconciled(mapping)
    assert not [text for change in preview.plan_now(role).changes for text in change.warnings if "Others have" in text]


def test_a_comparison_learns_it_from_what_it_reads_anyhow(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_bulk(monkeypatch)
    role = adopted(aws, procedure)
    reconciled(procedure.map())
    aws.role(ROLE_A).policies["theirs"] = theirs(3_000)
    aws.calls.clear()
    assert scan_drift(actor=factories.portal_admin()).is_clean
    role.refresh_from_db()
    assert role.inline_of_others == 3_000
    assert "role_policies" not in [call.name for call in aws.calls]


def test_nothing_is_read_for_a_managed_role(aws: WatchedAws, procedure: factories.Procedure) -> None:
    aws.add_role(ROLE_A, **{"xacct-portal": "managed"}).policies["theirs"] = theirs(10_200)
    run = reconciled(procedure.map())
    assert "role_policies" not in [call.name for call in aws.calls]
    # AWS is the one that refuses then, and its hint does not send anybody after a quota that is fixed.
    assert run.error_code == "aws.limit_exceeded" and "raises this limit for nobody" in run.hint


def test_gauges_count_the_statements_of_others(aws: WatchedAws, procedure: factories.Procedure) -> None:
    alone = fill_of_bucket(procedure.bucket)[0].used
    policy = aws.bucket_policies["example-data"]
    while limits.measure_bucket_policy(parse(policy)) < 0.95 * limits.BUCKET_POLICY_MAX_BYTES:
        policy["Statement"].append({**policy["Statement"][0], "Sid": f"Partner{len(policy['Statement'])}"})
    aws.bucket_policies["example-data"] = policy
    reconciled(procedure.map())
    (bucket,) = fill_of_bucket(procedure.bucket)
    assert bucket.used > 0.9 * bucket.limit > alone
    (trust, *_) = fill_of_role(procedure.role_b)
    without = trust.used
    role = aws.role(ROLE_B)
    extra = {"Sid": "Ec2", "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    role.trust = {**role.trust, "Statement": [*role.trust["Statement"], extra]}
    reconciled(procedure.role_a)
    assert fill_of_role(procedure.role_b)[0].used > without

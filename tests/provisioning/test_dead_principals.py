"""Statements that name an identity which was deleted: AWS takes no document with one, whosever it is."""

from __future__ import annotations

import json

import pytest

from roles.models.choices import RunStatus
from roles.provisioning import preview
from roles.provisioning.resources import Change
from tests import factories
from tests.provisioning.conftest import BUCKET, ROLE_A, ROLE_B, Clock, reconciled
from tests.strict_aws.watched import PARTNER, WatchedAws, foreign

pytestmark = pytest.mark.django_db
PARTNER_MAY_ASSUME = foreign("PartnerAssumes", Principal={"AWS": PARTNER})


def blocked(procedure: factories.Procedure) -> list[Change]:
    return [change for change in preview.plan_now(procedure.role_a).changes if change.blocked]


def test_one_in_a_bucket_policy_of_others_is_said_before_anything_of_it_is_written(
    aws: WatchedAws, procedure: factories.Procedure, clock: Clock
) -> None:
    dead = aws.role(PARTNER).unique_id
    aws.role(PARTNER).delete()
    before = aws.bucket_policies["example-data"]
    mapping = procedure.map()
    (planned,) = blocked(procedure)
    assert (planned.resource, planned.writes) == (BUCKET, True)
    run = reconciled(mapping)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "conflict.blocked")
    assert "'PartnerReads'" in run.error and dead in run.error and "Ask the owner" in run.hint
    assert run.error == planned.blocked
    assert "put_bucket_policy" not in aws.writes
    assert aws.bucket_policies["example-data"] == before
    assert clock.now == 0  # nothing was waited for
    # Once its owner has removed it, the same run goes through.
    del aws.bucket_policies["example-data"]
    assert reconciled(mapping).status == RunStatus.IN_SYNC


def test_one_in_a_trust_policy_of_others_is_said_before_anything_of_it_is_written(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    trust = {"Version": "2012-10-17", "Statement": [PARTNER_MAY_ASSUME]}
    role = aws.add_role(ROLE_B, trust, **{"xacct-portal": "managed"})
    aws.role(PARTNER).delete()
    before = role.trust
    run = reconciled(procedure.map())
    assert run.status == RunStatus.FAILED and "'PartnerAssumes'" in run.error
    assert role.trust == before


def test_one_in_a_document_that_needs_no_write_blocks_nothing(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    aws.role(PARTNER).delete()
    assert "AROA" in json.dumps(aws.bucket_policies["example-data"])
    assert blocked(procedure) == []
    aws.calls.clear()
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert aws.writes == []


def test_one_in_a_statement_of_ours_is_healed(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    whole = aws.role(ROLE_B).trust
    aws.role(ROLE_A).replace()
    assert "AROA" in json.dumps(aws.role(ROLE_B).trust)
    assert blocked(procedure) == []
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert aws.role(ROLE_B).trust == whole

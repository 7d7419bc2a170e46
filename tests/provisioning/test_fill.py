"""How full documents are by what the database wishes."""

from __future__ import annotations

import pytest

from roles.policies import limits
from roles.policies.document import parse
from roles.provisioning.fill import Fill, fill_of_bucket, fill_of_role
from tests import factories
from tests.provisioning.conftest import reconciled
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db


def used(fills: tuple[Fill, ...]) -> dict[str, int]:
    return {one.name: one.used for one in fills}


def test_nothing_granted_uses_nothing() -> None:
    assert set(used(fill_of_role(factories.IamRoleFactory())).values()) == {0}
    assert used(fill_of_bucket(factories.BucketFactory())) == {"Bucket policy": 0}


def test_what_is_granted_counts_before_anybody_uses_it_and_is_what_a_run_writes(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    before = used(fill_of_role(procedure.role_a))
    run = reconciled(procedure.map())
    written, more = (run.steps.get(step=number).after for number in (2, 3))
    written["Statement"] += more["Statement"][len(written["Statement"]) :]
    assert before == used(fill_of_role(procedure.role_a))
    assert before["Inline policy"] == limits.measure_inline_policies(parse(written)) > 0


def test_a_target_fills_its_trust_policy(procedure: factories.Procedure) -> None:
    (trust, inline, managed) = fill_of_role(procedure.role_b)
    assert trust.used > 0 and (inline.used, managed.used) == (0, 0)
    assert (trust.limit, inline.limit, managed.limit) == (2_048, 5_120, 10)


def test_grants_fill_the_buckets_policy_or_the_roles_own(procedure: factories.Procedure) -> None:
    assert used(fill_of_bucket(procedure.bucket))["Bucket policy"] > 0
    procedure.bucket.grants_in_identity_policy = True
    procedure.bucket.save()
    (bucket,) = fill_of_bucket(procedure.bucket)
    assert bucket.used == 0 and "own policies" in bucket.note
    assert used(fill_of_role(procedure.role_b))["Inline policy"] > 0


def test_a_document_that_does_not_fit_says_so() -> None:
    fits, nearly, over = (Fill("x", size, 100, "bytes") for size in (50, 80, 101))
    assert [one.is_over for one in (fits, nearly, over)] == [False, False, True]
    assert (over.percent, nearly.used >= nearly.high, fits.used >= fits.high) == (101, True, False)

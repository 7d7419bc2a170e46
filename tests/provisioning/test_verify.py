"""Step 7 is done as a member would: as the source role, into the target, at the bucket."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from roles.aws import sts
from roles.errors import AwsAccessDenied
from roles.provisioning.verify import Verifier
from tests.provisioning.conftest import BUCKET, DENIED, ROLE_A, ROLE_B
from tests.provisioning.test_plan import access
from tests.strict_aws.watched import PORTAL, WatchedAws

PORTAL_ITSELF = "arn:aws:sts::111111111111:assumed-role/MyRoleA/i-0123456789"


@pytest.fixture
def ready(aws: WatchedAws) -> WatchedAws:
    """An AWS in which everything is in place."""
    source = aws.add_role(ROLE_A, _trust(PORTAL))
    source.policies["p"] = _document(Action="sts:AssumeRole", Resource=ROLE_B)
    aws.add_role(ROLE_B, _trust(ROLE_A))
    aws.bucket_policies["example-data"] = _document(
        Principal={"AWS": ROLE_B}, Action=["s3:ListBucket", "s3:GetBucketLocation"], Resource=BUCKET
    )
    return aws


def _document(**statement: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


def _trust(principal: str) -> dict[str, Any]:
    return _document(Principal={"AWS": principal}, Action="sts:AssumeRole")


def names(aws: WatchedAws) -> list[tuple[str, str]]:
    return [(call.name, call.about) for call in aws.calls]


def test_an_access_that_one_document_does_not_give_is_refused(ready: WatchedAws) -> None:
    del ready.bucket_policies["example-data"]
    with pytest.raises(AwsAccessDenied, match="ListObjectsV2 on arn:aws:s3:::example-data"):
        Verifier().check(access())


def test_an_access_is_used_through_both_roles(ready: WatchedAws) -> None:
    assert Verifier().check(access())
    assert names(ready) == [("assume_role", ROLE_A), ("assume_role", ROLE_B), ("list_prefix", "example-data")]


def test_a_write_only_access_asks_for_the_region_and_writes_nothing(ready: WatchedAws) -> None:
    Verifier().check(access(reads=False))
    assert names(ready)[-1][0] == "get_bucket_location"


def test_the_source_role_is_assumed_once_and_the_target_for_each_access(ready: WatchedAws) -> None:
    verifier = Verifier()
    verifier.check(access())
    verifier.check(access())
    assert [about for name, about in names(ready) if name == "assume_role"] == [ROLE_A, ROLE_B, ROLE_B]


def test_a_source_role_that_was_refused_is_tried_again_and_never_skipped(ready: WatchedAws) -> None:
    verifier = Verifier()
    ready.fail_times["assume_role"] = [DENIED, DENIED]
    for _ in range(2):
        with pytest.raises(AwsAccessDenied):
            verifier.check(access())
    verifier.check(access())
    assert [about for name, about in names(ready) if name == "assume_role"] == [ROLE_A, ROLE_A, ROLE_A, ROLE_B]


def test_credentials_near_their_end_are_not_used(ready: WatchedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    real = sts.assume_role

    def short(*args: Any, **more: Any) -> Any:
        return replace(real(*args, **more), expires_at=datetime.now(UTC) + timedelta(seconds=30))

    monkeypatch.setattr(sts, "assume_role", short)
    verifier = Verifier()
    verifier.check(access())
    verifier.check(access())
    assert [about for name, about in names(ready) if name == "assume_role"] == [ROLE_A, ROLE_B] * 2


def test_a_portal_that_is_the_source_role_assumes_the_target_at_once(
    ready: WatchedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sts, "caller_arn", lambda **_: PORTAL_ITSELF)
    ready.role(ROLE_B).trust = _trust(PORTAL)  # who AWS takes us for
    Verifier().check(access())
    assert names(ready) == [("assume_role", ROLE_B), ("list_prefix", "example-data")]


def test_the_sessions_of_a_check_can_look_and_nothing_else(ready: WatchedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    policies: list[str] = []
    real = sts.assume_role

    def noting(request: sts.AssumeRoleRequest, **more: Any) -> Any:
        policies.append(request.policy)
        return real(request, **more)

    monkeypatch.setattr(sts, "assume_role", noting)
    Verifier().check(access())
    assert policies[0] == ""
    assert "s3:ListBucket" in policies[1] and "Object" not in policies[1]

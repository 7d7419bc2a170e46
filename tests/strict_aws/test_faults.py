"""Injected faults: at a rate, at a call's number; before AWS does as told, and after."""

from __future__ import annotations

import time
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError

from tests.strict_aws.layer.faults import Dropped, Faults, Kind
from tests.strict_aws.layer.message import Request
from tests.strict_aws.world import OWNER, Aws, answer, document, text, trust

TRUST = text(document(trust(OWNER)))
READ = Request("POST", "/", {"Authorization": "Credential=x/20260101/us-east-1/iam/aws4_request"}, b"Action=GetRole")


def create(aws: Aws) -> Any:
    return aws.root("iam", OWNER).create_role(RoleName="Fresh", AssumeRolePolicyDocument=TRUST)


def is_there(aws: Aws) -> bool:
    return answer(lambda: aws.root("iam", OWNER).get_role(RoleName="Fresh")) == "ok"


@pytest.mark.parametrize(
    ("kind", "status", "iam_code", "s3_code"),
    [
        (Kind.THROTTLED, 400, "Throttling", "SlowDown"),
        (Kind.INTERNAL, 500, "InternalFailure", "InternalError"),
        (Kind.UNAVAILABLE, 503, "ServiceUnavailable", "ServiceUnavailable"),
        (Kind.CONFLICT, 409, "ConcurrentModification", "OperationAborted"),
    ],
)
def test_error_answers_have_each_services_own_code(
    aws: Aws, kind: Kind, status: int, iam_code: str, s3_code: str
) -> None:
    aws.strict.faults.clear()
    aws.strict.faults.at_call(1, kind)
    aws.strict.faults.at_call(2, kind)
    with pytest.raises(ClientError) as refused:
        create(aws)
    assert refused.value.response["Error"]["Code"] == iam_code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert answer(lambda: aws.root("s3", OWNER).create_bucket(Bucket="fresh-data")) == s3_code
    assert not is_there(aws)
    assert answer(lambda: create(aws)) == "ok"


@pytest.mark.parametrize(
    ("kind", "happened"),
    [(Kind.RESET, False), (Kind.LOST_RESET, True), (Kind.TIMEOUT, False), (Kind.LOST_TIMEOUT, True)],
)
def test_lost_answers_leave_the_caller_in_doubt(aws: Aws, kind: Kind, happened: bool) -> None:
    aws.strict.faults.clear()
    aws.strict.faults.at_call(1, kind)
    with pytest.raises(HTTPClientError):
        create(aws)
    assert is_there(aws) is happened


def test_time_outs_over_http_are_the_clients_own(over_ministack: Aws) -> None:
    session: Any = boto3.session.Session()
    hasty = session.client(
        "iam",
        region_name="us-east-1",
        endpoint_url=over_ministack.endpoint_url,
        aws_access_key_id=OWNER,
        aws_secret_access_key="root",
        config=Config(read_timeout=0.1, retries={"total_max_attempts": 1}),
    )
    over_ministack.strict.faults.at_call(1, Kind.TIMEOUT)
    began = time.monotonic()
    with pytest.raises(HTTPClientError, match="Read timeout"):
        hasty.list_roles()
    assert time.monotonic() - began < 1
    assert answer(over_ministack.root("iam", OWNER).list_roles) == "ok"


def test_botocores_retries_are_calls_of_their_own(over_moto: Aws) -> None:
    session: Any = boto3.session.Session()
    iam = session.client(
        "iam",
        region_name="us-east-1",
        aws_access_key_id=OWNER,
        aws_secret_access_key="root",
        config=Config(retries={"mode": "standard", "total_max_attempts": 3}),
    )
    over_moto.strict.faults.at_call(1, Kind.THROTTLED)
    over_moto.strict.faults.at_call(2, Kind.RESET)
    iam.list_roles()
    assert (over_moto.strict.faults.calls, over_moto.strict.faults.struck) == (3, 2)


def test_rate_is_kept_and_repeats_with_its_seed() -> None:
    def struck(seed: int) -> list[str]:
        faults = Faults()
        faults.at_rate(0.3, seed=seed)
        found = [faults.next(READ) for _ in range(2_000)]
        return [fault.kind.value if fault else "" for fault in found]

    first = struck(1)
    assert 450 < sum(map(bool, first)) < 650  # 600, less the conflicts that readers are spared
    assert first == struck(1) != struck(2)
    assert set(first) - {""} == {kind.value for kind in Kind} - {"conflict"}


def test_only_the_wished_for_kinds_strike() -> None:
    faults = Faults()
    faults.at_rate(1.0, Kind.RESET)
    fault = faults.next(READ)
    assert fault is not None
    with pytest.raises(Dropped, match="reset"):
        fault.strike(READ)
    faults.clear()
    assert faults.next(READ) is None

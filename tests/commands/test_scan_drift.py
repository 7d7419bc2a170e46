from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import boto3
import pytest
from django.core.management import CommandError, call_command
from moto import mock_aws

from roles.aws import sessions, trail
from roles.errors import AwsAccessDenied
from roles.models import AuditEvent, DriftFinding, GroupRole
from roles.models.choices import MappingState
from tests.factories import Procedure

pytestmark = pytest.mark.django_db

BUCKET = "arn:aws:s3:::example-data"
ROLE_B = "arn:aws:iam::222222222222:role/MyRoleB"


def client_in(account: str, service: str) -> Any:
    """Return a client that acts in one of moto's accounts."""
    answer = boto3.client("sts").assume_role(RoleArn=f"arn:aws:iam::{account}:role/test", RoleSessionName="test")
    keys = answer["Credentials"]
    return boto3.client(
        service,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )


def refuse_to_tell(*_args: Any, **_asked: Any) -> trail.Write | None:
    raise AwsAccessDenied("LookupEvents was refused.")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, settings: Any, procedure: Procedure) -> Iterator[None]:
    """Two accounts of a simulated AWS in which the procedure's mapping is in sync."""
    with mock_aws():
        keys = boto3.client("sts").assume_role(
            RoleArn="arn:aws:iam::111111111111:role/xacct-portal", RoleSessionName="test"
        )["Credentials"]
        client_in("222222222222", "s3").create_bucket(Bucket="example-data")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
        settings.XACCT_PORTAL_PRINCIPALS = ["arn:aws:iam::111111111111:role/xacct-portal"]
        sessions.forget_sessions()
        # moto has no CloudTrail that can be asked: an account that does not let the portal.
        monkeypatch.setattr(trail, "newest_write", refuse_to_tell)
        procedure.map()
        call_command("provision", "--all", stdout=StringIO())
        yield
    sessions.forget_sessions()


def scanned(*options: str) -> tuple[int, str]:
    """Return how the command ended and what it printed."""
    out = StringIO()
    try:
        call_command("scan_drift", *options, stdout=out)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def as_json(*options: str) -> tuple[int, dict[str, Any]]:
    code, text = scanned("--json", *options)
    return code, json.loads(text)


def drop_bucket_policy() -> None:
    client_in("222222222222", "s3").delete_bucket_policy(Bucket="example-data")


def test_an_unknown_account_is_bad_input_and_nothing_is_read(procedure: Procedure) -> None:
    with pytest.raises(CommandError, match=r"no account 'bucket-ownr'\. Allowed: bucket-owner") as caught:
        call_command("scan_drift", "--account", "bucket-ownr")
    assert caught.value.returncode == 2


def test_an_account_name_is_needed_where_one_is_promised(procedure: Procedure) -> None:
    with pytest.raises(CommandError, match="There is no account ''"):
        call_command("scan_drift", "--account", "")


def test_no_drift_ends_with_0(aws: None) -> None:
    assert scanned() == (0, "AWS is as the database wishes.\n")
    assert as_json() == (0, {"drift": [], "unread": [], "handoff": [], "under_way": 0})


def test_drift_ends_with_1_and_is_in_the_json(aws: None) -> None:
    drop_bucket_policy()
    code, answer = as_json()
    assert code == 1
    (one,) = answer["drift"]
    assert (one["resource"], one["step"], one["kind"], one["account_id"]) == (BUCKET, 6, "missing", "222222222222")
    assert one["before"] is None
    assert len(one["after"]["Statement"]) == 2
    assert one["done_by"] == ""
    assert DriftFinding.objects.get().resource == BUCKET
    assert GroupRole.objects.get().state == MappingState.DRIFTED
    assert AuditEvent.objects.get(code="drift.found").actor_name == "command:scan_drift"


def test_who_may_have_done_it_is_in_the_json_where_the_account_says_it(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = trail.Write("DeleteBucketPolicy", datetime(2026, 3, 1, 12, tzinfo=UTC), "mallory (AWS user)", "")
    monkeypatch.setattr(trail, "newest_write", lambda *_args, **_asked: write)
    drop_bucket_policy()
    (one,) = as_json()[1]["drift"]
    assert one["done_by"] == "mallory (AWS user) at 2026-03-01 12:00 UTC, by DeleteBucketPolicy"
    assert DriftFinding.objects.get().done_by == one["done_by"]


def test_people_see_a_table_and_the_differences(aws: None) -> None:
    drop_bucket_policy()
    code, text = scanned()
    lines = text.splitlines()
    assert code == 1
    assert lines[0].split() == ["step", "account", "action", "status", "resource"]
    assert lines[1].split() == ["6", "222222222222", "missing", "drifted", BUCKET]
    assert f"+++ {BUCKET} (after)" in lines


def test_one_account_alone(aws: None) -> None:
    drop_bucket_policy()
    assert as_json("--account", "deployment")[0] == 0
    code, answer = as_json("--account", "bucket-owner")
    assert (code, [one["resource"] for one in answer["drift"]]) == (1, [BUCKET])


def test_what_cannot_be_read_is_said_and_ends_with_1(aws: None, procedure: Procedure) -> None:
    client_in("222222222222", "s3").delete_bucket(Bucket="example-data")
    code, answer = as_json()
    assert (code, answer["drift"]) == (1, [])
    assert [one["resource"] for one in answer["unread"]] == [BUCKET]
    assert "Not read: arn:aws:s3:::example-data in account 222222222222" in scanned()[1]


def test_handoff_accounts_are_said(aws: None, procedure: Procedure) -> None:
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    assert as_json()[1]["handoff"] == ["222222222222"]
    assert "account 222222222222 is a handoff account" in scanned()[1]


def test_a_second_look_after_a_repair_finds_nothing(aws: None) -> None:
    drop_bucket_policy()
    assert scanned()[0] == 1
    call_command("provision", "--all", stdout=StringIO())
    assert scanned()[0] == 0
    assert DriftFinding.objects.get().resolution == "repaired"

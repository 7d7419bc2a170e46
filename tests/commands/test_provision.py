from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

import boto3
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from moto import mock_aws

from roles.aws import sessions
from roles.models import AuditEvent, GroupRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus
from roles.provisioning import runner
from tests import factories
from tests.factories import Procedure

pytestmark = pytest.mark.django_db

ROLE_A = "arn:aws:iam::111111111111:role/MyRoleA"
ROLE_B = "arn:aws:iam::222222222222:role/MyRoleB"
BUCKET = "arn:aws:s3:::example-data"


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


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[None]:
    """Two accounts of a simulated AWS: the portal is in the first, the bucket in the second."""
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
        yield
    sessions.forget_sessions()


def provisioned(*options: str) -> str:
    out = StringIO()
    call_command("provision", *options, stdout=out)
    return out.getvalue()


def as_json(*options: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(provisioned(*options, "--json"))
    return answer


def failed(*options: str) -> tuple[CommandError, str]:
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("provision", *options, stdout=out)
    return caught.value, out.getvalue()


def bucket_policy() -> dict[str, Any] | None:
    s3 = client_in("222222222222", "s3")
    try:
        document: dict[str, Any] = json.loads(s3.get_bucket_policy(Bucket="example-data")["Policy"])
    except s3.exceptions.ClientError:
        return None
    return document


def without_sids(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "Sid"} for one in document["Statement"]]


# --- refused ---


def test_unknown_group_is_bad_input_and_names_the_close_ones(procedure: Procedure) -> None:
    factories.UserGroupFactory(name="marketing")
    error, said = failed("--group", "analyst")
    assert error.returncode == 2
    assert str(error) == "There is no user group 'analyst'. Allowed: analysts."
    assert said == ""


def test_unknown_group_that_is_like_none_names_those_there_are(procedure: Procedure) -> None:
    error, _ = failed("--group", "zzz", "--json")
    assert (error.returncode, str(error)) == (2, "There is no user group 'zzz'. Allowed: analysts.")


def test_unknown_group_in_an_empty_portal_says_how_to_make_one() -> None:
    error, _ = failed("--group", "")
    assert error.returncode == 2
    assert "import_config" in str(error)


@pytest.mark.parametrize("options", [(), ("--group", "analysts", "--all")])
def test_either_a_group_or_all_has_to_be_said(procedure: Procedure, options: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        provisioned(*options)
    assert not ProvisioningRun.objects.exists()


def test_aws_that_cannot_be_read_ends_a_plan_with_1(procedure: Procedure, monkeypatch: pytest.MonkeyPatch) -> None:
    procedure.map()
    sessions.forget_sessions()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    error, said = failed("--group", "analysts", "--plan", "--json")
    assert error.returncode == 1
    assert "credentials" in str(error)
    answer = json.loads(said)
    assert (answer["run"], answer["status"], answer["steps"], answer["seen"]) == (None, "failed", [], "")


def test_failed_step_ends_with_1_and_is_shown(procedure: Procedure, aws: None) -> None:
    procedure.map()
    client_in("222222222222", "s3").delete_bucket(Bucket="example-data")
    error, said = failed("--group", "analysts", "--json")
    answer = json.loads(said)
    assert error.returncode == 1
    assert answer["status"] == "failed"
    broken = [step for step in answer["steps"] if step["status"] == "failed"]
    assert [step["step"] for step in broken] == [6]
    assert broken[0]["error"]
    assert {step["error"] for step in answer["steps"] if step["status"] == "done"} == {None}


def test_role_that_is_not_ours_blocks_the_plan(procedure: Procedure, aws: None) -> None:
    client_in("111111111111", "iam").create_role(RoleName="MyRoleA", AssumeRolePolicyDocument="{}")
    procedure.map()
    error, said = failed("--group", "analysts", "--plan", "--json")
    assert error.returncode == 1
    first = json.loads(said)["steps"][0]
    assert (first["step"], first["status"]) == (1, "failed")
    assert first["error"] in str(error)


def test_account_in_handoff_is_not_in_sync(procedure: Procedure, aws: None) -> None:
    procedure.map()
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    # The simulated AWS lets everybody in; without its bucket the access cannot be proved.
    client_in("222222222222", "s3").delete_bucket(Bucket="example-data")
    error, said = failed("--all")
    assert error.returncode == 1
    assert "Status: needs_owner" in said


# --- allowed ---


def test_group_without_a_role_is_in_sync(procedure: Procedure) -> None:
    assert as_json("--group", "analysts") == {"run": None, "status": "in_sync", "steps": []}
    assert provisioned("--all", "--plan") == "No role is mapped.\nStatus: in_sync\n"


def test_plan_has_the_procedures_documents_and_changes_nothing(procedure: Procedure, aws: None) -> None:
    mapping = procedure.map()
    answer = as_json("--group", "analysts", "--plan")
    assert (answer["run"], answer["status"]) == (None, "planned")
    assert list(answer["steps"][0]) == [
        *("step", "account_id", "resource", "action", "before", "after", "status", "error", "warnings"),
    ]
    assert [step["step"] for step in answer["steps"]] == [1, 1, 2, 3, 4, 5, 6, 7]
    by_step = {step["step"]: step for step in answer["steps"]}
    assert (by_step[2]["account_id"], by_step[2]["resource"]) == ("111111111111", ROLE_A)
    assert (by_step[5]["account_id"], by_step[5]["resource"]) == ("222222222222", ROLE_B)
    assert {"Effect": "Allow", "Action": "iam:PassRole", "Resource": [ROLE_A]} in without_sids(by_step[3]["after"])
    assert (by_step[6]["resource"], by_step[6]["action"], by_step[6]["before"]) == (BUCKET, "create", None)
    assert without_sids(by_step[6]["after"]) == [
        {
            "Effect": "Allow",
            "Principal": {"AWS": [ROLE_B]},
            "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
            "Resource": BUCKET,
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": [ROLE_B]},
            "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:DeleteObject"],
            "Resource": f"{BUCKET}/*",
        },
    ]
    assert (by_step[7]["action"], by_step[7]["status"]) == ("verify", "planned")
    mapping.refresh_from_db()
    assert mapping.state == MappingState.QUEUED
    assert not ProvisioningRun.objects.exists()
    assert not AuditEvent.objects.exists()
    assert client_in("111111111111", "iam").list_roles()["Roles"] == []
    assert bucket_policy() is None


def test_group_is_provisioned_at_once_in_a_run_of_the_command(procedure: Procedure, aws: None) -> None:
    mapping = procedure.map()
    answer = as_json("--group", "analysts")
    run = ProvisioningRun.objects.get()
    assert (answer["run"], answer["status"]) == (run.pk, "in_sync")
    assert "runs" not in answer
    assert (run.trigger, run.requested_by_name, run.mapping) == ("command.provision", "command:provision", mapping)
    assert {step["status"] for step in answer["steps"]} == {"done"}
    mapping.refresh_from_db()
    assert mapping.state == MappingState.IN_SYNC
    assert bucket_policy() is not None


def test_second_time_nothing_is_written(procedure: Procedure, aws: None) -> None:
    procedure.map()
    provisioned("--all")
    answer = as_json("--all")
    assert answer["status"] == "in_sync"
    assert {step["action"] for step in answer["steps"]} == {"none", "verify"}
    assert as_json("--all", "--plan")["status"] == "in_sync"


def test_people_see_a_table_and_the_differences(procedure: Procedure, aws: None) -> None:
    procedure.map()
    said = provisioned("--group", "analysts", "--plan").splitlines()
    assert said[0].split() == ["step", "account", "action", "status", "resource"]
    assert said[-2] == "Status: planned"
    assert said[-1].startswith("To do just this, give: --expected-plan ")
    assert f"+++ {BUCKET} (after)" in said
    assert any(line.startswith('+      "Action": ') for line in said)


def test_unfinished_removal_is_finished(procedure: Procedure, aws: None) -> None:
    mapping = procedure.map()
    provisioned("--all")
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now(), state=MappingState.REMOVING)
    answer = as_json("--group", "analysts")
    assert answer["status"] == "in_sync"
    assert bucket_policy() is None
    mapping.refresh_from_db()
    assert mapping.state == MappingState.REMOVED
    assert as_json("--group", "analysts")["steps"] == []


def test_all_takes_every_role_in_one_object(procedure: Procedure, aws: None) -> None:
    procedure.map()
    other = factories.IamRoleFactory(account=procedure.account_a, name="Other")
    factories.AssumeRoleGrantFactory(source=other, target=procedure.role_b)
    factories.GroupRoleFactory(group=factories.UserGroupFactory(name="marketing"), role=other)
    answer = as_json("--all")
    assert answer["status"] == "in_sync"
    assert answer["runs"] == sorted(ProvisioningRun.objects.values_list("pk", flat=True))
    assert answer["run"] == answer["runs"][-1]
    assert {step["resource"] for step in answer["steps"] if step["step"] == 2} == {ROLE_A, str(other.arn)}
    assert {run.mapping for run in ProvisioningRun.objects.all()} == {None}


def test_other_groups_roles_are_left_alone(procedure: Procedure, aws: None) -> None:
    procedure.map()
    factories.UserGroupFactory(name="marketing")
    assert as_json("--group", "marketing")["steps"] == []
    assert not ProvisioningRun.objects.exists()


def test_worker_that_was_quicker_is_waited_for(
    procedure: Procedure, aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    procedure.map()
    reconcile = runner.reconcile
    slept: list[float] = []

    def work(seconds: float) -> None:
        slept.append(seconds)
        assert reconcile(ProvisioningRun.objects.get().pk) is not None

    monkeypatch.setattr(runner, "reconcile", lambda run_id: None)
    monkeypatch.setattr("roles.management.results.time.sleep", work)
    assert as_json("--group", "analysts")["status"] == RunStatus.IN_SYNC
    assert len(slept) == 1

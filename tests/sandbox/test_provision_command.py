"""From the file to AWS by commands alone, against an AWS that enforces: what the plan says, and what is written."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, foreign_statement
from tests.sandbox.proxy import CallLog

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]
EXAMPLE = str(Path(__file__).parents[1] / "commands" / "files" / "procedure.yaml")

ROLE_A = "arn:aws:iam::111111111111:role/MyRoleA"
ROLE_B = "arn:aws:iam::222222222222:role/MyRoleB"
# The statements of steps 2, 3, 5 and 6 as the procedure has them, its placeholders filled in.
PROCEDURE: dict[int, list[dict[str, Any]]] = {
    2: [{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [ROLE_B]}],
    3: [{"Effect": "Allow", "Action": "iam:PassRole", "Resource": [ROLE_A]}],
    5: [{"Effect": "Allow", "Principal": {"AWS": [ROLE_A]}, "Action": "sts:AssumeRole"}],
    6: [
        {
            "Effect": "Allow",
            "Principal": {"AWS": [ROLE_B]},
            "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
            "Resource": "arn:aws:s3:::example-data",
        },
        {
            "Effect": "Allow",
            "Principal": {"AWS": [ROLE_B]},
            "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:DeleteObject"],
            "Resource": "arn:aws:s3:::example-data/*",
        },
    ],
}


def run(command: str, *options: str) -> str:
    out = StringIO()
    call_command(command, *options, stdout=out)
    return out.getvalue()


def provisioned(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("provision", "--group", "analysts", "--json", *options, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def added(step: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the statements that a step adds, without their Sids and without what attribution needs beyond them."""
    before = step["before"]["Statement"] if step["before"] else []
    return [
        {key: value for key, value in statement.items() if key != "Sid"}
        for statement in step["after"]["Statement"]
        if statement not in before and "Attribution" not in statement["Sid"] and "Nobody" not in statement["Sid"]
    ]


def bucket_policy(server: sandbox.SandboxServer) -> list[dict[str, Any]]:
    s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=server.endpoint_url)
    statements: list[dict[str, Any]] = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    return statements


def test_wrong_external_id_fails_with_the_step_and_changes_nothing_there(
    aws: CallLog, sandbox_server: sandbox.SandboxServer, tmp_path: Path
) -> None:
    text = Path(EXAMPLE).read_text(encoding="utf-8").replace("example-external-id", "another-external-id")
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    run("import_config", str(tmp_path / "config.yaml"))
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("provision", "--all", "--json", stdout=out)
    assert caught.value.returncode == 1
    failed = [step for step in json.loads(out.getvalue())["steps"] if step["status"] == "failed"]
    assert {step["account_id"] for step in failed} == {BUCKET_ACCOUNT}
    assert bucket_policy(sandbox_server) == [foreign_statement()]


def test_plan_of_the_example_has_the_procedures_documents_and_writes_nothing(aws: CallLog) -> None:
    run("import_config", EXAMPLE)
    answer = provisioned("--plan")
    assert (answer["run"], answer["status"]) == (None, "planned")
    steps = {step["step"]: step for step in answer["steps"]}
    assert {number: added(steps[number]) for number in PROCEDURE} == PROCEDURE
    assert aws.writes == []


def test_second_time_no_write_call_is_made(aws: CallLog, sandbox_server: sandbox.SandboxServer) -> None:
    run("import_config", EXAMPLE)
    first = provisioned()
    assert first["status"] == "in_sync"
    assert {step["status"] for step in first["steps"]} == {"done"}
    assert "PutBucketPolicy" in aws.writes
    aws.clear()
    second = provisioned()
    assert second["status"] == "in_sync"
    assert {step["action"] for step in second["steps"]} == {"none", "verify"}
    assert aws.writes == []
    assert foreign_statement() in bucket_policy(sandbox_server)


def test_taking_the_role_out_of_the_file_takes_our_statements_out(
    aws: CallLog, sandbox_server: sandbox.SandboxServer, tmp_path: Path
) -> None:
    run("import_config", EXAMPLE)
    provisioned()
    text = Path(EXAMPLE).read_text(encoding="utf-8").replace("roles: [deployment/MyRoleA]", "roles: []")
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    assert run("import_config", str(tmp_path / "config.yaml")) == "unmapped role deployment/MyRoleA from analysts\n"
    assert provisioned()["status"] == "in_sync"
    assert bucket_policy(sandbox_server) == [foreign_statement()]

"""The commands on an AWS that enforces policies, for the configuration that the documentation shows."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, PORTAL_ACCOUNT, foreign_statement
from roles.models import ProvisioningRun
from tests.sandbox.proxy import CallLog

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]

PROCEDURE = Path(__file__).parents[1] / "commands" / "files" / "procedure.yaml"
ROLE_A = f"arn:aws:iam::{PORTAL_ACCOUNT}:role/MyRoleA"
ROLE_B = f"arn:aws:iam::{BUCKET_ACCOUNT}:role/MyRoleB"
BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
# The documents of the procedure, its Sid left out: by step, what the document has to say once that step is through.
ASSUME = {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [ROLE_B]}
PASS_ROLE = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": [ROLE_A]}
TRUST = {"Effect": "Allow", "Principal": {"AWS": [ROLE_A]}, "Action": "sts:AssumeRole"}
BUCKET_STATEMENT = {
    "Effect": "Allow",
    "Principal": {"AWS": [ROLE_B]},
    "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
    "Resource": BUCKET_ARN,
}
OBJECTS_STATEMENT = {
    "Effect": "Allow",
    "Principal": {"AWS": [ROLE_B]},
    "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:DeleteObject"],
    "Resource": f"{BUCKET_ARN}/*",
}
# What the portal asks for besides, so that AWS's own log names the person.
ATTRIBUTION = ["sts:TagSession", "sts:SetSourceIdentity"]


def provision(*options: str) -> dict[str, Any]:
    out = StringIO()
    call_command("provision", "--group", "analysts", "--json", *options, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def statements(step: dict[str, Any], moment: str = "after") -> list[dict[str, Any]]:
    """Return the statements of a step's document, without Sids and without those of attribution."""
    bare = [{key: value for key, value in one.items() if key != "Sid"} for one in step[moment]["Statement"]]
    return [one for one in bare if sorted(one["Action"]) != sorted(ATTRIBUTION)]


@pytest.fixture
def configured(aws: CallLog) -> CallLog:
    """The documentation's configuration, entered; AWS was not touched for it."""
    call_command("import_config", str(PROCEDURE), stdout=StringIO())
    assert aws.writes == []
    return aws


def test_plan_of_the_documented_configuration_is_the_procedure(configured: CallLog) -> None:
    answer = provision("--plan")
    steps = {step["step"]: step for step in answer["steps"]}
    assert statements(steps[2]) == [ASSUME]
    assert statements(steps[3]) == [ASSUME, PASS_ROLE]
    assert statements(steps[5]) == [TRUST]
    theirs, *ours = statements(steps[6])
    assert {"Sid": steps[6]["after"]["Statement"][0]["Sid"], **theirs} == foreign_statement()
    assert ours == [BUCKET_STATEMENT, OBJECTS_STATEMENT]
    assert steps[6]["before"]["Statement"] == [foreign_statement()]
    assert configured.writes == []
    assert configured.names, "the plan read AWS"


def test_second_provision_writes_nothing(configured: CallLog, sandbox_server: sandbox.SandboxServer) -> None:
    first = provision()
    assert first["status"] == "in_sync"
    assert len(configured.writes) >= 7
    configured.clear()
    second = provision()
    assert second["status"] == "in_sync"
    assert {step["action"] for step in second["steps"]} == {"none", "verify"}
    assert configured.writes == []
    assert configured.names, "it read AWS"
    assert ProvisioningRun.objects.count() >= 2
    s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    assert foreign_statement() in json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]

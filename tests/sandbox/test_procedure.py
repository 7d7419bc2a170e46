"""The procedure's seven steps on an AWS that enforces policies: provisioned, provisioned again, removed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, PORTAL_ACCOUNT, foreign_statement
from roles.context import SystemActor
from roles.models import GroupRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus
from roles.operations.map_role_to_group import map_role_to_group
from roles.policies.document import Statement, parse
from roles.policies.equivalence import same_document, same_statement
from roles.policies.ownership import foreign_statements, is_ours
from roles.provisioning import preview, runner
from tests import factories
from tests.sandbox.proxy import CallLog

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]


def run_of(mapping: GroupRole) -> ProvisioningRun:
    """Queue a run of a mapping and reconcile it."""
    run = factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    done = runner.reconcile(run.pk)
    assert done is not None
    return done


def unmap(mapping: GroupRole) -> None:
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now(), state=MappingState.REMOVING)


def bucket_policy(server: sandbox.SandboxServer) -> list[dict[str, Any]]:
    s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=server.endpoint_url)
    statements: list[dict[str, Any]] = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
    return statements


def means_foreign(statement: dict[str, Any]) -> bool:
    """Whether it is the statement that was there before the portal, in whatever form AWS gives it back."""
    return same_statement(Statement(statement), Statement(foreign_statement()))


def test_provisioning_ends_in_sync_and_keeps_the_foreign_statement(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer
) -> None:
    mapping = procedure.map()
    run = run_of(mapping)
    assert run.error == ""
    assert run.status == RunStatus.IN_SYNC
    steps = list(run.steps.order_by("sequence").values_list("step", "status"))
    assert steps == [(number, "done") for number in (1, 1, 2, 3, 4, 5, 6, 7)]
    mapping.refresh_from_db()
    assert mapping.state == MappingState.IN_SYNC
    assert means_foreign(bucket_policy(sandbox_server)[0])
    assert len(bucket_policy(sandbox_server)) == 3
    iam = sandbox.root_client("iam", PORTAL_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    profile = iam.get_instance_profile(InstanceProfileName="MyRoleA")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["MyRoleA"]


def test_provisioning_again_writes_nothing(aws: CallLog, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    run_of(mapping)
    aws.clear()
    again = run_of(mapping)
    assert again.status == RunStatus.IN_SYNC
    assert aws.writes == []
    assert aws.names


def test_a_plan_changes_nothing_and_equals_what_is_applied(aws: CallLog, procedure: factories.Procedure) -> None:
    actor = SystemActor("test")
    plan = preview.plan_if(lambda: map_role_to_group(actor=actor, group=procedure.group, role=procedure.role_a))
    assert aws.writes == []
    assert plan.writes == 7
    run = run_of(procedure.map())
    applied = {(step.step, step.resource): step.after for step in run.steps.exclude(step=7)}
    planned = {(int(change.step), change.resource): change.after for change in plan.changes if change.step != "7"}
    assert applied.keys() == planned.keys()
    assert [key for key in planned if not same_document(parse(applied[key] or {}), parse(planned[key] or {}))] == []


def test_removing_the_last_mapping_takes_our_statements_out_and_leaves_the_rest(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer
) -> None:
    mapping = procedure.map()
    run_of(mapping)
    unmap(mapping)
    run = run_of(mapping)
    mapping.refresh_from_db()
    assert (run.status, mapping.state) == (RunStatus.IN_SYNC, MappingState.REMOVED)
    assert [means_foreign(statement) for statement in bucket_policy(sandbox_server)] == [True]
    owner_iam = sandbox.root_client("iam", BUCKET_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    trust = parse(owner_iam.get_role(RoleName="MyRoleB")["Role"]["AssumeRolePolicyDocument"])
    assert [statement.sid for statement in trust.statements] == ["XacctTrustNobody"]
    portal_iam = sandbox.root_client("iam", PORTAL_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    assert portal_iam.list_role_policies(RoleName="MyRoleA")["PolicyNames"] == []


def test_another_groups_mapping_of_the_role_keeps_everything_in_place(
    aws: CallLog, procedure: factories.Procedure
) -> None:
    mapping = procedure.map()
    other = factories.GroupRoleFactory(role=procedure.role_a)
    run_of(mapping)
    unmap(mapping)
    aws.clear()
    run_of(mapping)
    other.refresh_from_db()
    assert other.state == MappingState.IN_SYNC
    assert aws.writes == []


def test_statements_that_others_add_meanwhile_are_kept(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer
) -> None:
    mapping = procedure.map()
    run_of(mapping)
    s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    theirs = {**foreign_statement(), "Sid": "AlsoTheirs", "Action": "s3:GetObjectTagging"}
    document = {"Version": "2012-10-17", "Statement": [theirs, *bucket_policy(sandbox_server)[:2]]}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(document))
    run_of(mapping)
    kept = foreign_statements(parse({"Version": "2012-10-17", "Statement": bucket_policy(sandbox_server)}))
    assert same_statement(kept[0], parse({"Version": "2012-10-17", "Statement": theirs}).statements[0])
    assert [statement.sid for statement in kept] == ["AlsoTheirs", "PartnerReads"]
    ours = list(parse({"Version": "2012-10-17", "Statement": bucket_policy(sandbox_server)}).statements)
    assert sum(map(is_ours, ours)) == 2


def test_a_role_of_that_name_which_is_not_ours_is_never_taken_over(
    aws: CallLog, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer
) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    iam = sandbox.root_client("iam", PORTAL_ACCOUNT, endpoint_url=sandbox_server.endpoint_url)
    iam.create_role(RoleName="MyRoleA", AssumeRolePolicyDocument=json.dumps(trust))
    run = run_of(procedure.map())
    assert run.status == RunStatus.FAILED
    assert "that the portal did not make" in run.error and "adopt it" in run.hint
    assert iam.get_role(RoleName="MyRoleA")["Role"]["AssumeRolePolicyDocument"] == trust
    procedure.role_a.ownership = "adopted"
    procedure.role_a.save()
    assert run_of(GroupRole.objects.get()).status == RunStatus.IN_SYNC
    kept = parse(iam.get_role(RoleName="MyRoleA")["Role"]["AssumeRolePolicyDocument"]).statements
    assert dict(kept[0].body) == trust["Statement"][0]

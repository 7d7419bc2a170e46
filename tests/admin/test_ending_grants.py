"""Before a grant ends: the plan over all source roles it concerns, who loses what, and nothing changed by looking."""

from __future__ import annotations

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.errors import AwsUnreachable
from roles.models import AssumeRoleGrant, BucketGrant, User
from roles.operations.end_assume_role_grant import end_assume_role_grant
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.provisioning import preview
from roles.provisioning.resources import Plan
from tests import factories
from tests.admin.conftest import provisioned
from tests.strict_aws.watched import WatchedAws


def if_ended(grant: AssumeRoleGrant | BucketGrant, actor: User) -> Plan:
    end = end_bucket_grant if isinstance(grant, BucketGrant) else end_assume_role_grant
    return preview.plan_if(lambda: end(actor=actor, grant=grant))  # type: ignore[arg-type]


def writes(plan: Plan) -> list[tuple[str, str]]:
    return [(change.step.value, change.action.value) for change in plan.changes if change.writes]


def asking(grant: Model) -> str:
    return reverse(f"admin:roles_{grant._meta.model_name}_end_confirm", args=[grant.pk])


def test_a_grant_that_nobody_uses_changes_nothing_in_aws(
    aws: WatchedAws, alice: User, procedure: factories.Procedure
) -> None:
    assert if_ended(procedure.bucket_grant, alice).changes == ()
    assert if_ended(procedure.assume_grant, alice).changes == ()
    assert aws.calls == []


def test_the_plan_takes_out_what_the_bucket_grant_gave_and_writes_nothing(
    aws: WatchedAws, alice: User, procedure: factories.Procedure
) -> None:
    provisioned(procedure.map())
    aws.calls.clear()
    assert writes(if_ended(procedure.bucket_grant, alice)) == [("6", "update")]
    assert aws.writes == []
    procedure.bucket_grant.refresh_from_db()
    assert procedure.bucket_grant.ended_at is None


def test_the_plan_takes_out_what_the_assume_role_grant_gave(
    aws: WatchedAws, alice: User, procedure: factories.Procedure
) -> None:
    provisioned(procedure.map())
    assert ("5", "update") in writes(if_ended(procedure.assume_grant, alice))


def test_each_source_role_in_use_has_its_plan_and_a_shared_document_is_shown_once(
    aws: WatchedAws, admin_client: Client, procedure: factories.Procedure
) -> None:
    provisioned(procedure.map())
    other = factories.IamRoleFactory(account=procedure.account_a, name="MyRoleC")
    factories.AssumeRoleGrantFactory(source=other, target=procedure.role_b)
    provisioned(factories.GroupRoleFactory(group=procedure.group, role=other))
    page = admin_client.get(asking(procedure.bucket_grant)).content.decode()
    assert page.count(f'xa-change__title">Create bucket policy of {procedure.bucket.name}<') == 1
    assert "1 change in AWS" in page
    assert "can no longer" in page


def test_ending_shows_the_documents_and_the_statements_of_others(
    aws: WatchedAws, admin_client: Client, procedure: factories.Procedure
) -> None:
    provisioned(procedure.map())
    page = admin_client.get(asking(procedure.bucket_grant)).content.decode()
    for text in ("1 change in AWS", "1 statement of others kept", "End this bucket grant: 1 person loses it"):
        assert text in page
    assert "bucket-owner/MyRoleB: Read and write in example-data" in page


def test_ending_is_possible_while_aws_cannot_be_read(
    admin_client: Client, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: object, *, partly: bool) -> None:
        raise AwsUnreachable("No answer from AWS.")

    monkeypatch.setattr(preview.Rehearsal, "plan", fail)
    page = admin_client.get(asking(procedure.bucket_grant)).content.decode()
    assert "No answer from AWS." in page and "End this bucket grant" in page


def test_one_that_would_leave_a_mapping_without_sessions_is_refused_with_what_to_do(
    aws: WatchedAws, admin_client: Client, procedure: factories.Procedure
) -> None:
    procedure.map(access="READ")
    for number in range(40):
        factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=f"{'deep/' * 8}{number}/")
    for answer in (
        admin_client.get(asking(procedure.bucket_grant), follow=True),
        admin_client.post(asking(procedure.bucket_grant), {"reason": "over"}, follow=True),
    ):
        page = answer.content.decode()
        assert "Nobody could get credentials through deployment/MyRoleA for analysts." in page
        assert "End some of these first" in page
    procedure.bucket_grant.refresh_from_db()
    assert procedure.bucket_grant.is_open


def test_a_grant_that_has_ended_is_not_asked_about(admin_client: Client, procedure: factories.Procedure) -> None:
    type(procedure.bucket_grant).objects.update(ended_at=timezone.now())
    answer = admin_client.get(asking(procedure.bucket_grant), follow=True)
    assert "has ended already" in answer.content.decode()


def test_a_grant_tells_of_its_end_only_once_it_has_one(admin_client: Client, procedure: factories.Procedure) -> None:
    address = reverse("admin:roles_assumerolegrant_change", args=[procedure.assume_grant.pk])
    assert "Ended by" not in admin_client.get(address).content.decode()
    type(procedure.assume_grant).objects.update(ended_at=timezone.now())
    assert "Ended by" in admin_client.get(address).content.decode()

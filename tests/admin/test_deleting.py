"""Deleting a role from its page: who may, the plan, the name to type, and the run."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.errors import AwsAccessDenied
from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, IamRole, ProvisioningRun, User
from roles.provisioning import runner
from tests import factories
from tests.admin.conftest import SignedIn, hidden, provisioned
from tests.strict_aws.watched import WatchedAws, foreign

pytestmark = pytest.mark.django_db
OF_OTHERS = "arn:aws:iam::111111111111:policy/of-others"


@pytest.fixture
def role(aws: WatchedAws, procedure: factories.Procedure) -> IamRole:
    """The procedure's source role, in AWS and not used any more."""
    mapping = provisioned(procedure.map())
    GroupRole.objects.update(ended_at=timezone.now(), state="removing")
    runner.reconcile(factories.ProvisioningRunFactory(role=mapping.role).pk)
    AssumeRoleGrant.objects.update(ended_at=timezone.now())
    BucketGrant.objects.update(ended_at=timezone.now())
    aws.calls.clear()
    found: IamRole = procedure.role_a
    return found


def address(role: IamRole) -> str:
    return reverse("admin:roles_iamrole_from_aws", args=[role.pk])


def page_of(client: Client, role: IamRole) -> str:
    return client.get(reverse("admin:roles_iamrole_change", args=[role.pk])).content.decode()


def orders() -> list[str]:
    return list(ProvisioningRun.objects.filter(purpose="delete_role").values_list("status", flat=True))


def test_a_visitor_is_sent_to_sign_in(client: Client, role: IamRole) -> None:
    assert client.get(address(role)).status_code == 302


@pytest.mark.parametrize("name", ["charlie", "audrey"])
def test_who_may_not_delete_roles_is_refused(
    name: str, request: pytest.FixtureRequest, signed_in: SignedIn, role: IamRole
) -> None:
    client = signed_in(request.getfixturevalue(name))
    assert address(role) not in page_of(client, role)
    assert client.get(address(role)).status_code == 403
    assert client.post(address(role), {"typed": role.name, "seen": "0" * 64}).status_code == 403
    assert orders() == []


def test_a_role_that_is_used_says_why_it_stays(admin_client: Client, role: IamRole) -> None:
    AssumeRoleGrant.objects.update(ended_at=None)
    shown = admin_client.get(address(role), follow=True).content.decode()
    assert "cannot be deleted" in shown
    assert "These grants are open" in shown


def test_the_page_shows_the_plan_and_asks_for_the_name(admin_client: Client, role: IamRole, aws: WatchedAws) -> None:
    assert address(role) in page_of(admin_client, role)
    asked = admin_client.get(address(role)).content.decode()
    for text in ("Plan: 2 changes in AWS", "Delete role MyRoleA", "Type MyRoleA to confirm", 'name="typed"'):
        assert text in asked
    assert aws.writes == [] and orders() == []


@pytest.mark.parametrize("typed", ["", "myrolea", "MyRoleB"])
def test_another_name_deletes_nothing(typed: str, admin_client: Client, role: IamRole) -> None:
    asked = admin_client.get(address(role)).content.decode()
    sent = {**hidden(asked), "step": "confirm", "typed": typed}
    assert "not the name" in admin_client.post(address(role), sent, follow=True).content.decode()
    assert orders() == []


def test_without_the_plan_nothing_is_deleted(admin_client: Client, role: IamRole) -> None:
    response = admin_client.post(address(role), {"typed": role.name})
    assert response.status_code == 409
    assert orders() == []


def test_a_change_of_aws_since_is_said_and_a_plan_that_is_blocked_has_no_button(
    admin_client: Client, role: IamRole, aws: WatchedAws
) -> None:
    asked = admin_client.get(address(role)).content.decode()
    assert 'value="confirm"' in asked
    aws.add_policy(OF_OTHERS, {"Version": "2012-10-17", "Statement": [foreign("Theirs", Resource="*")]})
    aws.role(str(role.arn)).attach(OF_OTHERS)
    response = admin_client.post(address(role), {**hidden(asked), "step": "confirm", "typed": role.name})
    shown = response.content.decode()
    assert response.status_code == 409
    assert OF_OTHERS in shown
    assert 'value="confirm"' not in shown
    assert orders() == []


def test_where_aws_cannot_be_read_there_is_no_button(admin_client: Client, role: IamRole, aws: WatchedAws) -> None:
    aws.fail_always["get_role"] = AwsAccessDenied("AWS said no.", aws_code="AccessDenied")
    shown = admin_client.get(address(role)).content.decode()
    assert "AWS cannot be read now" in shown
    assert 'value="confirm"' not in shown
    assert "You can go on without one" not in shown


def test_confirmed_it_is_deleted_by_the_run_and_not_offered_again(
    admin_client: Client, role: IamRole, aws: WatchedAws, alice: User
) -> None:
    asked = admin_client.get(address(role)).content.decode()
    sent = {**hidden(asked), "step": "confirm", "typed": role.name, "reason": "OPS-12"}
    response = admin_client.post(address(role), sent)
    run = ProvisioningRun.objects.get(purpose="delete_role")
    assert response["Location"] == reverse("run", args=[run.pk])
    assert (run.requested_by, run.plan_digest) == (alice, hidden(asked)["expected_plan"][0])
    runner.reconcile(run.pk)
    shown = admin_client.get(reverse("run", args=[run.pk])).content.decode()
    assert "Step 1: Delete a role" in shown
    assert "Delete role MyRoleA" in shown
    assert "1 of 1 steps done" in shown
    assert address(role) not in page_of(admin_client, role)
    assert not aws.has_role(str(role.arn))

"""Putting a document back from the run's page: who may, the plan, others' statements, and the run."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from roles.models import BucketGrant, ProvisioningRun, ProvisioningStep, User
from roles.provisioning import outbox, runner
from tests import factories
from tests.admin.conftest import SignedIn, hidden, provisioned
from tests.provisioning.drifting import with_policy
from tests.strict_aws.watched import THEIRS, WatchedAws

pytestmark = pytest.mark.django_db
LATER = {**THEIRS, "Sid": "CameLater", "Action": "s3:GetObjectTagging"}


@pytest.fixture
def step(aws: WatchedAws, procedure: factories.Procedure) -> ProvisioningStep:
    """The step that took the writing out of the bucket's policy; somebody has added a statement since."""
    mapping = provisioned(procedure.map())
    BucketGrant.objects.update(access="READ")
    run: ProvisioningRun = factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    runner.reconcile(run.pk)
    with_policy(aws, lambda found: [*found, LATER])
    aws.calls.clear()
    return run.steps.get(step=6)


def address(step: ProvisioningStep) -> str:
    return reverse("admin:roles_provisioningrun_put_back", args=[step.pk])


def page_of(client: Client, step: ProvisioningStep) -> str:
    return client.get(reverse("run", args=[step.run_id])).content.decode()


def orders() -> int:
    return ProvisioningRun.objects.filter(purpose="put_back").count()


def test_a_visitor_is_sent_to_sign_in(client: Client, step: ProvisioningStep) -> None:
    assert client.get(address(step)).status_code == 302


@pytest.mark.parametrize("name", ["charlie", "audrey"])
def test_who_may_not_put_back_is_refused(
    name: str, request: pytest.FixtureRequest, signed_in: SignedIn, step: ProvisioningStep
) -> None:
    client = signed_in(request.getfixturevalue(name))
    assert address(step) not in page_of(client, step)
    assert client.get(address(step)).status_code == 403
    assert client.post(address(step), {"seen": "0" * 64}).status_code == 403
    assert orders() == 0


def test_who_may_map_roles_may_not_put_back(signed_in: SignedIn, audrey: User, step: ProvisioningStep) -> None:
    rights = Permission.objects.filter(codename__in=["change_grouprole", "retry_provisioningrun"])
    audrey.user_permissions.add(*rights)
    assert signed_in(audrey).get(address(step)).status_code == 403


def test_a_step_that_never_was_is_not_found(admin_client: Client, step: ProvisioningStep) -> None:
    assert admin_client.get(reverse("admin:roles_provisioningrun_put_back", args=[4711])).status_code == 404


def test_a_step_that_cannot_be_put_back_has_no_link_and_says_why(admin_client: Client, step: ProvisioningStep) -> None:
    other = step.run.steps.filter(action="verify").first()
    assert other is not None
    assert address(other) not in page_of(admin_client, step)
    assert "changed nothing" in admin_client.get(address(other), follow=True).content.decode()


def test_without_the_plan_nothing_is_put_back(admin_client: Client, step: ProvisioningStep) -> None:
    assert admin_client.post(address(step)).status_code == 409
    assert orders() == 0


def test_the_page_shows_what_goes_back_and_that_the_database_wishes_otherwise(
    admin_client: Client, step: ProvisioningStep, aws: WatchedAws
) -> None:
    assert address(step) in page_of(admin_client, step)
    shown = admin_client.get(address(step)).content.decode()
    for text in ("Plan: 1 change in AWS", "s3:DeleteObject", "The database wishes otherwise", "2 statements of others"):
        assert text in shown
    assert "LOST" not in shown
    assert aws.writes == []


def test_confirmed_the_portals_own_go_back_by_the_run(
    admin_client: Client, step: ProvisioningStep, aws: WatchedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "send_scan", lambda: True)
    asked = admin_client.get(address(step)).content.decode()
    response = admin_client.post(address(step), {**hidden(asked), "step": "confirm", "reason": "OPS-12"})
    run = ProvisioningRun.objects.get(purpose="put_back")
    assert response["Location"] == reverse("run", args=[run.pk])
    runner.reconcile(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == ("in_sync", "")
    assert step.before is not None
    assert aws.bucket_policies["example-data"]["Statement"] == [*step.before["Statement"], LATER]
    assert "Step 1: Put a document back" in admin_client.get(reverse("run", args=[run.pk])).content.decode()


def test_a_change_of_aws_since_is_said_and_the_new_plan_shown(
    admin_client: Client, step: ProvisioningStep, aws: WatchedAws
) -> None:
    asked = admin_client.get(address(step)).content.decode()
    with_policy(aws, lambda found: [{**found[0], "Action": "s3:PutObject"}, *found[1:]])
    response = admin_client.post(address(step), {**hidden(asked), "step": "confirm"})
    assert response.status_code == 409
    assert "AWS changed since you looked." in response.content.decode()
    assert orders() == 0


def test_exactly_as_it_was_takes_a_tick_under_what_is_lost(
    admin_client: Client, step: ProvisioningStep, aws: WatchedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "send_scan", lambda: True)
    exactly = f"{address(step)}?exactly=1"
    asked = admin_client.get(exactly).content.decode()
    assert "are LOST: &#x27;CameLater&#x27;" in asked
    sent = {**hidden(asked), "step": "confirm"}
    assert "may be lost" in admin_client.post(exactly, sent, follow=True).content.decode()
    assert orders() == 0
    admin_client.post(exactly, {**sent, "agrees": "on"})
    run = ProvisioningRun.objects.get(purpose="put_back")
    assert run.exactly
    runner.reconcile(run.pk)
    assert aws.bucket_policies["example-data"] == step.before


def test_in_a_handoff_account_the_owner_is_asked_and_there_is_no_second_choice(
    admin_client: Client, step: ProvisioningStep, procedure: factories.Procedure, aws: WatchedAws
) -> None:
    procedure.account_b.access_mode = "handoff"
    procedure.account_b.save()
    asked = admin_client.get(f"{address(step)}?exactly=1").content.decode()
    assert "The run makes documents for its owner" in asked
    assert "Exactly as it was" not in asked
    admin_client.post(address(step), {**hidden(asked), "step": "confirm"})
    run = ProvisioningRun.objects.get(purpose="put_back")
    assert not run.exactly
    runner.reconcile(run.pk)
    run.refresh_from_db()
    assert (run.status, aws.writes) == ("needs_owner", [])

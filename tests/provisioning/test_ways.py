"""Ways into accounts: one that leads elsewhere, and credentials of the portal's own that have expired."""

from __future__ import annotations

import os

import pytest

from roles.aws import sessions, sts
from roles.errors import AwsAccessDenied
from roles.models import AwsAccount
from roles.models.choices import AccessModeChoice, RunStatus
from tests import factories
from tests.provisioning.conftest import Clock, reconciled
from tests.strict_aws.in_aws import root
from tests.strict_aws.layer.message import Request, Response, error_response
from tests.strict_aws.rules.refusal import Refusal
from tests.strict_aws.watched import OWNER_ACCOUNT, PORTAL, PORTAL_ACCOUNT, WatchedAws

pytestmark = pytest.mark.django_db


def test_a_run_with_the_wrong_profile_writes_nothing_and_says_both_accounts(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    before = aws.state()
    elsewhere = AwsAccount.objects.filter(pk=procedure.account_b.pk)
    elsewhere.update(access_mode=AccessModeChoice.AMBIENT, provisioner_role_arn="")
    run = reconciled(procedure.map())
    failed = run.steps.filter(account_id=OWNER_ACCOUNT, status="failed")
    assert run.status == RunStatus.FAILED
    assert {step.error_code for step in failed} == {"misconfigured"}
    assert all(PORTAL_ACCOUNT in step.error and OWNER_ACCOUNT in step.error for step in failed)
    assert [step for step in run.steps.filter(account_id=OWNER_ACCOUNT) if step.aws_request_id] == []
    assert aws.bucket_policies["example-data"] == before[2]["example-data"]
    assert not aws.has_role("arn:aws:iam::111111111111:role/MyRoleB")


def expire(aws: WatchedAws, monkeypatch: pytest.MonkeyPatch, *, is_told: bool) -> None:
    """Let the portal's own key be refused from now on; `is_told`: its host has a new one already."""
    old, real = os.environ["AWS_ACCESS_KEY_ID"], aws.strict.handle
    refusal = Refusal("ExpiredToken", "The security token included in the request is expired", 403)

    def handle(request: Request) -> Response:
        return error_response(refusal, request) if request.access_key == old else real(request)

    monkeypatch.setattr(aws.strict, "handle", handle)
    sessions.forget_way(sessions.kept_session(AwsAccount.objects.get(account_id=OWNER_ACCOUNT).access()))
    if is_told:
        key = root("iam", PORTAL_ACCOUNT).create_access_key(UserName=PORTAL.rpartition("/")[2])["AccessKey"]
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])


def test_credentials_of_the_portal_that_stay_expired_fail_the_run_in_words(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    mapping = procedure.map()
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    expire(aws, monkeypatch, is_told=False)
    before = clock.now
    run = reconciled(mapping)
    assert (run.status, run.error_code) == (RunStatus.FAILED, "aws.access_denied")
    assert "own AWS credentials have expired" in run.hint
    assert clock.now - before == sts.REFRESH_PAUSE_SECONDS  # read again once in a run, and not waited for


def test_credentials_of_the_portal_that_have_expired_are_read_again(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = procedure.map()
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    expire(aws, monkeypatch, is_told=True)
    run = reconciled(mapping)
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")


def test_credentials_that_expire_before_a_verification_are_read_again(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    expired = AwsAccessDenied("The security token is expired.", aws_code="ExpiredToken")
    aws.fail_times["assume_role"] = [expired]
    assert reconciled(procedure.map()).status == RunStatus.IN_SYNC

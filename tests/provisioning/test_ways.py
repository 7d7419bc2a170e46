"""Ways into accounts: one that leads elsewhere, and credentials of the portal's own that have expired."""

from __future__ import annotations

import pytest

from roles.models import AwsAccount
from roles.models.choices import AccessModeChoice, RunStatus
from tests import factories
from tests.provisioning.conftest import reconciled
from tests.strict_aws.watched import OWNER_ACCOUNT, PORTAL_ACCOUNT, WatchedAws

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

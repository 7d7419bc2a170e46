"""An account whose quota for trust policies AWS has raised, and one whose has not been."""

from __future__ import annotations

from functools import partial

import pytest
from django.core.exceptions import ValidationError

from roles.management.config_export import export_document, export_text
from roles.management.config_schema import read_config
from roles.models import AwsAccount, GroupRole
from roles.models.choices import RunStatus, StepStatus
from roles.provisioning import preview
from roles.provisioning.fill import fill_of_role
from roles.provisioning.plan_page import plan_page
from tests import factories
from tests.provisioning.conftest import ROLE_B, reconciled
from tests.strict_aws.layer import iam_checks
from tests.strict_aws.rules.trust import check_trust_policy
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db
RAISED = 4_096


def crowded(aws: WatchedAws, procedure: factories.Procedure) -> GroupRole:
    """Let 21 source roles in use assume the target role: one more than a trust policy of 2,048 characters takes."""
    for number in range(20):
        source = factories.IamRoleFactory(account=procedure.account_a, name=f"MyRoleA{number:04}")
        factories.AssumeRoleGrantFactory(source=source, target=procedure.role_b)
        factories.GroupRoleFactory(role=source)
        aws.add_role(str(source.arn))
        run = factories.ProvisioningRunFactory(role=source, status=RunStatus.IN_SYNC)
        factories.ProvisioningStepFactory(
            run=run, step=1, resource=str(source.arn), status=StepStatus.DONE, after={"Statement": []}
        )
    return procedure.map()


def raised(account: AwsAccount) -> None:
    account.trust_policy_characters = RAISED
    account.save()


def trust_row(procedure: factories.Procedure) -> tuple[int, bool]:
    """Return the limit that the plan shows for the target's trust, and whether it is blocked."""
    rows = plan_page(preview.plan_now(procedure.role_a)).changes
    (row,) = [one for one in rows if (one.resource, one.number) == (ROLE_B, 5)]
    return row.limit, bool(row.blocked)


def test_what_needs_a_raised_quota_is_refused_without_and_written_with_one(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = crowded(aws, procedure)
    assert trust_row(procedure) == (2_048, True)
    run = reconciled(mapping)
    assert run.status == RunStatus.FAILED
    assert "AWS allows 2,048" in run.error and "enter it at the account" in run.hint
    raised(procedure.account_b)
    monkeypatch.setattr(iam_checks, "check_trust_policy", partial(check_trust_policy, limit=RAISED))
    assert trust_row(procedure) == (RAISED, False)
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    (trust, *_) = fill_of_role(procedure.role_b)
    assert (trust.limit, trust.is_over) == (RAISED, False) and trust.used > 2_048


def test_a_quota_of_another_account_changes_nothing(aws: WatchedAws, procedure: factories.Procedure) -> None:
    raised(procedure.account_a)
    crowded(aws, procedure)
    assert trust_row(procedure) == (2_048, True)


@pytest.mark.parametrize("length", [2_047, 4_097])
def test_a_quota_that_aws_does_not_give_is_refused(procedure: factories.Procedure, length: int) -> None:
    procedure.account_b.trust_policy_characters = length
    with pytest.raises(ValidationError) as refused:
        procedure.account_b.full_clean()
    assert "trust_policy_characters" in refused.value.message_dict


def test_an_export_has_a_raised_quota_and_reads_back(procedure: factories.Procedure) -> None:
    assert all("trust_policy_characters" not in one for one in export_document()["accounts"])
    raised(procedure.account_b)
    entries = read_config(export_text()).config.accounts
    assert {one.account_id: one.trust_policy_characters for one in entries} == {
        procedure.account_a.account_id: 2_048,
        procedure.account_b.account_id: RAISED,
    }
    assert read_config(export_text().replace("4096", "9999")).problems

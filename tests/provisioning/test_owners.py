"""Accounts that the portal may not write to: the owner's part is asked for, and counted as done only when it is."""

from __future__ import annotations

from typing import Any

import pytest

from roles.models import GroupRole, ProvisioningRun
from roles.models.choices import MappingState, RunStatus, StepStatus
from roles.provisioning.owners import RETRIED
from tests import factories
from tests.provisioning.conftest import ROLE_A, ROLE_B, again, reconciled, sids, steps_of, unmap
from tests.provisioning.drifting import take_ours_out
from tests.strict_aws.watched import EXTERNAL_ID, WatchedAws, throttled

pytestmark = pytest.mark.django_db


@pytest.fixture
def handed(procedure: factories.Procedure) -> factories.Procedure:
    """The procedure's world, with the bucket's account in its owner's hands."""
    procedure.account_b.access_mode, procedure.account_b.provisioner_role_arn = "handoff", ""
    procedure.account_b.save()
    return procedure


def applied(aws: WatchedAws, run: ProvisioningRun) -> None:
    """Do what an owner does with the documents of steps 4 to 6."""
    for step in run.steps.filter(account_id="222222222222", step__lte=6):
        if step.step == 4:
            aws.add_role(step.resource, step.after)
        elif step.step == 5:
            aws.role(step.resource).trust = step.after
        else:
            kept = aws.bucket_policies["example-data"]
            aws.bucket_policies["example-data"] = {
                **kept,
                "Statement": [*kept["Statement"], *step.after["Statement"]],
            }


def test_the_portal_writes_its_own_account_and_leaves_the_rest_to_the_owner(
    aws: WatchedAws, handed: factories.Procedure
) -> None:
    mapping = handed.map()
    run = reconciled(mapping)
    mapping.refresh_from_db()
    assert (run.status, mapping.state) == (RunStatus.NEEDS_OWNER, MappingState.NEEDS_OWNER)
    assert [status for _, _, status in steps_of(run)] == ["done"] * 4 + ["needs_owner"] * 4
    assert {call.about for call in aws.calls if call.is_write} == {
        ROLE_A,
        ROLE_A.replace(":role/", ":instance-profile/"),
    }
    trust = run.steps.get(step=5)
    assert trust.after is not None and sids(trust.after) == ["XacctTrust", "XacctTrustAttribution"]
    assert "checks by using the access" in trust.hint
    assert run.steps.get(step=7).error_code == "aws.access_denied"


def test_it_is_in_sync_once_using_the_access_proves_it(aws: WatchedAws, handed: factories.Procedure) -> None:
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    run = reconciled(mapping, trigger=RETRIED)
    mapping.refresh_from_db()
    assert (run.status, mapping.state) == (RunStatus.IN_SYNC, MappingState.IN_SYNC)
    assert {status for _, _, status in steps_of(run)} == {"done"}


def test_documents_that_an_owner_applied_beforehand_are_proved_in_the_first_run(
    aws: WatchedAws, handed: factories.Procedure
) -> None:
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    assert reconciled(mapping).status == RunStatus.IN_SYNC


def test_half_of_the_owners_part_is_not_enough(aws: WatchedAws, handed: factories.Procedure) -> None:
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    take_ours_out(aws)
    run = reconciled(mapping, trigger=RETRIED)
    assert run.status == RunStatus.NEEDS_OWNER
    assert run.steps.get(step=6).status == StepStatus.NEEDS_OWNER


def test_what_one_access_proves_says_nothing_of_another_account(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    theirs = factories.AwsAccountFactory(account_id="333333333333", name="third", access_mode="handoff")
    unused = factories.IamRoleFactory(account=theirs, name="Unused")
    factories.AssumeRoleGrantFactory(source=procedure.role_a, target=unused)
    run = reconciled(procedure.map())
    assert run.steps.get(step=7).status == StepStatus.DONE
    assert run.status == RunStatus.NEEDS_OWNER
    assert run.steps.get(step=5, account_id="333333333333").status == StepStatus.NEEDS_OWNER
    assert "takes your word" in run.steps.get(step=5, account_id="333333333333").hint
    confirmed = reconciled(GroupRole.objects.get(), trigger=RETRIED)
    assert confirmed.status == RunStatus.IN_SYNC
    assert reconciled(GroupRole.objects.get()).status == RunStatus.IN_SYNC


def test_a_removal_waits_for_the_owner_and_then_for_the_admins_word(
    aws: WatchedAws, handed: factories.Procedure
) -> None:
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    reconciled(mapping, trigger=RETRIED)
    unmap(mapping)
    first = reconciled(mapping)
    mapping.refresh_from_db()
    assert (first.status, mapping.state) == (RunStatus.NEEDS_OWNER, MappingState.REMOVING)
    assert [(step.step, step.after) for step in first.steps.filter(status="needs_owner")] == [(5, None), (6, None)]
    assert "takes your word" in first.steps.get(step=6).hint
    assert reconciled(mapping).status == RunStatus.NEEDS_OWNER  # nobody has said that it was done
    assert reconciled(mapping, trigger=RETRIED).status == RunStatus.IN_SYNC
    mapping.refresh_from_db()
    assert mapping.state == MappingState.REMOVED


def test_looking_again_by_itself_takes_nobodys_word_for_a_removal(aws: WatchedAws, handed: factories.Procedure) -> None:
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    reconciled(mapping, trigger=RETRIED)
    unmap(mapping)
    reconciled(mapping)
    for _ in range(3):
        assert reconciled(mapping, trigger="run.rechecked").status == RunStatus.NEEDS_OWNER


def test_a_narrowed_grant_is_not_proved_by_an_access_that_still_works(
    aws: WatchedAws, handed: factories.Procedure
) -> None:
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    reconciled(mapping, trigger=RETRIED)
    handed.bucket_grant.access = "READ"
    handed.bucket_grant.save()
    run = reconciled(mapping)
    assert run.steps.get(step=7).status == StepStatus.DONE
    assert (run.status, run.steps.get(step=6).status) == (RunStatus.NEEDS_OWNER, StepStatus.NEEDS_OWNER)
    assert run.steps.get(step=5).status == StepStatus.DONE
    assert reconciled(mapping, trigger=RETRIED).status == RunStatus.IN_SYNC


def test_what_was_asked_for_in_between_may_have_been_applied_though_nobody_said_so(
    aws: WatchedAws, handed: factories.Procedure
) -> None:
    handed.bucket_grant.access = "READ"
    handed.bucket_grant.save()
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    reconciled(mapping, trigger=RETRIED)
    for access in ("READWRITE", "READ"):
        handed.bucket_grant.access = access
        handed.bucket_grant.save()
        run = reconciled(mapping)
    assert run.steps.get(step=6).status == StepStatus.NEEDS_OWNER
    assert "takes your word" in run.steps.get(step=6).hint
    assert reconciled(mapping, trigger=RETRIED).status == RunStatus.IN_SYNC


def test_nothing_is_asked_of_an_owner_who_was_never_asked_for_anything(
    aws: WatchedAws, handed: factories.Procedure
) -> None:
    mapping = unmap(handed.map())
    run = reconciled(mapping)
    assert run.status == RunStatus.IN_SYNC
    assert {status for _, _, status in steps_of(run)} == {"done"}


def test_a_kill_between_asking_and_ending_does_not_count_as_having_asked(
    aws: WatchedAws, handed: factories.Procedure
) -> None:
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    reconciled(mapping, trigger=RETRIED)
    run = factories.ProvisioningRunFactory(role=mapping.role, mapping=unmap(mapping), trigger=RETRIED)
    assert again(run).status == RunStatus.NEEDS_OWNER


def test_throttling_is_not_taken_for_a_missing_owner(aws: WatchedAws, handed: factories.Procedure) -> None:
    aws.fail_always["assume_role"] = throttled()
    assert reconciled(handed.map()).status == RunStatus.WAITING


def test_a_failure_in_an_account_of_ours_is_a_failure(aws: WatchedAws, handed: factories.Procedure) -> None:
    aws.add_role(ROLE_A)
    run = reconciled(handed.map())
    assert (run.status, run.error_code) == (RunStatus.FAILED, "conflict.not_ours")


@pytest.fixture
def source_handed(procedure: factories.Procedure) -> factories.Procedure:
    """The procedure's world, with the deployment account in its owner's hands."""
    procedure.account_a.access_mode = "handoff"
    procedure.account_a.save()
    return procedure


def test_a_document_that_names_a_role_which_the_owner_has_yet_to_make_waits_for_the_owner(
    aws: WatchedAws, source_handed: factories.Procedure
) -> None:
    run = reconciled(source_handed.map())
    assert run.status == RunStatus.NEEDS_OWNER
    assert steps_of(run)[:6] == [
        (1, "update", "needs_owner"),
        (1, "update", "needs_owner"),
        (2, "update", "needs_owner"),
        (3, "update", "needs_owner"),
        (4, "create", "done"),
        (5, "update", "needs_owner"),
    ]
    assert "Invalid principal" in run.error


def test_a_source_role_that_its_owner_made_is_proved_with_its_profile(
    aws: WatchedAws, source_handed: factories.Procedure
) -> None:
    mapping = source_handed.map()
    run = reconciled(mapping)
    aws.add_role(ROLE_A, run.steps.filter(step=1).first().after)
    policies = [run.steps.get(step=number).after["Statement"] for number in (2, 3)]
    aws.role(ROLE_A).policies["xacct-portal"] = {"Version": "2012-10-17", "Statement": [*policies[0], *policies[1]]}
    done = reconciled(mapping, trigger=RETRIED)
    assert done.status == RunStatus.IN_SYNC
    assert {status for _, _, status in steps_of(done)} == {"done"}


def test_a_source_role_that_its_owner_made_is_not_dropped_by_another_run_before_it_is_proved(
    aws: WatchedAws, source_handed: factories.Procedure
) -> None:
    account = factories.AwsAccountFactory(
        account_id="333333333333",
        access_mode="assume-role",
        provisioner_role_arn=aws.add_account("333333333333"),
        external_id=EXTERNAL_ID,
    )
    other = factories.IamRoleFactory(account=account, name="OtherA")
    factories.AssumeRoleGrantFactory(source=other, target=source_handed.role_b)
    aws.add_role(ROLE_A)  # there, but its policies are not: not proved
    assert reconciled(source_handed.map()).status == RunStatus.NEEDS_OWNER
    assert aws.role(ROLE_B).trust["Statement"][0]["Principal"]["AWS"] == ROLE_A
    assert reconciled(factories.GroupRoleFactory(role=other)).status == RunStatus.IN_SYNC
    assert aws.role(ROLE_B).trust["Statement"][0]["Principal"]["AWS"] == [ROLE_A, str(other.arn)]


def test_a_retry_by_somebody_is_told_apart_from_a_change(aws: WatchedAws, handed: factories.Procedure) -> None:
    triggers: dict[str, Any] = {}
    mapping = handed.map()
    applied(aws, reconciled(mapping))
    reconciled(mapping, trigger=RETRIED)
    unmap(mapping)
    for trigger in ("mapping.removed", "command.provision", RETRIED):
        triggers[trigger] = reconciled(mapping, trigger=trigger).status
    assert triggers == {"mapping.removed": "needs_owner", "command.provision": "needs_owner", RETRIED: "in_sync"}

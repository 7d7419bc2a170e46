"""Putting the managed policies of a role back: all of them, in several calls, on top of what was seen."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from roles.errors import AwsNotFound
from roles.models import AssumeRoleGrant, GroupRole, ProvisioningRun, ProvisioningStep
from roles.models.choices import RunStatus
from roles.policies.document import parse
from roles.policies.equivalence import fingerprints
from roles.provisioning import kept
from roles.provisioning.as_before import UNDONE
from tests import factories
from tests.provisioning.conftest import ROLE_A, again, reconciled, survivors
from tests.provisioning.drifting import in_sync
from tests.provisioning.test_own_policies import FIRST, SECOND, more_targets, small
from tests.provisioning.test_put_back import done, ordered, plan_of, scans
from tests.strict_aws.watched import Killed, WatchedAws

__all__ = ["scans", "small"]
pytestmark = pytest.mark.django_db


def die() -> None:
    raise Killed


@pytest.fixture
def fewer(aws: WatchedAws, procedure: factories.Procedure, small: None) -> ProvisioningStep:
    """The step that took a target out of the source role's managed policies, and the second policy with it."""
    more_targets(procedure)
    mapping = in_sync(procedure)
    AssumeRoleGrant.objects.filter(target__name__in=["MyRoleB0", "MyRoleB1"]).update(ended_at=timezone.now())
    run = reconciled(mapping)
    aws.calls.clear()
    return run.steps.get(resource=FIRST.removesuffix("-1"))


def meant(documents: Any) -> Any:
    """Return what managed policies, or their absence, mean, however AWS spells them."""
    return documents and {name: fingerprints(parse(one)) for name, one in documents.items()}


def managed(aws: WatchedAws) -> dict[str, Any]:
    """Return the managed policies by name, with what is attached."""
    documents = {arn.rpartition("/")[2]: one.document for arn, one in aws.managed.items()}
    return {"documents": meant(documents), "attached": aws.role(ROLE_A).attached}


def redirect(aws: WatchedAws, arn: str) -> None:
    """Let somebody change where a managed policy lets the role go."""
    document = aws.managed[arn].document
    document["Statement"][0]["Resource"] = [ROLE_A]
    aws.managed[arn].document = document


def test_managed_policies_go_back_as_a_whole(aws: WatchedAws, fewer: ProvisioningStep) -> None:
    assert managed(aws)["attached"] == [FIRST]
    plan = plan_of(fewer)
    assert plan.changes[0].title == "Put back the managed policies of MyRoleA"
    assert meant(plan.changes[0].before) == meant(fewer.after)
    assert plan.changes[0].after == fewer.before
    assert UNDONE in plan.changes[0].warnings
    run = done(ordered(fewer))
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert meant(run.steps.get().before) == meant(fewer.after)
    assert managed(aws) == {"documents": meant(fewer.before), "attached": [FIRST, SECOND]}


def test_where_there_were_none_they_go(aws: WatchedAws, procedure: factories.Procedure, small: None) -> None:
    more_targets(procedure)
    step = in_sync(procedure).runs.get().steps.get(resource=FIRST.removesuffix("-1"))
    assert done(ordered(step)).status == RunStatus.IN_SYNC
    assert managed(aws) == {"documents": {}, "attached": []}
    assert "changed the inline policy of MyRoleA too" in " ".join(plan_of(step).changes[0].warnings)


@pytest.mark.parametrize("change", ["another", "detached", "taken"])
def test_a_change_of_managed_policies_since_the_plan_is_not_overwritten(
    change: str, aws: WatchedAws, fewer: ProvisioningStep
) -> None:
    run = ordered(fewer)
    if change == "another":
        redirect(aws, FIRST)
    elif change == "detached":
        aws.role(ROLE_A).detach(FIRST)
    else:
        aws.managed[FIRST].untag()
    before, told = managed(aws), "conflict.blocked" if change == "taken" else "conflict.stale_plan"
    run = done(run)
    assert (run.status, run.error_code, aws.writes, managed(aws)) == (RunStatus.FAILED, told, [], before)


def test_managed_policies_of_a_role_that_is_gone_are_not_made(aws: WatchedAws, fewer: ProvisioningStep) -> None:
    aws.role(ROLE_A).delete()
    (change,) = plan_of(fewer).changes
    assert "There is no role" in change.blocked
    assert done(ordered(fewer)).error_code == "conflict.blocked"
    assert aws.writes == []


def reset(aws: WatchedAws, first: dict[str, Any]) -> None:
    """Leave the role the first managed policy alone, with that document."""
    if SECOND in aws.managed:
        aws.role(ROLE_A).detach(SECOND)
        aws.managed[SECOND].delete()
    aws.managed[FIRST].document = first


@pytest.mark.parametrize("moment", ["die_after", "die_before"])
def test_a_worker_that_dies_at_any_call_is_followed_by_one_that_puts_managed_policies_back(
    moment: str, aws: WatchedAws, fewer: ProvisioningStep
) -> None:
    now, numbers = aws.managed[FIRST].document, 0

    def begin() -> ProvisioningRun:
        reset(aws, now)
        return ordered(fewer)

    for number, run in survivors(aws, moment, begin, most=40):
        assert (number, run.status, run.error) == (number, RunStatus.IN_SYNC, "")
        assert managed(aws) == {"documents": meant(fewer.before), "attached": [FIRST, SECOND]}
        assert meant(kept.before(run.steps.latest("pk"))) in (meant(fewer.after), meant(fewer.before))
        numbers = number
    assert numbers >= 6


def test_what_somebody_did_while_no_worker_went_on_is_not_overwritten(aws: WatchedAws, fewer: ProvisioningStep) -> None:
    run = ordered(fewer)
    aws.calls.clear()
    aws.once("attach_role_policy", die)
    with pytest.raises(Killed):
        done(run)
    redirect(aws, SECOND)
    aws.calls.clear()
    run = again(run)
    assert (run.status, run.error_code, aws.writes) == (RunStatus.FAILED, "conflict.stale_plan", [])


def test_what_was_taken_in_part_before_aws_said_no_is_gone_on_with(aws: WatchedAws, fewer: ProvisioningStep) -> None:
    aws.fail_times["attach_role_policy"] = [AwsNotFound("Not yet.", aws_code="NoSuchEntity")]
    run = done(ordered(fewer))
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert meant(run.steps.get().before) == meant(fewer.after)
    assert managed(aws)["attached"] == [FIRST, SECOND]


def test_the_next_run_takes_managed_policies_back_to_the_wish(aws: WatchedAws, fewer: ProvisioningStep) -> None:
    now = managed(aws)
    done(ordered(fewer))
    assert reconciled(GroupRole.objects.get()).status == RunStatus.IN_SYNC
    assert managed(aws) == now


def test_an_account_that_is_handed_over_after_the_order_says_so(
    aws: WatchedAws, fewer: ProvisioningStep, procedure: factories.Procedure
) -> None:
    run = ordered(fewer)
    procedure.account_a.access_mode = "handoff"
    procedure.account_a.save()
    run = done(run)
    assert (run.status, run.error_code, aws.writes) == (RunStatus.FAILED, "conflict", [])
    assert "by hand" in run.error

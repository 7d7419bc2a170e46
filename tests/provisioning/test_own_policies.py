"""What a role's own policies get in a run: targets that one policy cannot hold, and grants placed there."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from roles.models import BucketGrant, CutOff, GroupRole
from roles.models.choices import RunStatus
from roles.policies import limits
from roles.provisioning import desired, preview
from roles.provisioning.resources import DesiredPolicies
from tests import factories
from tests.provisioning.conftest import ROLE_A, ROLE_B, again, killed, queued, reconciled, sids, unmap
from tests.provisioning.drifting import in_sync, read_in_bulk, scanned, seen
from tests.strict_aws.rules.grammar import as_list
from tests.strict_aws.watched import THEIRS, WatchedAws

pytestmark = pytest.mark.django_db
SOMETHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
FIRST, SECOND = (f"arn:aws:iam::111111111111:policy/xacct-portal/xacct-MyRoleA-{number}" for number in (1, 2))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS whose inline policies hold little more than step 3, and managed ones two targets."""
    monkeypatch.setattr(limits, "INLINE_ROOM_CHARACTERS", 300)
    monkeypatch.setattr(limits, "MANAGED_POLICY_MAX_CHARACTERS", 450)


def more_targets(procedure: factories.Procedure, count: int = 2) -> list[str]:
    """Let the source role assume more target roles, and return their ARNs."""
    found = []
    for number in range(count):
        role = factories.IamRoleFactory(account=procedure.account_b, name=f"MyRoleB{number}")
        factories.AssumeRoleGrantFactory(source=procedure.role_a, target=role)
        found.append(str(role.arn))
    return found


def place(procedure: factories.Procedure, *, in_roles: bool) -> None:
    procedure.bucket.grants_in_identity_policy = in_roles
    procedure.bucket.save()


def bucket_sids(aws: WatchedAws) -> list[str]:
    return [sid[:11] for sid in sids(aws.bucket_policies["example-data"])]


def own_sids(aws: WatchedAws) -> list[str]:
    return sids(aws.role(ROLE_B).policies.get("xacct-portal", {"Statement": []}))


# --- spilling ---


def test_the_default_has_no_managed_policy_and_asks_for_none(aws: WatchedAws, procedure: factories.Procedure) -> None:
    run = reconciled(procedure.map())
    assert (run.status, aws.managed, dict(aws.role(ROLE_B).policies)) == ("in_sync", {}, {})
    assert "attached_policies" not in [call.name for call in aws.calls]


def test_targets_that_the_inline_policy_has_no_room_for_are_in_managed_policies(
    aws: WatchedAws, procedure: factories.Procedure, small: None
) -> None:
    more = more_targets(procedure)
    run = reconciled(procedure.map())
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert sids(aws.role(ROLE_A).policies["xacct-portal"]) == ["XacctPassRole"]
    assert aws.role(ROLE_A).attached == sorted(aws.managed) == [FIRST, SECOND]
    named = [name for one in aws.managed.values() for name in as_list(one.document["Statement"][0]["Resource"])]
    assert sorted(named) == sorted([ROLE_B, *more])
    assert aws.managed[FIRST].tags == {"xacct-portal": "managed"}
    step = run.steps.get(resource=FIRST.removesuffix("-1"))
    assert (step.step, step.action, list(step.after)) == (2, "create", ["xacct-MyRoleA-1", "xacct-MyRoleA-2"])


def test_the_same_again_writes_nothing(aws: WatchedAws, procedure: factories.Procedure, small: None) -> None:
    more_targets(procedure)
    mapping = procedure.map()
    reconciled(mapping)
    aws.calls.clear()
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert aws.writes == []


def test_removing_the_last_mapping_deletes_the_managed_policies(
    aws: WatchedAws, procedure: factories.Procedure, small: None
) -> None:
    more_targets(procedure)
    mapping = procedure.map()
    reconciled(mapping)
    run = reconciled(unmap(mapping))
    assert (run.status, aws.managed, aws.role(ROLE_A).attached) == ("in_sync", {}, [])
    aws.calls.clear()
    reconciled(mapping)
    assert "get_policy" not in [call.name for call in aws.calls]


def test_a_worker_that_dies_at_any_call_leaves_nothing_doubled_and_nothing_behind(
    aws: WatchedAws, procedure: factories.Procedure, small: None
) -> None:
    more_targets(procedure)
    mapping = procedure.map()
    reconciled(mapping)
    whole = aws.state()
    unmap(mapping)
    for number in range(1, 60):
        aws.calls.clear()
        aws.die_after = number
        run = queued(mapping)
        if not killed(run):
            break
        aws.die_after = None
        assert again(run).status == RunStatus.IN_SYNC
        assert (aws.managed, aws.role(ROLE_A).attached) == ({}, [])
        GroupRole.objects.filter(pk=mapping.pk).update(ended_at=None)
        aws.calls.clear()
        aws.die_after = number
        run = queued(mapping)
        if killed(run):
            aws.die_after = None
            assert again(run).status == RunStatus.IN_SYNC
        aws.die_after = None
        assert aws.state() == whole
        GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now())
    assert number > 20


def test_a_plan_that_needs_more_than_ten_is_refused_with_the_numbers(
    aws: WatchedAws, procedure: factories.Procedure, small: None
) -> None:
    more_targets(procedure, 24)
    procedure.map()
    (change,) = [one for one in preview.plan_now(procedure.role_a).changes if isinstance(one.desired, DesiredPolicies)]
    assert "managed policies" in change.blocked and "AWS allows 10" in change.blocked
    run = reconciled(procedure.role_a)
    assert run.status == RunStatus.FAILED and "AWS allows 10" in run.error
    assert aws.managed == {}


def test_a_policy_of_that_name_of_somebody_elses_is_left_alone(
    aws: WatchedAws, procedure: factories.Procedure, small: None
) -> None:
    theirs = aws.add_policy(FIRST, SOMETHING)
    run = reconciled(procedure.map())
    assert run.status == RunStatus.FAILED and "did not make" in run.error
    assert theirs.document == SOMETHING


# --- placement ---


def test_grants_placed_in_the_roles_are_not_in_the_buckets_policy(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    place(procedure, in_roles=True)
    run = reconciled(procedure.map())
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    assert aws.bucket_policies["example-data"]["Statement"] == [THEIRS]
    assert own_sids(aws) == ["XacctGrantLocation", "XacctGrantList", "XacctGrantObjectsReadWrite"]


@pytest.mark.parametrize("in_roles", [True, False])
def test_grants_move_both_ways_and_are_in_their_new_place_before_they_leave_the_old_one(
    aws: WatchedAws, procedure: factories.Procedure, in_roles: bool
) -> None:
    place(procedure, in_roles=not in_roles)
    mapping = procedure.map()
    reconciled(mapping)
    place(procedure, in_roles=in_roles)
    aws.calls.clear()
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert aws.writes == (
        ["put_role_policy", "put_bucket_policy"] if in_roles else ["put_bucket_policy", "delete_role_policy"]
    )
    assert bool(own_sids(aws)) is in_roles
    assert ("XacctBucket" in bucket_sids(aws)) is not in_roles


def test_removing_the_last_mapping_takes_placed_grants_out(aws: WatchedAws, procedure: factories.Procedure) -> None:
    place(procedure, in_roles=True)
    mapping = procedure.map()
    reconciled(mapping)
    assert reconciled(unmap(mapping)).status == RunStatus.IN_SYNC
    assert not aws.role(ROLE_B).policies


def test_an_ended_grant_leaves_the_roles_policy(aws: WatchedAws, procedure: factories.Procedure) -> None:
    place(procedure, in_roles=True)
    mapping = procedure.map()
    reconciled(mapping)
    BucketGrant.objects.update(ended_at=timezone.now())
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert not aws.role(ROLE_B).policies


def test_a_role_that_is_source_and_target_keeps_both_parts_in_one_policy(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    place(procedure, in_roles=True)
    factories.AssumeRoleGrantFactory(
        source=procedure.role_b, target=factories.IamRoleFactory(account=procedure.account_b, name="Third")
    )
    factories.GroupRoleFactory(group=procedure.group, role=procedure.role_b)
    assert reconciled(procedure.role_b).status == RunStatus.IN_SYNC
    assert reconciled(procedure.map()).status == RunStatus.IN_SYNC
    assert own_sids(aws)[0] == "XacctAssume" and own_sids(aws)[-1] == "XacctGrantObjectsReadWrite"


# --- drift ---


@pytest.fixture
def read(aws: WatchedAws, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The accounts that were read in bulk."""
    return read_in_bulk(monkeypatch)


def test_own_policies_in_order_are_no_drift(
    aws: WatchedAws, procedure: factories.Procedure, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_bulk(monkeypatch)
    place(procedure, in_roles=True)
    more_targets(procedure)
    in_sync(procedure)
    assert seen(scanned()) == []


@pytest.mark.parametrize(("what", "kind"), [("detached", "changed"), ("changed", "changed"), ("grants", "missing")])
@pytest.mark.usefixtures("small", "read")
def test_what_somebody_did_to_them_is_found_and_healed(
    aws: WatchedAws, procedure: factories.Procedure, what: str, kind: str
) -> None:
    place(procedure, in_roles=True)
    mapping = in_sync(procedure)
    before: Any = aws.state()
    resource = "arn:aws:iam::222222222222:policy/xacct-portal/xacct-MyRoleB"
    if what != "changed":
        aws.role(ROLE_B).detach(f"{resource}-1")
    if what == "changed":
        aws.managed[f"{resource}-1"].document = SOMETHING
    if what == "grants":
        aws.managed[f"{resource}-1"].delete()
    assert seen(scanned()) == [(resource, 2, kind)]
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert aws.state() == before
    assert seen(scanned()) == []


def test_managed_policies_that_nothing_is_wished_of_are_found_and_taken_away(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_bulk(monkeypatch)
    mapping = in_sync(procedure)
    aws.add_policy(FIRST, SOMETHING, **{"xacct-portal": "managed"})
    aws.role(ROLE_A).attach(FIRST)
    assert seen(scanned()) == [(FIRST.removesuffix("-1"), 2, "extra")]
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert aws.managed == {}


def test_whoever_has_no_mapping_is_wished_no_policies(procedure: factories.Procedure, small: None) -> None:
    place(procedure, in_roles=True)
    wishes = desired.wishes_for(procedure.role_a, tuple)
    assert not [wish for wish in wishes if isinstance(wish, DesiredPolicies)]


# --- the permissions boundary ---


def test_a_role_is_created_with_its_boundary_and_the_plan_says_so(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    boundary = "arn:aws:iam::222222222222:policy/limits/PortalRoles"
    aws.add_policy(boundary, SOMETHING)
    procedure.role_b.permissions_boundary = boundary
    procedure.role_b.save()
    mapping = procedure.map()
    told = [text for change in preview.plan_now(procedure.role_a).changes for text in change.warnings]
    assert told == [f"It is created with the permissions boundary {boundary}."]
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert (aws.role(ROLE_B).boundary, aws.role(ROLE_A).boundary) == (boundary, "")


def test_a_boundary_is_part_of_what_is_confirmed(procedure: factories.Procedure) -> None:
    procedure.map()
    before = desired.digest_for(procedure.role_a)
    procedure.role_b.permissions_boundary = "arn:aws:iam::222222222222:policy/limits/PortalRoles"
    procedure.role_b.save()
    assert desired.digest_for(procedure.role_a) != before


def test_a_cut_off_and_grants_of_the_same_role_are_policies_of_their_own(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_in_bulk(monkeypatch)
    procedure.bucket.grants_in_identity_policy = True
    procedure.bucket.save()
    mapping = in_sync(procedure)
    policies = aws.role(ROLE_B).policies
    grants = policies["xacct-portal"]
    now = timezone.now()
    row = CutOff.objects.create(
        target=procedure.role_b, source=procedure.role_a, started_at=now, cut_before=now, lifts_at=now, names=["bob"]
    )
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert sorted(policies) == ["xacct-cut-off", "xacct-portal"]
    assert policies["xacct-portal"] == grants
    assert seen(scanned()) == []
    CutOff.objects.filter(pk=row.pk).update(ended_at=timezone.now())
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert policies == {"xacct-portal": grants}

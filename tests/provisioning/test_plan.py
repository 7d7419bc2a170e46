"""The plan: pure. What others wrote survives, a plan of its own result is empty, the digest says what is wished."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roles.policies.builders import (
    assume_statements,
    pass_role_statements,
    source_role_trust_statements,
    trust_statements,
)
from roles.policies.document import PolicyDocument, Statement, parse
from roles.policies.equivalence import fingerprint
from roles.policies.ownership import (
    ASSUME_SIDS,
    BUCKET_SIDS,
    PASS_ROLE_SIDS,
    ROLE_SIDS,
    TRUST_SIDS,
    foreign_statements,
)
from roles.provisioning.plan import Slot, change_for, digest_of, plan_of, slot_of, title_of
from roles.provisioning.resources import (
    Action,
    Desired,
    DesiredAccess,
    DesiredDocument,
    DesiredProfile,
    DesiredRole,
    Observed,
    ObservedProfile,
    ObservedRole,
    Place,
    Step,
)
from roles.values.accounts import AccessMode, AccountAccess, Partition
from roles.values.arns import MANAGED_TAGS
from tests.policies import strategies
from tests.policies.strategies import BUCKET, ROLE_A, ROLE_B

A = AccountAccess(ROLE_A.account, Partition.AWS, "us-east-1", AccessMode.AMBIENT)
B = AccountAccess(
    ROLE_B.account,
    Partition.AWS,
    "us-east-1",
    AccessMode.ASSUME_ROLE,
    role_arn="arn:aws:iam::222222222222:role/xacct-provisioner",
    external_id="example-external-id",
)
HANDED_OFF = replace(B, mode=AccessMode.HANDOFF, role_arn="")
# Documents take long to draw, and a busy machine longer; neither says anything about the plan.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
EC2 = Statement({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"})


def source_role(**changes: Any) -> DesiredRole:
    trust = source_role_trust_statements(Partition.AWS, services=True, portal_principals=["arn:aws:iam::1:user/p"])
    return replace(DesiredRole(Step.SOURCE_ROLE, A, ROLE_A, wanted=True, managed=True, trust=trust), **changes)


def target_role(**changes: Any) -> DesiredRole:
    return replace(DesiredRole(Step.TARGET_ROLE, B, ROLE_B, wanted=True, managed=True, trust=None), **changes)


def profile(*, wanted: bool = True) -> DesiredProfile:
    return DesiredProfile(A, ROLE_A, wanted)


def document(step: Step, owned: str, statements: tuple[Statement, ...], resource: object = ROLE_A) -> DesiredDocument:
    return DesiredDocument(step, A if resource == ROLE_A else B, str(resource), owned, statements)


def trust(*statements: Statement) -> DesiredDocument:
    wished = statements or trust_statements([ROLE_A], attribution=True)
    return document(Step.TARGET_TRUST, TRUST_SIDS, wished, ROLE_B)


def bucket(statements: list[Statement]) -> DesiredDocument:
    return replace(document(Step.BUCKET_POLICY, BUCKET_SIDS, tuple(statements), BUCKET), region="us-east-1")


def access(**changes: Any) -> DesiredAccess:
    return replace(DesiredAccess(B, A, ROLE_A, ROLE_B, BUCKET, "us-east-1", "", reads=True), **changes)


def procedure(statements: list[Statement]) -> tuple[Desired, ...]:
    return (
        source_role(),
        profile(),
        document(Step.ASSUME_POLICY, ASSUME_SIDS, assume_statements([(ROLE_B, True)])),
        document(Step.PASS_ROLE_POLICY, PASS_ROLE_SIDS, pass_role_statements(ROLE_A)),
        target_role(),
        trust(),
        bucket(statements),
        access(),
    )


def without(wishes: tuple[Desired, ...]) -> tuple[Desired, ...]:
    """The same wishes after the last mapping has ended."""
    empty: list[Desired] = []
    for wish in wishes:
        if isinstance(wish, DesiredDocument):
            empty.append(replace(wish, statements=()))
        elif isinstance(wish, DesiredRole):
            empty.append(replace(wish, wanted=False, trust=None if wish.trust is None else ()))
        elif isinstance(wish, DesiredProfile):
            empty.append(replace(wish, wanted=False))
    return tuple(empty)


def applied(wishes: tuple[Desired, ...], observed: dict[Slot, Observed]) -> dict[Slot, Observed]:
    """What AWS has after all changes of the plan."""
    state = dict(observed)
    for wish in wishes:
        _, state[slot_of(wish)] = change_for(wish, state.get(slot_of(wish)))
    return state


def meanings(found: Observed) -> list[str]:
    policy = found.trust if isinstance(found, ObservedRole) else found
    return [fingerprint(one) for one in foreign_statements(policy)] if isinstance(policy, PolicyDocument) else []


@st.composite
def worlds(draw: st.DrawFn) -> dict[Slot, Observed]:
    """AWS as others left it: any documents in any of the places that the portal shares with them."""
    found: dict[Slot, Observed] = {}
    for role in (ROLE_A, ROLE_B):
        if draw(st.booleans()):
            held = draw(strategies.foreign_documents())
            if held.statements:
                found[Place.ROLE, str(role)] = ObservedRole(held, MANAGED_TAGS, str(role))
    for slot in ((Place.INLINE_POLICY, str(ROLE_A)), (Place.BUCKET_POLICY, str(BUCKET))):
        held = draw(strategies.foreign_documents())
        if held.statements:
            found[slot] = held
    return found


# --- what others wrote ---


@patient
@given(worlds(), strategies.wishes())
def test_every_foreign_statement_survives_provisioning_and_removal_in_its_order(
    world: dict[Slot, Observed], statements: list[Statement]
) -> None:
    wishes = procedure(statements)
    there = applied(wishes, world)
    gone = applied(without(wishes), there)
    for slot, before in world.items():
        assert meanings(there[slot]) == meanings(before)
        assert meanings(gone[slot]) == meanings(before)


@patient
@given(worlds(), strategies.wishes())
def test_the_plan_of_a_plans_result_is_empty(world: dict[Slot, Observed], statements: list[Statement]) -> None:
    wishes = procedure(statements)
    there = applied(wishes, world)
    assert plan_of(wishes, there).writes == 0
    gone = applied(without(wishes), there)
    assert plan_of(without(wishes), gone).writes == 0


@patient
@given(st.data())
def test_the_plan_is_empty_however_aws_writes_the_documents_back(data: st.DataObject) -> None:
    wishes = procedure(data.draw(strategies.wishes()))
    there = applied(wishes, data.draw(worlds()))
    respelled: dict[Slot, Observed] = {}
    for slot, found in there.items():
        if isinstance(found, PolicyDocument):
            respelled[slot] = data.draw(strategies.as_aws_writes_back(found))
        elif isinstance(found, ObservedRole):
            respelled[slot] = replace(found, trust=data.draw(strategies.as_aws_writes_back(found.trust)))
        else:
            respelled[slot] = found
    assert [change.title for change in plan_of(wishes, respelled).changes if change.writes] == []


@patient
@given(worlds(), strategies.wishes())
def test_the_digest_does_not_depend_on_what_aws_has(world: dict[Slot, Observed], statements: list[Statement]) -> None:
    wishes = procedure(statements)
    assert plan_of(wishes, world).digest == plan_of(wishes, {}).digest == digest_of(wishes)


# --- the digest ---


def test_the_digest_does_not_depend_on_who_the_portal_is() -> None:
    principals = source_role_trust_statements(Partition.AWS, services=True, portal_principals=["arn:aws:iam::2:user/q"])
    nobody = source_role_trust_statements(Partition.AWS, services=True, portal_principals=[])
    assert digest_of([source_role()]) == digest_of([source_role(trust=principals)])
    assert digest_of([source_role()]) == digest_of([source_role(trust=nobody)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (source_role(), source_role(wanted=False)),
        (source_role(), source_role(managed=False)),
        (source_role(), source_role(trust=())),
        (profile(), profile(wanted=False)),
        (trust(), trust(*trust_statements([ROLE_A], attribution=False))),
        (access(), access(prefix="team/")),
        (access(), access(reads=False)),
    ],
)
def test_the_digest_changes_with_the_wish(one: Desired, other: Desired) -> None:
    assert digest_of([one]) != digest_of([other])


# --- a role ---


def test_a_missing_role_is_created_with_nobody_in_its_trust_until_step_5() -> None:
    change, after = change_for(target_role(), None)
    assert (change.action, change.before) == (Action.CREATE, None)
    assert change.after is not None and change.after["Statement"][0]["Sid"] == "XacctTrustNobody"
    assert isinstance(after, ObservedRole) and after.tags == MANAGED_TAGS


def test_a_missing_role_that_nobody_needs_is_left_missing() -> None:
    assert change_for(target_role(wanted=False), None)[0].action is Action.NONE


def test_a_missing_adopted_role_is_blocked() -> None:
    change, _ = change_for(target_role(managed=False), None)
    assert not change.writes and "does not exist" in change.blocked and "adopted" in change.hint


def test_a_role_without_our_tag_is_blocked_and_one_with_it_is_not() -> None:
    theirs = ObservedRole(PolicyDocument((EC2,)), {"team": "x"}, str(ROLE_A))
    change, after = change_for(source_role(), theirs)
    assert not change.writes and "that the portal did not make" in change.blocked and after is theirs
    assert change.foreign_statements == 1
    assert change_for(source_role(), replace(theirs, tags=MANAGED_TAGS))[0].blocked == ""
    assert change_for(source_role(managed=False), theirs)[0].action is Action.UPDATE


def test_a_role_under_another_path_is_blocked_even_if_adopted() -> None:
    elsewhere = ObservedRole(PolicyDocument((EC2,)), MANAGED_TAGS, "arn:aws:iam::111111111111:role/x/MyRoleA")
    for managed in (True, False):
        change, _ = change_for(source_role(managed=managed), elsewhere)
        assert not change.writes and "role/x/MyRoleA" in change.blocked
    assert change_for(source_role(wanted=False, trust=()), elsewhere)[0].blocked == ""


def test_a_trust_policy_over_the_limit_is_blocked_with_the_numbers() -> None:
    many = [replace(ROLE_A, name=f"Role{number:03}") for number in range(60)]
    held = ObservedRole(PolicyDocument((EC2,)), MANAGED_TAGS, str(ROLE_B))
    change, _ = change_for(trust(*trust_statements(many, attribution=True)), held)
    assert "AWS allows 2,048" in change.blocked and change.hint
    assert change_for(trust(), held)[0].blocked == ""


def test_an_inline_policy_over_the_limit_is_blocked() -> None:
    many = [(replace(ROLE_B, name=f"Role{number:04}"), True) for number in range(200)]
    change, _ = change_for(document(Step.ASSUME_POLICY, ASSUME_SIDS, assume_statements(many)), None)
    assert "AWS allows 10,240" in change.blocked


def test_nobody_can_be_trusted_by_a_role_that_does_not_exist() -> None:
    assert "There is no role" in change_for(trust(), None)[0].blocked
    nothing = document(Step.TARGET_TRUST, TRUST_SIDS, (), ROLE_B)
    assert change_for(nothing, None)[0].blocked == ""


# --- a profile ---


def test_a_profile_is_created_or_filled_and_never_emptied() -> None:
    assert change_for(profile(), None)[0].action is Action.CREATE
    assert change_for(profile(), ObservedProfile((), MANAGED_TAGS))[0].action is Action.UPDATE
    assert change_for(profile(), ObservedProfile(("MyRoleA",)))[0].action is Action.NONE
    assert change_for(profile(wanted=False), ObservedProfile(("MyRoleA",)))[0].action is Action.NONE
    assert change_for(profile(wanted=False), None)[0].action is Action.NONE


def test_an_empty_profile_is_filled_only_if_the_portal_made_it() -> None:
    ours, theirs = (change_for(profile(), ObservedProfile((), tags))[0] for tags in (MANAGED_TAGS, {"team": "x"}))
    assert (ours.blocked, ours.writes) == ("", True)
    assert "that the portal did not make" in theirs.blocked and "put the role into it" in theirs.hint
    # Once its owner has put the role into it, it is as wished, whoever made it.
    assert not change_for(profile(), ObservedProfile(("MyRoleA",)))[0].blocked


def test_a_profile_that_holds_another_role_is_blocked() -> None:
    change, _ = change_for(profile(), ObservedProfile(("Another",)))
    assert "holds the role Another already" in change.blocked and change.hint


# --- a document ---


def test_a_policy_with_nothing_left_in_it_is_deleted() -> None:
    ours = PolicyDocument(assume_statements([(ROLE_B, False)]))
    change, after = change_for(document(Step.ASSUME_POLICY, ASSUME_SIDS, ()), ours)
    assert (change.action, change.after, after) == (Action.DELETE, None, None)


def test_a_policy_without_any_statement_is_not_touched() -> None:
    for empty in (None, parse({"Version": "2012-10-17", "Statement": []})):
        assert change_for(document(Step.ASSUME_POLICY, ASSUME_SIDS, ()), empty)[0].action is Action.NONE


def test_steps_2_and_3_build_on_each_other() -> None:
    plan = plan_of(procedure([]), {})
    assert plan.changes[3].before == plan.changes[2].after
    assert plan.changes[5].before == plan.changes[4].after


def test_the_source_roles_trust_keeps_what_another_step_put_there() -> None:
    both = PolicyDocument((*trust_statements([ROLE_B], attribution=False), EC2))
    change, _ = change_for(source_role(), ObservedRole(both, MANAGED_TAGS, str(ROLE_A)))
    assert change.after is not None
    assert [one.get("Sid") for one in change.after["Statement"]] == [
        "XacctTrust",
        None,
        f"{ROLE_SIDS}Services",
        f"{ROLE_SIDS}Portal",
    ]


# --- a handoff account ---


def test_in_a_handoff_account_the_change_is_our_part_whatever_is_there() -> None:
    wish = replace(trust(), access=HANDED_OFF)
    change, after = change_for(wish, ObservedRole(PolicyDocument((EC2,)), {}))
    assert after is None
    assert change.after is not None and len(change.after["Statement"]) == 2
    assert "222222222222 has to apply" in change.warnings[0]


def test_in_a_handoff_account_nothing_wished_is_nothing_to_apply() -> None:
    for wish in (
        target_role(access=HANDED_OFF, wanted=False),
        replace(profile(wanted=False), access=HANDED_OFF),
        replace(trust(), access=HANDED_OFF, statements=()),
    ):
        change, _ = change_for(wish, None)
        assert (change.action, change.after) == (Action.NONE, None)
    assert change_for(replace(profile(), access=HANDED_OFF), None)[0].after == {
        "InstanceProfileName": "MyRoleA",
        "Roles": ["MyRoleA"],
    }


# --- words ---


def test_titles_name_the_thing() -> None:
    titles = [title_of(wish) for wish in procedure([])]
    assert titles == [
        "Create role MyRoleA",
        "Create instance profile MyRoleA",
        "Create policy of MyRoleA",
        "Add iam:PassRole to the policy of MyRoleA",
        "Create role MyRoleB",
        "Edit trust relationship of MyRoleB",
        "Create bucket policy of example-data",
        "Verify access to example-data",
    ]
    assert change_for(access(), None)[0].title == "Assume MyRoleB and list example-data"
    assert (
        change_for(access(prefix="team/", reads=False), None)[0].title == "Assume MyRoleB and find example-data/team/"
    )

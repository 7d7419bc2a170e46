"""Managed policies of ours on a role: what has to be done, and what must not be."""

from __future__ import annotations

from roles.policies.document import PolicyDocument, Statement
from roles.provisioning.managed import highest_in, is_ours, numbers_in
from roles.provisioning.plan import change_for, digest_of, slot_of
from roles.provisioning.resources import Action, DesiredPolicies, ObservedPolicies, Place
from roles.values.arns import MANAGED_TAGS
from tests.policies.strategies import ROLE_A
from tests.provisioning.test_plan import A

ONE, TWO = (PolicyDocument((Statement({"Sid": "XacctAssume", "Resource": [name]}),)) for name in ("one", "two"))


def wish(*documents: PolicyDocument, known: int = 0) -> DesiredPolicies:
    return DesiredPolicies(A, ROLE_A, documents, known)


def there(*documents: PolicyDocument, **more: object) -> ObservedPolicies:
    numbers = frozenset(range(1, len(documents) + 1))
    return ObservedPolicies(dict(enumerate(documents, start=1)), **{"attached": numbers, **more})  # type: ignore[arg-type]


def test_nothing_wished_and_nothing_there_is_nothing_to_do() -> None:
    change, _ = change_for(wish(), None)
    assert (change.action, change.before, change.after) == (Action.NONE, None, None)


def test_missing_policies_are_made() -> None:
    change, after = change_for(wish(ONE, TWO), there())
    assert change.action is Action.CREATE and change.before is None
    assert change.after == {"xacct-MyRoleA-1": ONE.as_dict(), "xacct-MyRoleA-2": TWO.as_dict()}
    assert change_for(wish(ONE, TWO), after)[0].action is Action.NONE


def test_another_spelling_of_the_same_is_left_as_it_is() -> None:
    spelled = PolicyDocument((Statement({"Resource": "one", "Sid": "XacctAssume"}),))
    change, _ = change_for(wish(ONE), there(spelled))
    assert change.action is Action.NONE


def test_one_that_is_not_attached_is_not_in_order() -> None:
    change, _ = change_for(wish(ONE), there(ONE, attached=frozenset()))
    assert change.action is Action.UPDATE
    assert list(change.before or {}) == ["xacct-MyRoleA-1 (not attached)"]


def test_what_is_not_wished_for_goes() -> None:
    change, _ = change_for(wish(ONE), there(ONE, TWO))
    assert change.action is Action.UPDATE and list(change.after or {}) == ["xacct-MyRoleA-1"]
    assert change_for(wish(), there(ONE))[0].action is Action.DELETE


def test_a_policy_of_that_name_that_the_portal_did_not_make_is_not_taken_over() -> None:
    change, _ = change_for(wish(ONE), there(TWO, taken=frozenset({1})))
    assert "xacct-MyRoleA-1" in change.blocked and change.hint


def test_more_than_aws_attaches_is_refused_with_the_numbers_and_the_ways_out() -> None:
    assert change_for(wish(*[ONE] * 10), there())[0].blocked == ""
    eleven, _ = change_for(wish(*[ONE] * 11), there())
    assert "needs 11 managed policies" in eleven.blocked and "AWS allows 10" in eleven.blocked
    assert "several source roles" in eleven.hint
    beside, _ = change_for(wish(*[ONE] * 9), there(others=2))
    assert "has 2 of others" in beside.blocked


def test_one_that_is_too_large_is_refused_with_its_size() -> None:
    large = PolicyDocument((Statement({"Sid": "XacctAssume", "Resource": ["x" * 6_144]}),))
    change, _ = change_for(wish(large), there())
    assert "AWS allows 6,144" in change.blocked


def test_what_is_wished_is_in_the_digest_and_what_may_be_left_is_not() -> None:
    assert digest_of([wish(ONE)]) != digest_of([wish(TWO)])
    assert digest_of([wish(ONE)]) == digest_of([wish(ONE, known=3)])
    assert slot_of(wish(ONE)) == (Place.MANAGED_POLICIES, ROLE_A.managed_policies)


def test_names_of_another_role_are_not_mistaken() -> None:
    arns = [ROLE_A.managed_policy(1), ROLE_A.managed_policy(12), f"{ROLE_A.managed_policies}-1-1"]
    others = [f"{ROLE_A.managed_policies}-x", f"{ROLE_A.managed_policies}-0", "arn:aws:iam::aws:policy/ReadOnlyAccess"]
    assert numbers_in(ROLE_A, [*arns, *others]) == {1, 12}
    assert highest_in({"xacct-MyRoleA-2": {}, "xacct-MyRoleA-11 (not attached)": {}}) == 11
    assert highest_in(None) == 0


def test_only_our_tag_makes_a_thing_ours() -> None:
    assert is_ours(MANAGED_TAGS)
    assert not is_ours({"xacct-portal": "other"}) and not is_ours({})

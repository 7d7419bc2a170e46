"""Managed policies of ours on a role: what has to be done, and what must not be."""

from __future__ import annotations

from dataclasses import replace

from roles.policies.document import PolicyDocument, Statement
from roles.provisioning.managed import attached_in, highest_in, is_between, is_ours, numbers_in, policies_document
from roles.provisioning.plan import change_for, digest_of, slot_of
from roles.provisioning.resources import Action, DesiredPolicies, ObservedPolicies, Place
from roles.values.arns import MANAGED_TAGS
from tests.policies.strategies import ROLE_A
from tests.provisioning.test_plan import A

ONE, TWO, THREE = (
    PolicyDocument((Statement({"Sid": "XacctAssume", "Resource": [name]}),)) for name in ("one", "two", "three")
)


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


# --- putting them back ---


def as_json(*documents: PolicyDocument, attached: frozenset[int] | None = None) -> dict[str, object] | None:
    return policies_document(ROLE_A, dict(enumerate(documents, start=1)), attached) or None


def test_neither_as_it_was_nor_as_it_is_to_be_is_not_half_done() -> None:
    assert not is_between(as_json(ONE), as_json(THREE), as_json(TWO))
    assert not is_between(as_json(ONE), as_json(ONE, THREE), as_json(TWO))
    assert not is_between(as_json(ONE), None, as_json(TWO))


def test_each_as_it_was_or_as_it_is_to_be_is_half_done() -> None:
    for now in (as_json(ONE), as_json(TWO), as_json(TWO, ONE), as_json(ONE, ONE, attached=frozenset())):
        assert is_between(as_json(ONE), now, as_json(TWO, ONE))
    assert is_between(None, as_json(ONE, attached=frozenset()), as_json(ONE))
    assert is_between(as_json(ONE, TWO), as_json(ONE), None)


def test_what_was_not_attached_gave_nothing_and_does_not_go_back() -> None:
    documents = {**(as_json(ONE, TWO, attached=frozenset({1})) or {}), "xacct-MyRoleA-10": ONE, "xacct-MyRoleA-9": TWO}
    documents = {name: one.as_dict() if isinstance(one, PolicyDocument) else one for name, one in documents.items()}
    assert attached_in(documents) == (ONE, TWO, ONE)
    assert attached_in(None) == ()


def test_a_role_that_is_gone_blocks_putting_them_back_and_not_taking_them_out() -> None:
    order = replace(wish(ONE), is_order=True)
    assert "There is no role" in change_for(order, there(has_role=False))[0].blocked
    assert change_for(wish(ONE), there(has_role=False))[0].blocked == ""
    assert change_for(replace(wish(), is_order=True), there(ONE, has_role=False))[0].blocked == ""


def test_others_in_our_places_and_the_most_that_aws_attaches_block_it_too() -> None:
    order = replace(wish(ONE), is_order=True)
    assert "did not make" in change_for(order, there(TWO, taken=frozenset({1})))[0].blocked
    assert "AWS allows 10" in change_for(order, there(others=10))[0].blocked


def test_what_to_know_of_it_is_told_and_does_not_make_another_plan_of_it() -> None:
    order = replace(wish(ONE), is_order=True, notes=("Look.",))
    assert change_for(order, there())[0].warnings == ("Look.",)
    assert digest_of([order]) == digest_of([replace(order, notes=())])

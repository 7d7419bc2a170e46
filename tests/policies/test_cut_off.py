"""The policy that refuses sessions which began before a moment: whom it hits, whom not, and how little it takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.errors import PolicyTooLarge
from roles.policies.cut_off import Cut, check_cut_off, cut_off_statements
from roles.policies.document import Statement
from roles.policies.limits import CUT_OFF_RESERVE_CHARACTERS
from roles.policies.ownership import CUT_OFF_SIDS, is_ours

NOON = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
OWNER = "arn:aws:iam::222222222222:role/MyRoleB"


def conditions(*cuts: Cut, attribution: bool = True) -> list[dict[str, Any]]:
    return [one.body["Condition"] for one in cut_off_statements(cuts, attribution=attribution)]


def refuses(statements: tuple[Statement, ...], name: str, began: datetime, *, identity: bool) -> bool:
    """Return whether AWS would refuse a session of that name, with its SourceIdentity or without one."""

    def applies(condition: dict[str, Any]) -> bool:
        known = {"aws:userid": f"AROAEXAMPLE:{name}", **({"aws:SourceIdentity": name} if identity else {})}
        if f"{began:%Y-%m-%dT%H:%M:%SZ}" >= condition["DateLessThan"]["aws:TokenIssueTime"]:
            return False
        exact, like = condition.get("StringEquals", {}), condition.get("StringLike", {})
        names = all(known.get(key) in wanted for key, wanted in exact.items())
        ends = all(any(known[key].endswith(each[1:]) for each in wanted) for key, wanted in like.items())
        return names and ends

    return any(applies(one.body["Condition"]) for one in statements)


def test_nothing_is_refused_where_nothing_is_cut_off() -> None:
    assert cut_off_statements([], attribution=True) == ()


def test_a_person_is_refused_by_source_identity_and_by_the_sessions_name() -> None:
    moment = {"aws:TokenIssueTime": "2026-11-25T12:00:00Z"}
    assert conditions(Cut(NOON, ("bob",))) == [
        {"DateLessThan": moment, "StringEquals": {"aws:SourceIdentity": ["bob"]}},
        {"DateLessThan": moment, "StringLike": {"aws:userid": ["*:bob"]}},
    ]


def test_a_target_without_attribution_knows_the_sessions_name_alone() -> None:
    (condition,) = conditions(Cut(NOON, ("bob",)), attribution=False)
    assert set(condition) == {"DateLessThan", "StringLike"}


def test_statements_are_ours_deny_everything_and_have_sids_that_aws_takes() -> None:
    statements = cut_off_statements([Cut(NOON, ("bob",)), Cut(LATER, ("carol",)), Cut(NOON)], attribution=True)
    sids = [one.sid for one in statements]
    assert len(set(sids)) == len(sids) == 3
    assert all(sid.isalnum() for sid in sids)
    assert all(is_ours(one, CUT_OFF_SIDS) for one in statements)
    assert {(one.body["Effect"], one.body["Action"], one.body["Resource"]) for one in statements} == {
        ("Deny", "*", "*")
    }


def test_people_of_one_moment_share_their_statements() -> None:
    together = conditions(Cut(NOON, ("carol", "bob")), Cut(NOON, ("dave",)))
    assert [one.get("StringEquals") for one in together] == [{"aws:SourceIdentity": ["bob", "carol", "dave"]}, None]


def test_only_the_latest_moment_of_a_person_is_said() -> None:
    assert conditions(Cut(NOON, ("bob",)), Cut(LATER, ("bob",))) == conditions(Cut(LATER, ("bob",)))


def test_who_is_hit_with_everybody_is_not_named() -> None:
    everybody = {"DateLessThan": {"aws:TokenIssueTime": "2026-11-25T12:05:00Z"}}
    assert conditions(Cut(LATER), Cut(NOON), Cut(NOON, ("bob",)), Cut(LATER, ("carol",))) == [everybody]


@given(
    cuts=st.lists(
        st.builds(
            Cut,
            st.integers(0, 9).map(lambda minutes: NOON + timedelta(minutes=minutes)),
            st.lists(st.sampled_from(["bob", "carol", "dave"]), max_size=3).map(tuple),
        ),
        max_size=6,
    ),
    name=st.sampled_from(["bob", "carol", "erin"]),
    minute=st.integers(0, 10),
    attributed=st.booleans(),
)
def test_merged_it_refuses_exactly_what_each_cut_refuses(
    cuts: list[Cut], name: str, minute: int, attributed: bool
) -> None:
    began = NOON + timedelta(minutes=minute)
    wanted = any(began < cut.before and (not cut.names or name in cut.names) for cut in cuts)
    statements = cut_off_statements(cuts, attribution=True)
    assert refuses(statements, name, began, identity=attributed) is wanted


def test_more_names_than_there_is_room_for_are_refused_with_a_way_out() -> None:
    crowd = cut_off_statements([Cut(NOON, tuple(f"somebody.{n:03}" for n in range(300)))], attribution=True)
    with pytest.raises(PolicyTooLarge) as refused:
        check_cut_off(crowd, owner=OWNER)
    assert (refused.value.limit, refused.value.owner) == (CUT_OFF_RESERVE_CHARACTERS, OWNER)
    assert "Cut off the role" in refused.value.hint
    some = cut_off_statements([Cut(NOON, tuple(f"somebody.{n:03}" for n in range(100)))], attribution=True)
    check_cut_off(some, owner=OWNER)

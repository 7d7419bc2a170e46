"""What people gain and lose, in words."""

from __future__ import annotations

import pytest

from roles.policies.gains import SENTENCES_MAX, Person, gains_and_losses
from roles.policies.session import Grant
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel, BucketArn

DATA = BucketArn(Partition.AWS, "example-data")
OTHER = BucketArn(Partition.AWS, "other-data")
READ, WRITE, BOTH = AccessLevel.READ, AccessLevel.WRITE, AccessLevel.READWRITE
BOB = Person("bob", frozenset({"analysts"}))
DORA = Person("dora", frozenset({"analysts"}))
EVE = Person("eve", frozenset({"analysts", "ops"}))


def on(level: AccessLevel, prefix: str = "", bucket: BucketArn = DATA) -> Grant:
    return Grant(bucket, level, prefix)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([], [], ()),
        ([on(BOTH)], [on(BOTH)], ()),
        ([on(BOTH)], [], ("bob can no longer read or write to example-data.",)),
        ([], [on(BOTH)], ("bob can now read and write to example-data.",)),
        ([], [on(READ, "raw")], ("bob can now read example-data/raw/.",)),
        ([on(BOTH, "raw")], [on(READ, "raw")], ("bob can no longer write to example-data/raw/.",)),
        ([on(READ)], [on(BOTH)], ("bob can now write to example-data.",)),
        ([on(BOTH)], [on(BOTH, "raw")], ("bob can no longer read or write to example-data, except under raw/.",)),
        (
            [on(BOTH)],
            [on(BOTH, "raw"), on(READ, "team")],
            (
                "bob can no longer read example-data, except under raw/ and team/.",
                "bob can no longer write to example-data, except under raw/.",
            ),
        ),
        ([on(READ, "raw")], [on(READ)], ("bob can now read example-data.",)),
        # A folder is not the beginning of another one's name.
        ([on(READ, "team")], [on(READ, "team-secret")], (
            "bob can no longer read example-data/team/.", "bob can now read example-data/team-secret/.",
        )),
        # What another grant gives as well is neither lost nor gained.
        ([on(BOTH), on(READ, "raw")], [on(BOTH)], ()),
        ([on(READ)], [on(READ), on(READ, "raw")], ()),
        ([on(READ), on(READ, "raw")], [], ("bob can no longer read example-data.",)),
        ([on(READ)], [on(READ, bucket=OTHER)], (
            "bob can no longer read example-data.", "bob can now read other-data.",
        )),
    ],
)  # fmt: skip
def test_one_person(before: list[Grant], after: list[Grant], said: tuple[str, ...]) -> None:
    assert gains_and_losses({BOB: before}, {BOB: after}) == said


def test_people_who_lose_the_same_are_told_of_together_with_their_group() -> None:
    before = {person: [on(WRITE, "raw")] for person in (BOB, DORA)}
    assert gains_and_losses(before, {}) == ("2 members of analysts can no longer write to example-data/raw/.",)


def test_people_of_several_groups_are_told_of_with_all_of_them() -> None:
    after = {person: [on(READ)] for person in (BOB, DORA, EVE)}
    assert gains_and_losses({}, after) == ("3 members of analysts and ops can now read example-data.",)


def test_people_without_a_group_are_counted() -> None:
    after = {Person("x"): [on(READ)], Person("y"): [on(READ)]}
    assert gains_and_losses({}, after) == ("2 people can now read example-data.",)


def test_who_keeps_it_by_another_group_is_not_told_of() -> None:
    assert gains_and_losses({BOB: [on(READ)], DORA: [on(READ)]}, {DORA: [on(READ)]}) == (
        "bob can no longer read example-data.",
    )


def test_losses_come_first() -> None:
    said = gains_and_losses({BOB: [on(READ, "z")]}, {BOB: [on(READ, "a")]})
    assert [sentence.split(" ")[2:4] for sentence in said] == [["no", "longer"], ["now", "read"]]


def test_too_much_to_read_is_cut_and_says_so() -> None:
    after = {BOB: [on(READ, f"f{number}") for number in range(SENTENCES_MAX + 7)]}
    said = gains_and_losses({}, after)
    assert (len(said), said[-1]) == (SENTENCES_MAX + 1, "And 7 more gains and losses.")

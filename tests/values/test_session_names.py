"""Names that AWS takes, one for each user."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.values.session_names import session_name, tag_value

TAKEN = re.compile(r"\A[A-Za-z0-9_+=,.@-]{2,64}\Z")


@pytest.mark.parametrize(
    ("username", "becomes"),
    [
        ("j", "j=u7"),
        ("josé", "jos_=u7"),
        ("a b/c", "a_b_c=u7"),
        ("x" * 65, "x" * 61 + "=u7"),
        ("bob\n", "bob_=u7"),
        ("", "=u7"),
        ("bob=u8", "bob=u8=u7"),
    ],
)
def test_a_name_that_aws_does_not_take_is_changed(username: str, becomes: str) -> None:
    assert session_name(username, 7) == becomes


@pytest.mark.parametrize("username", ["bob", "bob.smith@example.com", "a+b-c_d", "x" * 64])
def test_a_name_that_aws_takes_is_kept(username: str) -> None:
    assert session_name(username, 7) == username


@given(st.lists(st.text(max_size=80), min_size=2, max_size=8, unique=True))
def test_aws_takes_every_name_and_no_two_users_share_one(usernames: list[str]) -> None:
    names = [session_name(username, number) for number, username in enumerate(usernames, start=1)]
    assert all(TAKEN.match(name) for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("R&D", "R_D"),
        ("a'b\"c", "a_b_c"),
        ("two\nlines", "two lines"),
        ("x" * 300, "x" * 256),
        ("Zürich: team/a+b=c@d-e.f_g", "Zürich: team/a+b=c@d-e.f_g"),
    ],
)
def test_a_tag_has_no_character_that_aws_does_not_take(text: str, becomes: str) -> None:
    assert tag_value(text) == becomes

"""State badges: a word, a colour and an icon for each state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template

from roles.models.choices import MappingState, Outcome, RunStatus, StepAction, StepStatus
from roles.templatetags.xacct_badges import badge_of, expiry_badge_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("choices", [RunStatus, MappingState, StepStatus, StepAction, Outcome])
def test_every_state_has_its_word_and_its_icon(choices: type[RunStatus]) -> None:
    for value, label in choices.choices:
        badge = badge_of(value)
        assert badge.text == label or (choices, value) == (Outcome, "failed")
        assert badge.icon != "help"


def test_a_state_nobody_knows_is_shown_as_it_is() -> None:
    assert badge_of("someday").text == "someday"


@pytest.mark.parametrize(
    ("left", "tone", "text"),
    [
        (timedelta(0), "red", "Expired"),
        (timedelta(days=-1), "red", "Expired"),
        (timedelta(hours=3), "amber", "Expires in 3\xa0hours"),
        (timedelta(days=40), "grey", "Expires in 1\xa0month"),
    ],
)
def test_expiry_says_how_long_is_left(left: timedelta, tone: str, text: str) -> None:
    badge = expiry_badge_of(NOW + left, NOW)
    assert (badge.tone, badge.text) == (tone, text)


def test_a_badge_is_colour_and_icon_and_text() -> None:
    html = Template("{% load xacct_badges %}{% state_badge 'in_sync' %}").render(Context())
    assert "xa-badge--green" in html
    assert "check_circle" in html
    assert "In sync" in html


def test_access_without_end_has_no_expiry_badge() -> None:
    assert Template("{% load xacct_badges %}{% expiry_badge none %}").render(Context({"none": None})).strip() == ""


def test_what_is_copied_is_escaped() -> None:
    html = Template("{% load xacct_badges %}{% copyable text %}").render(Context({"text": '"><script>'}))
    assert "<script>" not in html

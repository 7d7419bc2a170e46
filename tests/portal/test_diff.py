"""Comparisons of documents and formats of times and sizes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.template import Context, Template
from django.utils import timezone

from roles.templatetags import xacct_diff, xacct_format
from roles.templatetags.xacct_diff import Row, canonical_json, side_by_side
from roles.values.spans import in_minutes

MANY = {"Statement": [{"Sid": f"S{number}"} for number in range(20)]}


def kinds(rows: list[Row]) -> list[str]:
    return [row.kind for row in rows]


def test_the_order_of_keys_makes_no_difference() -> None:
    assert set(kinds(side_by_side({"Sid": "a", "Effect": "Allow"}, {"Effect": "Allow", "Sid": "a"}))) <= {"same", "gap"}


def test_policies_are_written_as_aws_writes_them() -> None:
    text = canonical_json({"Statement": [{"Resource": "*", "Zebra": 1, "Action": "a", "Sid": "s"}], "Version": "v"})
    order = [text.index(f'"{key}"') for key in ("Version", "Statement", "Sid", "Action", "Resource", "Zebra")]
    assert order == sorted(order)


def test_an_added_document_has_only_added_lines_and_a_removed_one_only_removed() -> None:
    assert set(kinds(side_by_side(None, {"a": 1}))) == {"added"}
    assert set(kinds(side_by_side({"a": 1}, None))) == {"removed"}
    assert side_by_side(None, None) == []


def test_a_changed_line_stands_beside_what_it_became() -> None:
    changed = next(row for row in side_by_side({"a": 1, "b": 2}, {"a": 1, "b": 3}) if row.kind == "changed")
    assert (changed.before.strip(), changed.after.strip()) == ('"b": 2', '"b": 3')
    assert changed.before_number == changed.after_number == 3


def test_far_from_a_change_lines_are_left_out_and_counted() -> None:
    after = {"Statement": [*MANY["Statement"], {"Sid": "new"}]}
    rows = side_by_side(MANY, after)
    gaps = [row for row in rows if row.kind == "gap"]
    shown = sum(row.before_number is not None for row in rows)
    assert len(gaps) == 1
    assert gaps[0].hidden + shown == len(canonical_json(MANY).splitlines())
    numbers = [row.after_number for row in rows if row.after_number]
    assert numbers == sorted(numbers)


def test_html_in_a_document_is_text() -> None:
    template = Template("{% load xacct_diff %}{% xacct_diff before after 'x' %}{% xacct_json after %}")
    html = template.render(Context({"before": None, "after": {"Sid": "<script>alert(1)</script>"}}))
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_signs_and_words_tell_added_from_removed_without_colour() -> None:
    html = Template("{% load xacct_diff %}{% xacct_diff before after 'x' %}").render(
        Context({"before": {"a": 1}, "after": {"a": 2}})
    )
    assert "removed: " in html and "added: " in html and ">−<" in html and ">+<" in html


def test_the_same_before_and_after_says_so() -> None:
    shown = xacct_diff.xacct_diff({"a": 1}, {"a": 1})
    assert (shown["added"], shown["removed"]) == (0, 0)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 * 1024**3, "5.0 GiB"), (None, "")]
)
def test_sizes_are_in_binary_units(size: int | None, words: str) -> None:
    assert xacct_format.binary_size(size) == words


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(seconds=1), "just now"),
        (timedelta(seconds=40), "40 seconds ago"),
        (timedelta(minutes=1, seconds=1), "1 minute ago"),
        (timedelta(hours=5, minutes=1), "5 hours ago"),
        (timedelta(days=2, minutes=1), "2 days ago"),
        (timedelta(hours=-2, minutes=-1), "in 2 hours"),
    ],
)
def test_times_are_relative_with_the_exact_one_on_hover(away: timedelta, words: str) -> None:
    html = xacct_format.time_ago(timezone.now() - away)
    assert f">{words}</time>" in html and 'title="20' in html


def test_long_ago_is_a_date_in_the_persons_zone() -> None:
    with timezone.override("Asia/Tokyo"):
        html = xacct_format.time_ago(datetime(2020, 1, 1, 23, 0, tzinfo=UTC))
        assert ">2 Jan 2020</time>" in html and "JST" in html
        assert "2020-01-02 08:00:00 JST" in xacct_format.exact_time(datetime(2020, 1, 1, 23, 0, tzinfo=UTC))


def test_no_time_is_nothing() -> None:
    assert xacct_format.time_ago(None) == xacct_format.exact_time(None) == xacct_format.milliseconds(None) == ""


def test_durations_and_names() -> None:
    assert (xacct_format.milliseconds(340), xacct_format.milliseconds(1340)) == ("340 ms", "1.3 s")
    assert in_minutes(timedelta(seconds=61)) == "2 minutes"
    assert in_minutes(timedelta(hours=-1)) == "0 minutes"
    assert xacct_format.file_name("team/raw/") == "raw"

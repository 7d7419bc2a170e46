"""Spans of time are cut and taken apart without losing or inventing a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from roles.values.spans import Span

START = datetime(2026, 3, 1, tzinfo=UTC)


def span(first: int, last: int) -> Span:
    return Span(START + timedelta(hours=first), START + timedelta(hours=last))


def hours(*spans: Span) -> set[int]:
    """The whole hours that lie in the spans."""
    return {hour for hour in range(30) for one in spans if one.start <= START + timedelta(hours=hour) < one.end}


def test_spans_that_only_touch_have_nothing_in_common() -> None:
    assert span(0, 2).cut_to(span(2, 4)) == ()
    assert span(0, 3).cut_to(span(2, 4)) == (span(2, 3),)


def test_a_span_without_end_goes_on_to_the_end_of_what_is_cut() -> None:
    assert span(0, 5).between(START + timedelta(hours=2), None) == (span(2, 5),)
    assert span(0, 5).between(START + timedelta(hours=5), None) == ()


_SPANS = st.tuples(st.integers(0, 20), st.integers(1, 9)).map(lambda pair: span(pair[0], pair[0] + pair[1]))


@given(_SPANS, _SPANS)
def test_what_two_have_in_common_is_in_both(one: Span, other: Span) -> None:
    assert hours(*one.cut_to(other)) == hours(one) & hours(other)


@given(_SPANS, st.lists(_SPANS, max_size=6))
def test_what_is_taken_out_is_gone_and_nothing_else(one: Span, gone: list[Span]) -> None:
    left = one.without(gone)
    assert hours(*left) == hours(one) - hours(*gone)
    assert list(left) == sorted(left)
    assert all(part.start < part.end for part in left)

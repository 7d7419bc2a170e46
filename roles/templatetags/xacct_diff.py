"""Two JSON documents side by side, line by line, and what changed in one sentence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any

from django import template

register = template.Library()

CONTEXT_LINES = 3
# The order in which AWS's own documentation writes policies; every other key follows by name.
_KEY_ORDER = (
    "Version",
    "Id",
    "Statement",
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `kind` is `same`, `removed`, `added`, `changed` or `gap`; numbers count from 1.

    For `gap`, `hidden` says how many unchanged lines were left out.
    """

    kind: str
    before_number: int | None = None
    before: str = ""
    after_number: int | None = None
    after: str = ""
    hidden: int = 0


def canonical_json(document: Any) -> str:
    """Return indented JSON whose keys come in one order, so that only a change of meaning makes a line differ."""
    return json.dumps(_ordered(document), indent=2, ensure_ascii=False)


def side_by_side(before: Any, after: Any) -> list[Row]:
    """Return the rows of the comparison of two documents; None is "there is none" and has no lines."""
    old = canonical_json(before).splitlines() if before is not None else []
    new = canonical_json(after).splitlines() if after is not None else []
    rows: list[Row] = []
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            rows += _unchanged(old, old_from, old_to, new_from, is_last=old_to == len(old))
        else:
            rows += _changed(old, new, range(old_from, old_to), range(new_from, new_to))
    return rows


@register.inclusion_tag("components/json_diff.html")
def xacct_diff(before: Any, after: Any, label: str = "") -> dict[str, Any]:
    """Show two JSON documents side by side. `label` names them for screen readers, e.g. an ARN."""
    rows = side_by_side(before, after)
    whole = canonical_json(after if after is not None else before)
    return {
        "rows": rows,
        "label": label,
        "added": sum(row.kind in ("added", "changed") for row in rows),
        "removed": sum(row.kind in ("removed", "changed") for row in rows),
        "has_before": before is not None,
        "has_after": after is not None,
        "whole": whole,
        "element_id": _element_id(whole),
    }


@register.inclusion_tag("components/json_document.html")
def xacct_json(document: Any, label: str = "") -> dict[str, Any]:
    """Show one JSON document, with a copy button."""
    text = canonical_json(document)
    return {"text": text, "label": label, "element_id": _element_id(text)}


@register.simple_tag
def change_in_words(before: dict[str, Any] | None, after: dict[str, Any] | None) -> str:
    """Return one sentence that says what changed between two policy documents."""
    from roles.policies.explain import explain_change  # noqa: PLC0415

    return explain_change(before, after)


def _element_id(text: str) -> str:
    """Return an id for the element that holds `text`; the same text twice on a page may share it."""
    return f"json-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _ordered(value[key]) for key in sorted(value, key=_rank)}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return value


def _rank(key: str) -> tuple[int, str]:
    return (_KEY_ORDER.index(key) if key in _KEY_ORDER else len(_KEY_ORDER), key)


def _unchanged(old: list[str], start: int, end: int, new_start: int, *, is_last: bool) -> Iterator[Row]:
    """Yield unchanged lines, leaving out the middle of a long stretch: what is far from any change."""
    head = CONTEXT_LINES if start else 0
    tail = 0 if is_last else CONTEXT_LINES
    hidden = end - start - head - tail
    for index in range(start, end):
        offset = index - start
        if hidden > CONTEXT_LINES and head <= offset < head + hidden:
            if offset == head:
                yield Row("gap", hidden=hidden)
            continue
        yield Row("same", index + 1, old[index], new_start + offset + 1, old[index])


def _changed(old: list[str], new: list[str], old_range: range, new_range: range) -> Iterator[Row]:
    for left, right in zip_longest(old_range, new_range):
        kind = "added" if left is None else "removed" if right is None else "changed"
        yield Row(
            kind,
            None if left is None else left + 1,
            "" if left is None else old[left],
            None if right is None else right + 1,
            "" if right is None else new[right],
        )

"""What the forms have in common: what a form gives back, heads made of comments, names for things. Pure."""

from __future__ import annotations

import hashlib
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass

_DIGEST_CHARACTERS = 8
_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Rendered:
    """One form: its text, and what is not in it and why."""

    text: str
    left_out: tuple[str, ...] = ()


def comment(paragraphs: Iterable[str]) -> str:
    """Return lines of comment ('#'), safe whatever is in the text: only printable ASCII stays.

    A command, which begins with `aws`, stays on one line to be copied.
    """
    lines: list[str] = []
    for paragraph in paragraphs:
        if paragraph.startswith("aws "):
            lines.append(printable(paragraph))
            continue
        lines += textwrap.wrap(printable(paragraph), _WIDTH, break_long_words=False, break_on_hyphens=False) or [""]
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def printable(text: str) -> str:
    """Return `text` on one line of printable ASCII: what could begin a new line or hide is written as an escape."""
    return "".join(each if " " <= each <= "~" else each.encode("unicode_escape").decode() for each in text)


def head(purpose: str, how: Iterable[str], left_out: Iterable[str]) -> str:
    """Return the comment that a file begins with: what it is for, how to use it, what is not in it."""
    missing = [f"NOT IN THIS FILE: {sentence}" for sentence in left_out]
    return comment([purpose, "", *how, *([""] if missing else []), *missing])


def digest(resource: str) -> str:
    """Return eight hex digits that stand for a resource in every file about it."""
    return hashlib.sha256(resource.encode()).hexdigest()[:_DIGEST_CHARACTERS]


def label(resource: str, name: str) -> str:
    """Return a name for a resource that any language takes, the same in every file: letters, digits, underscores."""
    return f"{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_') or 'x'}_{digest(resource)}"

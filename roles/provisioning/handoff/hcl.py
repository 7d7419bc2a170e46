"""Write Terraform's language (HCL) in the form that `terraform fmt` makes. Pure.

Only what the handoff needs: blocks, attributes, values of JSON, and expressions given as text. Neighbouring attributes
that fit on one line have their '=' in one column, as fmt wants it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_IDENTIFIER = re.compile(r"\A[A-Za-z_][A-Za-z0-9_-]*\Z")
_INDENT = "  "
# HCL language specification, "Template Expressions": these begin an interpolation or a directive unless doubled.
_TEMPLATE_STARTS = {"${": "$${", "%{": "%%{"}
_BMP_MAX = 0xFFFF


@dataclass(frozen=True, slots=True)
class Raw:
    """An expression as it is to stand in the file, on one line or, with its own inner indentation, on several."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function called with one value: `name(value)`."""

    name: str
    value: Any


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its head (type and labels as they stand) and its body of attributes and blocks, in order."""

    head: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    blocks: Sequence[Block] = ()


def document(blocks: Iterable[Block]) -> str:
    """Return the text of a file."""
    return "\n".join("\n".join(_block(block)) + "\n" for block in blocks)


def quoted(text: str) -> str:
    """Return `text` as a quoted string in ASCII in which nothing is a template."""
    plain = "".join(_character(each) for each in text)
    for start, doubled in _TEMPLATE_STARTS.items():
        plain = plain.replace(start, doubled)
    return f'"{plain}"'


def _character(each: str) -> str:
    if each in '"\\':
        return f"\\{each}"
    if " " <= each <= "~":
        return each
    code = ord(each)
    return f"\\u{code:04x}" if code <= _BMP_MAX else f"\\U{code:08x}"


def _block(block: Block) -> list[str]:
    body = _assignments(block.attributes)
    for inner in block.blocks:
        body += [*([""] if body else []), *_block(inner)]
    return [f"{block.head} {{", *(_indented(body)), "}"] if body else [f"{block.head} {{}}"]


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"{_INDENT}{line}" if line else "" for line in lines]


def _assignments(attributes: Mapping[str, Any]) -> list[str]:
    """Return `name = value` lines, the '=' of each run of one-line neighbours in one column."""
    lines: list[str] = []
    run: list[tuple[str, str]] = []

    def close_run() -> None:
        width = max((len(name) for name, _ in run), default=0)
        lines.extend(f"{name.ljust(width)} = {value}" for name, value in run)
        run.clear()

    for name, value in attributes.items():
        key = name if _IDENTIFIER.match(name) else quoted(name)
        written = _value(value)
        if len(written) == 1:
            run.append((key, written[0]))
        else:
            close_run()
            lines += [f"{key} = {written[0]}", *written[1:]]
    close_run()
    return lines


def _value(value: Any) -> list[str]:
    if isinstance(value, Raw):
        return value.text.split("\n")
    if isinstance(value, Call):
        inner = _value(value.value)
        return (
            [f"{value.name}({inner[0]}", *inner[1:-1], f"{inner[-1]})"]
            if len(inner) > 1
            else [f"{value.name}({inner[0]})"]
        )
    if isinstance(value, Mapping):
        return ["{", *_indented(_assignments(value)), "}"] if value else ["{}"]
    if isinstance(value, list | tuple):
        return _list(value)
    return [_scalar(value)]


def _list(values: Sequence[Any]) -> list[str]:
    if len(values) <= 1 and not any(isinstance(value, Mapping) for value in values):
        return [f"[{''.join(line for value in values for line in _value(value))}]"]
    lines: list[str] = []
    for value in values:
        written = _value(value)
        lines += [*written[:-1], f"{written[-1]},"]
    return ["[", *_indented(lines), "]"]


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return str(value) if isinstance(value, int | float) else quoted(str(value))

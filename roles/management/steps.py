"""Steps as the command line shows them: planned ones and recorded ones alike, as JSON, as a table, as diffs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from difflib import unified_diff
from typing import Any

from roles.models import ProvisioningStep
from roles.models.choices import StepStatus
from roles.provisioning.plan_page import ChangeRow

_COLUMNS = ("step", "account", "action", "status", "resource")


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step. The field names are those of the JSON, which other programs read: they stay as they are."""

    step: int
    account_id: str
    resource: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    status: str
    error: str | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def planned(cls, row: ChangeRow) -> StepLine:
        """Return a change that has not been made. One that must not be made says why."""
        blocked = " ".join(part for part in (row.blocked, row.hint) if part) if row.blocked else None
        return cls(
            step=row.number,
            account_id=row.account,
            resource=row.resource,
            action=row.action,
            before=row.before,
            after=row.after,
            status=StepStatus.FAILED.value if blocked else StepStatus.PLANNED.value,
            error=blocked,
            warnings=row.warnings,
        )

    @classmethod
    def recorded(cls, row: ProvisioningStep) -> StepLine:
        """Return a step of a run."""
        return cls(
            step=row.step,
            account_id=row.account_id,
            resource=row.resource,
            action=row.action,
            before=row.before,
            after=row.after,
            status=row.status,
            error=" ".join(part for part in (row.error, row.hint) if part) or None,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object."""
        return asdict(self)


def table(steps: Iterable[StepLine]) -> Iterator[str]:
    """Yield the lines of a table, with what went wrong below the step it happened in."""
    rows = [(str(one.step), one.account_id, one.action, one.status, one.resource) for one in steps]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    yield _row(_COLUMNS, widths)
    yield from (_row(row, widths) for row in rows)


def diffs(steps: Iterable[StepLine]) -> Iterator[str]:
    """Yield a unified diff for each step that changes its document, and the warnings and the error of each."""
    for one in steps:
        if one.before != one.after:
            yield ""
            yield from unified_diff(
                _lines(one.before),
                _lines(one.after),
                f"{one.resource} (before)",
                f"{one.resource} (after)",
                lineterm="",
            )
        said = [*(f"Warning: {warning}" for warning in one.warnings), *([one.error] if one.error else [])]
        for sentence in said:
            yield ""
            yield f"Step {one.step}, {one.resource}: {sentence}"


def _lines(document: dict[str, Any] | None) -> list[str]:
    """Return indented JSON with keys in one order, so that only a change of meaning makes a line differ."""
    return [] if document is None else json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).splitlines()


def _row(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()

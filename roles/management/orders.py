"""An order at the command line: look at its plan, then give it as it was seen, and do it in this process."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from roles import context
from roles.errors import PortalError
from roles.management.results import BAD_INPUT, FAILED, PLANNED, Result, reconciled
from roles.management.seen import Seen, add_options
from roles.management.steps import StepLine
from roles.models import ProvisioningRun
from roles.models.choices import RunStatus
from roles.operations.confirmed import Look, confirmed, look


class OrderCommand(BaseCommand):
    """The two calls of an order: with `--plan`, and with what the plan said."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how to look, and what was seen."""
        parser.add_argument("--plan", action="store_true", help="read AWS, show what would be done, do nothing")
        add_options(parser)
        parser.add_argument("--reason", default="", help="why, for the history")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")

    def order(self, **options: Any) -> ProvisioningRun:
        """Queue the run by the operation. Raises what that raises, and `PortalError` for what it does not find."""
        raise NotImplementedError

    def handle(self, *args: Any, **options: Any) -> None:
        """Show the plan; or do what it said, if all is as it was seen, and show that."""
        if Seen.of(options) is None and not options["plan"]:
            raise CommandError(
                "Look with --plan first. Then give --expected-plan and --seen as the plan showed them, without --plan.",
                returncode=BAD_INPUT,
            )
        with context.use(context.RequestContext()):
            try:
                self._look(options) if options["plan"] else self._do(options)
            except PortalError as error:
                raise CommandError(str(error), returncode=BAD_INPUT) from error

    def _found(self, options: dict[str, Any]) -> Look:
        return look(actor=self.actor, change=lambda: self.order(**options))

    @property
    def actor(self) -> context.SystemActor:
        """Who the history says it was."""
        return context.SystemActor(f"command:{type(self).__module__.rpartition('.')[2]}")

    def _look(self, options: dict[str, Any], *, found: Look | None = None, stale: str = "") -> None:
        """Show the plan. Ends with 1 when it is blocked or AWS cannot be read, with 2 when it is not as it was seen."""
        found = found or self._found(options)
        errors = [one for one in (stale, found.problem, *found.blocked) if one]
        status = RunStatus.FAILED.value if errors else PLANNED if found.plan and found.plan.writes else ""
        result = Result()
        result.add(status or RunStatus.IN_SYNC.value, [StepLine.planned(row) for row in _rows(found)])
        if options["json"]:
            shown = {
                **result.as_json(),
                "expected_plan": found.digest,
                "seen": found.seen,
            }
            self.stdout.write(json.dumps(shown, indent=2, ensure_ascii=False))
        else:
            for line in (*result.as_lines(otherwise="AWS cannot be read now."), *_below(found)):
                self.stdout.write(line)
        if errors:
            raise CommandError("\n".join(errors), returncode=BAD_INPUT if stale else FAILED)

    def _do(self, options: dict[str, Any]) -> None:
        found = self._found(options)
        stale = found.moved(expected_plan=options["expected_plan"], seen=options["seen"])
        if stale or found.blocked:
            self._look(options, found=found, stale=stale)
            return
        run = confirmed(actor=self.actor, change=lambda: self.order(**options), expected_plan=options["expected_plan"])
        result = Result()
        done = reconciled(run.pk)
        owner = f"The account's owner has to apply documents: they are at run {done.pk}. Verify it there afterwards."
        waits = done.status == RunStatus.NEEDS_OWNER and not done.error
        result.add_run(done, owner if waits else f"{done.error} {done.hint}".strip())
        if options["json"]:
            self.stdout.write(json.dumps(result.as_json(), indent=2, ensure_ascii=False))
        else:
            for line in result.as_lines(otherwise="No step was begun."):
                self.stdout.write(line)
        if result.is_failure:
            raise CommandError("\n".join(result.errors) or f"Status: {result.status}.", returncode=FAILED)


def _rows(found: Look) -> tuple[Any, ...]:
    return found.plan.changes if found.plan else ()


def _below(found: Look) -> Iterator[str]:
    """Yield what there is to know of the plan, and how to confirm it."""
    yield "Plan: nothing was changed."
    if how := Seen(found.digest, found.seen).as_text():
        yield how

"""`manage.py import_config FILE.yaml`: enter what an admin can enter from a file; with `--plan`, show it."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError

from roles import context
from roles.errors import InvalidConfig, PortalError, StalePlan
from roles.management.config_schema import Reading, read_config
from roles.management.file_plan import FilePlan
from roles.management.results import BAD_INPUT
from roles.management.seen import Seen, add_options
from roles.operations.apply_config import ConfigReport, apply_config
from roles.provisioning.preview import rehearse
from roles.values.config import Config

ACTOR = context.SystemActor("command:import_config")
FAILED = 1


class Command(BaseCommand):
    """Make the portal say what a file says."""

    help = (
        "Apply a YAML file: what it lists becomes as it says, what it does not list is left alone. See export_config."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file, and how to look at it without changing anything."""
        parser.add_argument("file", metavar="FILE.yaml", help="the file to apply; - reads standard input")
        look = parser.add_mutually_exclusive_group()
        look.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
        look.add_argument("--plan", action="store_true", help="like --dry-run, and read AWS: what runs would do there")
        parser.add_argument("--json", action="store_true", help="print the plan as one JSON object")
        add_options(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, apply, report. Ends with 2 and nothing changed when the file is wrong, or its plan is not as seen."""
        seen = Seen.of(options)
        if options["json"] and not options["plan"] and not seen:
            raise CommandError("--json goes with --plan.", returncode=BAD_INPUT)
        reading = read_config(_text(options["file"]))
        try:
            with context.use(context.RequestContext()):
                report = self._planned_or_done(reading, seen, options)
        except PortalError as error:
            raise CommandError(f"{options['file']}: {error}", returncode=BAD_INPUT) from error
        if report is None:
            return
        for line in (*report.changes, *report.notes):
            self.stdout.write(line)
        if not report.changes:
            self.stdout.write("Nothing to change.")
        elif options["dry_run"]:
            self.stdout.write("Dry run: nothing was changed.")

    def _planned_or_done(self, reading: Reading, seen: Seen | None, options: dict[str, Any]) -> ConfigReport | None:
        """Apply, if all is as it was seen, and return what was done; or show the plan and return None."""
        as_json = options["json"]
        if options["plan"]:
            self._show_plan(reading, as_json=as_json)
            return None
        if seen is None:
            return _apply(reading, dry_run=options["dry_run"])
        now = _plan(reading)
        if stale := seen.moved(now.shown):
            self._show_stale(now, stale, as_json=as_json)
        try:
            return _apply(reading, dry_run=options["dry_run"], expected_plan=seen.expected_plan)
        except StalePlan as error:
            self._show_stale(_plan(reading), str(error), as_json=as_json)

    def _show_plan(self, reading: Reading, *, as_json: bool) -> None:
        """Print the plan of the whole file. Ends with 1 when it is blocked or AWS cannot be read."""
        plan = _plan(reading)
        self._print(plan, as_json=as_json)
        if plan.errors:
            raise CommandError("\n".join(plan.errors), returncode=FAILED)

    def _show_stale(self, plan: FilePlan, why: str, *, as_json: bool) -> NoReturn:
        """Print the plan as it is now, and end."""
        self._print(plan, as_json=as_json)
        raise CommandError("\n".join((why, *plan.errors)), returncode=BAD_INPUT)

    def _print(self, plan: FilePlan, *, as_json: bool) -> None:
        self.stdout.write(json.dumps(plan.as_json(), indent=2, ensure_ascii=False) if as_json else plan.as_text())


def _plan(reading: Reading) -> FilePlan:
    return FilePlan.of(rehearse(lambda: _apply(reading, dry_run=False)))


def _text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.", returncode=BAD_INPUT) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: is not UTF-8 text.", returncode=BAD_INPUT) from error


def _apply(reading: Reading, *, dry_run: bool, expected_plan: str = "") -> ConfigReport:
    """Apply what was read. With problems, still look for those that only show against the database."""
    if not reading.problems:
        return apply_config(actor=ACTOR, config=reading.config, dry_run=dry_run, expected_plan=expected_plan)
    more: tuple[str, ...] = ()
    try:
        if reading.config != Config():
            apply_config(actor=ACTOR, config=reading.config, dry_run=True)
    except InvalidConfig as error:
        more = error.problems
    raise InvalidConfig([*reading.problems, *more])

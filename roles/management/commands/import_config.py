"""`manage.py import_config FILE.yaml [--dry-run | --plan [--json]]`: enter what an admin can enter from a file."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from roles import context
from roles.errors import InvalidConfig, PortalError
from roles.management.config_schema import Reading, read_config
from roles.management.file_plan import FilePlan
from roles.operations.apply_config import ConfigReport, apply_config
from roles.provisioning.preview import Rehearsal, rehearse
from roles.values.config import Config

ACTOR = context.SystemActor("command:import_config")
FAILED, BAD_INPUT = 1, 2


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
        parser.add_argument("--json", action="store_true", help="with --plan: print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, apply, report. Ends with 2 and nothing changed when anything in the file is wrong."""
        if options["json"] and not options["plan"]:
            raise CommandError("--json goes with --plan.", returncode=BAD_INPUT)
        reading = read_config(_text(options["file"]))
        try:
            with context.use(context.RequestContext()):
                if options["plan"]:
                    planned = rehearse(lambda: _apply(reading, dry_run=False))
                else:
                    report = _apply(reading, dry_run=options["dry_run"])
        except PortalError as error:
            raise CommandError(f"{options['file']}: {error}", returncode=BAD_INPUT) from error
        if options["plan"]:
            self._show_plan(planned, as_json=options["json"])
            return
        for line in (*report.changes, *report.notes):
            self.stdout.write(line)
        if not report.changes:
            self.stdout.write("Nothing to change.")
        elif options["dry_run"]:
            self.stdout.write("Dry run: nothing was changed.")

    def _show_plan(self, rehearsal: Rehearsal[ConfigReport], *, as_json: bool) -> None:
        """Print the plan of the whole file. Ends with 1 when it is blocked or AWS cannot be read."""
        plan = FilePlan.of(rehearsal)
        self.stdout.write(json.dumps(plan.as_json(), indent=2, ensure_ascii=False) if as_json else plan.as_text())
        if plan.errors:
            raise CommandError("\n".join(plan.errors), returncode=FAILED)


def _text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}.", returncode=BAD_INPUT) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: is not UTF-8 text.", returncode=BAD_INPUT) from error


def _apply(reading: Reading, *, dry_run: bool) -> ConfigReport:
    """Apply what was read. With problems, still look for those that only show against the database."""
    if not reading.problems:
        return apply_config(actor=ACTOR, config=reading.config, dry_run=dry_run)
    more: tuple[str, ...] = ()
    try:
        if reading.config != Config():
            apply_config(actor=ACTOR, config=reading.config, dry_run=True)
    except InvalidConfig as error:
        more = error.problems
    raise InvalidConfig([*reading.problems, *more])

"""What a command's plan showed, given back to the command so that it does just that or nothing."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError

from roles.management.results import BAD_INPUT


@dataclass(frozen=True, slots=True)
class Seen:
    """The two digests of a plan: of what is wished, and of what AWS had. Both are empty where AWS was not read.

    The names are those of the JSON, which other programs read: they stay as they are.
    """

    expected_plan: str
    seen: str

    @classmethod
    def of(cls, options: dict[str, Any]) -> Seen | None:
        """Return what was given; None for nothing. Raises `CommandError` for half of it, or beside `--plan`."""
        given = cls(options["expected_plan"], options["seen"])
        if not given.expected_plan and not given.seen:
            return None
        if options["plan"] or not given.expected_plan or not given.seen:
            raise CommandError(
                "Give --expected-plan and --seen together, as --plan showed them, and without --plan.",
                returncode=BAD_INPUT,
            )
        return given

    def moved(self, now: Seen) -> str:
        """Return what is not any more as it was seen; empty for nothing."""
        if self.expected_plan != now.expected_plan:
            return "What is to be done changed since you looked. Nothing was changed: read the new plan."
        if self.seen != now.seen:
            return "AWS changed since you looked, or cannot be read. Nothing was changed: read the new plan."
        return ""

    def as_text(self) -> str:
        """Return how to confirm it; where AWS was not read it cannot be."""
        if not self.seen:
            return ""
        return f"To do just this, give: --expected-plan {self.expected_plan} --seen {self.seen}"


def add_options(parser: ArgumentParser) -> None:
    """Take what was seen."""
    parser.add_argument("--expected-plan", metavar="DIGEST", default="", help="do only what this plan showed")
    parser.add_argument("--seen", metavar="DIGEST", default="", help="what AWS had, as that plan showed it")

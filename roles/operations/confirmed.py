"""Look at what a change would do, and do it as it was seen, with the roles adopted that the admin was asked about."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from roles.errors import AwsError, text_of
from roles.models import IamRole
from roles.models.choices import RoleOwnership
from roles.operations._planned import planned
from roles.operations.adopt_role import adopt_role
from roles.provisioning import preview
from roles.provisioning.plan_page import PlanPage, plan_page
from roles.values.arns import role_arn

T = TypeVar("T")
_AGAIN = "Read the new plan and confirm again."


@dataclass(frozen=True, slots=True)
class Look:
    """What a change would do, as it is shown to whoever is asked.

    `plan` is None when AWS cannot be read; `problem` says why. `digest` covers what is wished, `seen` what AWS had.
    `said` tells in sentences what people gain and lose; `alters` is false when nothing in AWS or for them changes.
    """

    plan: PlanPage | None
    problem: str
    said: tuple[str, ...]
    digest: str
    seen: str
    alters: bool

    @property
    def blocked(self) -> tuple[str, ...]:
        """Why it must not be done as things are, each with what to do about it."""
        rows = self.plan.changes if self.plan else ()
        return tuple(f"{row.blocked} {row.hint}".strip() for row in rows if row.blocked)

    def moved(self, *, expected_plan: str, seen: str) -> str:
        """Return what is not any more as it was when these two were shown; empty for nothing."""
        if expected_plan != self.digest:
            return f"What is to be done changed since you looked. {_AGAIN}"
        if seen == self.seen:
            return ""
        return "AWS cannot be read any more." if self.problem else f"AWS changed since you looked. {_AGAIN}"


def look(*, actor: Any, change: Callable[[], object], adopt: Collection[str] = ()) -> Look:
    """Return what `change`, an operation, would do now; nothing is left of it.

    Raises what `confirmed` raises; an AWS that cannot be read is no error.
    """
    rehearsal = preview.rehearse(lambda: confirmed(actor=actor, change=change, adopt=adopt))
    plan, problem = None, ""
    try:
        plan = rehearsal.plan(partly=True)
    except AwsError as error:
        problem = text_of(error)
    return Look(
        plan=plan_page(plan) if plan else None,
        problem=problem,
        said=rehearsal.said,
        digest=rehearsal.digest,
        seen=plan.seen if plan else "",
        alters=rehearsal.alters,
    )


def confirmed(*, actor: Any, change: Callable[[], T], expected_plan: str = "", adopt: Collection[str] = ()) -> T:
    """Call `change`, an operation, and return what it returns; all or nothing.

    `expected_plan` is the digest of the plan that the actor saw. `adopt` are the ARNs of managed roles that turned out
    to exist already: the portal is to use them as they are. Raises `StalePlan`, `NotPermitted`, and what `change`
    raises.
    """
    with planned(expected_plan):
        # Those that the change itself enters can be adopted only after it.
        later = [arn for arn in adopt if not _adopt(actor, arn)]
        result = change()
        for arn in later:
            _adopt(actor, arn)
    return result


def _adopt(actor: Any, arn: str) -> bool:
    """Mark the role as adopted and return whether the portal knows it."""
    name = role_arn(arn, field="adopt")
    role = IamRole.objects.filter(account__account_id=name.account, name=name.name).select_related("account").first()
    if role is None:
        return False
    if role.ownership != RoleOwnership.ADOPTED:
        adopt_role(actor=actor, role=role)
    return True

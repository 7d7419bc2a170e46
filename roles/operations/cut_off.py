"""Make credentials that were handed out useless at once: of a person, of a mapping, or of a target role."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from roles.errors import InputError, StalePlan
from roles.history.recorder import record
from roles.models import CutOff, IamRole, ProvisioningRun
from roles.operations._cutting import Cutting, Whose, check_room, cuttings, digest_of
from roles.operations._rows import locked_roles, person
from roles.permissions import Rule, require
from roles.provisioning import outbox
from roles.tokens import events, revocation

__all__ = ["Cutting", "Whose", "check_cut_off", "cut_off", "digest_of"]

STARTED = "cutoff.started"


def check_cut_off(*, actor: Any, whose: Whose) -> list[Cutting]:
    """Return what a cut-off would hit now, by target role; raise as `cut_off` does. Changes nothing."""
    require(actor, Rule.CUT_OFF, whose.subject)
    found = cuttings(whose)
    check_room(found, timezone.now())
    return found


def cut_off(
    *, actor: Any, whose: Whose, reason: str = "", hits_everybody: bool = False, expected_plan: str = ""
) -> tuple[list[CutOff], list[ProvisioningRun]]:
    """Begin a cut-off at each target role concerned and return the rows, with the runs that bring them to AWS.

    Access is not taken away: who still has it gets new credentials, which work. What the portal has cached is
    forgotten at once. The cut-off is lifted by itself when the last of these credentials has expired.

    Args:
        hits_everybody: a target role's cut-off hits everybody who uses it, also without the portal; say that you know.
        expected_plan: `digest_of` what the actor saw, if anything.

    Raises:
        NotPermitted: the actor may not.
        Conflict: there is nothing to cut off.
        InputError: it would hit everybody, and nobody said so.
        PolicyTooLarge: the policy has no room for so many names.
        StalePlan: it would now hit others than the actor saw.
    """
    require(actor, Rule.CUT_OFF, whose.subject)
    with transaction.atomic():
        found = cuttings(whose)
        locked_roles(*(role for one in found for role in (one.target, one.source)))
        found = cuttings(whose)
        _check(found, hits_everybody=hits_everybody, expected_plan=expected_plan)
        moment = timezone.now()
        check_room(found, moment)
        rows = [_begun(one, one.row(whose, moment, reason=reason, started_by=person(actor)), actor) for one in found]
        runs = [_run(source, actor) for source in dict.fromkeys(one.source for one in found)]
        for one, row in zip(found, rows, strict=True):
            revocation.forget_tokens(one.cached, actor=actor, reason="The credentials were cut off.", subject=row)
    return rows, runs


def _check(found: list[Cutting], *, hits_everybody: bool, expected_plan: str) -> None:
    for one in found:
        if not one.names and not hits_everybody:
            raise InputError(
                f"This hits everybody who uses {one.target}, also those who do not come through the portal.",
                field="hits_everybody",
                hint="Confirm that this is meant.",
            )
    if expected_plan and digest_of(found) != expected_plan:
        raise StalePlan("Other credentials are concerned now than when you looked.", hint="Read it and confirm again.")


def _begun(one: Cutting, row: CutOff, actor: Any) -> CutOff:
    row.save()
    record(
        STARTED,
        actor=actor,
        subject=row,
        group=row.mapping.group.name if row.mapping else "",
        account_id=one.target.account.account_id,
        resource=str(one.target.arn),
        after={
            "names": row.names,
            "cut_before": row.cut_before.isoformat(),
            "lifts_at": row.lifts_at.isoformat(),
        },
        reason=row.reason,
        people=[str(user) for user in one.people],
        tokens=[events.facts_of(token) for token in one.tokens],
    )
    return row


def _run(source: IamRole, actor: Any) -> ProvisioningRun:
    return outbox.queue_run(actor=actor, role=source, trigger=STARTED)

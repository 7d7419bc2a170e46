"""Sign a tool out that shows a bearer: its own user may, and who may revoke others' bearers."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q

from roles.errors import Conflict
from roles.models import ToolBearer, User
from roles.operations._rows import locked
from roles.permissions import Rule, require
from roles.tokens import bearers


def revoke_bearer(*, actor: Any, bearer: ToolBearer, reason: str = "") -> ToolBearer:
    """Revoke a bearer and return it; whoever shows it from now on is refused.

    Credentials that it was given before work until they expire. Raises `NotPermitted`, `NotFound`, and `Conflict` for
    one that was revoked already.
    """
    if not (isinstance(actor, User) and actor.is_active and actor.pk == bearer.user_id):
        require(actor, Rule.REVOKE_BEARERS, bearer)
    with transaction.atomic():
        row = locked(ToolBearer, bearer.pk, "mapping__group")
        if row.revoked_at is not None:
            raise Conflict(f"{row} was signed out already.", hint="Nothing was changed.")
        bearers.end(
            Q(pk=row.pk),
            actor=actor,
            reason=reason or f"Signed out by {actor.get_username()}.",
            subject=row,
            group=row.mapping.group.name,
        )
    row.refresh_from_db(fields=["revoked_at"])
    return row

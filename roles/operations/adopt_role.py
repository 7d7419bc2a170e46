"""Let the portal use a role that exists in AWS and that it did not make."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict
from roles.models import IamRole
from roles.models.choices import RoleOwnership
from roles.operations._planned import planned
from roles.operations._rows import locked
from roles.operations.save_role import save_role
from roles.permissions import Rule, require


def adopt_role(*, actor: Any, role: IamRole, expected_plan: str = "") -> IamRole:
    """Set the role's ownership to adopted and return it; the source roles in use that it concerns get a run.

    From then on the portal adds to the role and keeps what is others'. Raises `NotPermitted`, `NotFound`, `StalePlan`,
    and `Conflict` for one that is adopted already.
    """
    require(actor, Rule.MANAGE_ROLES, role)
    with planned(expected_plan):
        row = locked(IamRole, role.pk, "account")
        if row.ownership == RoleOwnership.ADOPTED:
            raise Conflict(f"{row} is adopted already.", hint="Nothing was changed.")
        row.ownership = RoleOwnership.ADOPTED
        return save_role(actor=actor, role=row)

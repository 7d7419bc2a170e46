"""Create or change an IAM role."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict, InputError
from roles.history.recorder import record
from roles.models import IamRole
from roles.models.choices import RoleOwnership
from roles.operations._concerned import queue_runs, require_mappings_fit, sources_concerned
from roles.operations._own_identities import require_not_the_portals
from roles.operations._planned import planned
from roles.operations._rows import keep, locked, refused_as, validate
from roles.permissions import Rule, require


def save_role(*, actor: Any, role: IamRole, expected_plan: str = "") -> IamRole:
    """Save a new or changed role and return it. Its account, name and path never change: they are its ARN.

    When attribution or ownership changes, the source roles in use that it concerns are provisioned again.
    Raises `NotPermitted`, `NotFound`, `InputError` with its field, `Conflict`.
    """
    is_new = role.pk is None
    require(actor, Rule.MANAGE_ROLES, None if is_new else role)
    with planned(expected_plan):
        before = None if is_new else _kept(role)
        validate(role)
        _check_boundary(role)
        if is_new:
            require_not_the_portals(role)
        after = _content(role)
        if after == before:
            return role
        with refused_as(Conflict(f"{role.account} has a role of that name already.", hint="IAM ignores case.")):
            role.save()
        if before is not None and role.ownership == RoleOwnership.ADOPTED:
            require_mappings_fit(targets=[role.pk])
        code = "role.created" if before is None else "role.changed"
        record(
            code,
            actor=actor,
            subject=role,
            account_id=role.account.account_id,
            resource=str(role.arn),
            before=before,
            after=after,
        )
        if before is not None:
            queue_runs(sources_concerned([role]), actor=actor, trigger=code)
    return role


def _kept(role: IamRole) -> dict[str, Any]:
    """Return what is stored, after making sure that it is still about the same role."""
    stored = locked(IamRole, role.pk, "account")
    keep(role, stored, ("account", "name", "path"), "In AWS a role of another name is another role. Add that one.")
    return _content(stored)


def _check_boundary(role: IamRole) -> None:
    """Refuse a policy that AWS would refuse as this role's boundary: of another account or partition."""
    if not role.permissions_boundary:
        return
    _, partition, _, _, account, _ = role.permissions_boundary.split(":", 5)
    own = role.account.account_id
    if partition != role.account.partition or account not in (own, "aws"):
        raise InputError(
            f"'{role.permissions_boundary}' is not in the role's account.",
            field="permissions_boundary",
            allowed=f"a managed policy of account {own}, or one of AWS's own",
        )


def _content(role: IamRole) -> dict[str, Any]:
    return {
        "account": role.account.account_id,
        "name": role.name,
        "path": role.path,
        "ownership": role.ownership,
        "attribution": role.attribution,
        "permissions_boundary": role.permissions_boundary,
    }

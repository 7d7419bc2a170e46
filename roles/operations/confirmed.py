"""Do a change as it was seen in its plan, with the roles adopted that the admin was asked about."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from roles.models import IamRole
from roles.models.choices import RoleOwnership
from roles.operations._planned import planned
from roles.operations.adopt_role import adopt_role
from roles.values.arns import role_arn

T = TypeVar("T")


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

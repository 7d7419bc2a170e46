"""End all that hangs on roles: their mappings, then the chains through them, then their bucket grants.

In this order each source role is provisioned again once for each mapping or chain that it loses, and for no grant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from roles.errors import Conflict
from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, IamRole, UserGroup
from roles.operations._rows import locked, locked_roles
from roles.operations.end_assume_role_grant import end_assume_role_grant
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.operations.unmap_role import unmap_role


def end_all_of(roles: Sequence[IamRole], *, actor: Any, reason: str, nothing: str) -> dict[str, Any]:
    """End what is open of these roles and return what the history shows of it.

    Raises `Conflict` with the message `nothing` when nothing is open.
    """
    ids = [role.pk for role in roles]
    mappings = list(GroupRole.objects.open().filter(role__in=ids).select_related("group", "role__account"))
    chained = Q(source__in=ids) | Q(target__in=ids)
    chains = list(AssumeRoleGrant.objects.open().filter(chained).select_related("source__account", "target__account"))
    grants = list(BucketGrant.objects.open().filter(role__in=ids).select_related("role__account", "bucket"))
    if not mappings and not chains and not grants:
        raise Conflict(nothing, hint="There is nothing to end.")
    for group in sorted({mapping.group_id for mapping in mappings}):
        locked(UserGroup, group)
    locked_roles(*roles, *(role for chain in chains for role in (chain.source, chain.target)))
    for mapping in mappings:
        unmap_role(actor=actor, mapping=mapping, reason=reason)
    for chain in chains:
        end_assume_role_grant(actor=actor, grant=chain, reason=reason)
    for grant in grants:
        end_bucket_grant(actor=actor, grant=grant, reason=reason, is_one_of_several=True)
    return {
        "groups": sorted({mapping.group.name for mapping in mappings}),
        "assume_role_grants": [str(chain) for chain in chains],
        "bucket_grants": [str(grant) for grant in grants],
    }

"""Which source roles are in use: those with a mapping in force, and what uses a target through them."""

from __future__ import annotations

from roles.models import AssumeRoleGrant, GroupRole, IamRole


def role_of(role_id: int) -> IamRole:
    """Return a role as the database has it now, with its account."""
    return IamRole.objects.select_related("account").get(pk=role_id)


def in_use(role: IamRole) -> bool:
    """Return whether a mapping of this source role is in force."""
    return GroupRole.objects.in_force().filter(role=role).exists()


def sources_in_use(target: IamRole) -> list[IamRole]:
    """Return the source roles in use that have an open grant to assume `target`, by name."""
    mapped = GroupRole.objects.in_force().values("role")
    grants = AssumeRoleGrant.objects.open().filter(target=target, source__in=mapped)
    return [grant.source for grant in grants.select_related("source__account").order_by("source__name", "source_id")]

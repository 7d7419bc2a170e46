"""What it takes to delete a managed role, and what forbids it. Pure.

A role is deleted only when it carries the portal's tags and nothing of anybody else's hangs on it: no policy, no
statement in a policy of ours, no instance profile, and nobody else's statement in its trust policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from roles.policies.ownership import foreign_statements
from roles.provisioning.managed import is_ours, numbers_in
from roles.provisioning.resources import (
    CUT_OFF_POLICY_NAME,
    INLINE_POLICY_NAME,
    Action,
    Change,
    DesiredNoProfile,
    DesiredNoRole,
    ObservedProfile,
    ObservedWhole,
)
from roles.values.arns import RoleArn

OWN_INLINE_POLICIES = frozenset({INLINE_POLICY_NAME, CUT_OFF_POLICY_NAME})
_GOES = (
    "Its unique id goes with it: a policy that still names it shows AROA… then, and AWS takes no new version of that."
)
_RUNS_WITH_IT = "Programs and hosts that still run as the role lose their access at once; the portal cannot see them."


def no_role_change(wish: DesiredNoRole, current: ObservedWhole | None) -> tuple[Change, ObservedWhole | None]:
    """Return what deleting the role takes, or, where the wish only looks, what forbids it; and what is there then."""
    title = f"{'Look whether anybody else uses' if wish.looks_only else 'Delete role'} {wish.role.name}"
    if current is None:
        return Change(wish, Action.NONE, wish.resource, title, None, None), None
    trust = current.role.trust.as_dict()
    if blocked := _why_not(wish.role, current):
        hint = "The portal deletes only what it made and nobody else uses. Have its owner look at it."
        return Change(wish, Action.NONE, wish.resource, title, trust, trust, blocked=blocked, hint=hint), current
    if wish.looks_only:
        return Change(wish, Action.NONE, wish.resource, title, trust, trust, warnings=(_RUNS_WITH_IT,)), current
    return Change(wish, Action.DELETE, wish.resource, title, trust, None, warnings=(_GOES,)), None


def no_profile_change(wish: DesiredNoProfile, current: ObservedProfile | None) -> tuple[Change, ObservedProfile | None]:
    """Return what takes the role out of its instance profile, which then goes if the portal made it and it is empty."""
    name = wish.role.name
    if current is None:
        return Change(wish, Action.NONE, wish.resource, f"Delete instance profile {name}", None, None), None
    before, left = _profile(name, current.roles), tuple(role for role in current.roles if role != name)
    if wish.made_here and not left:
        title = f"Delete instance profile {name}"
        return Change(wish, Action.DELETE, wish.resource, title, before, None), None
    title = f"Take {name} out of its instance profile"
    warnings = () if wish.made_here else ("The portal did not make the profile, so it stays.",)
    action = Action.NONE if left == current.roles else Action.UPDATE
    change = Change(wish, action, wish.resource, title, before, _profile(name, left), warnings=warnings)
    return change, ObservedProfile(left)


def _profile(name: str, roles: tuple[str, ...]) -> dict[str, Any]:
    return {"InstanceProfileName": name, "Roles": list(roles)}


def _why_not(role: RoleArn, current: ObservedWhole) -> str:
    """Return why the role must stay, or empty."""
    if current.role.arn and current.role.arn != str(role):
        return f"The role {role.name} of account {role.account} is {current.role.arn}."
    if not is_ours(current.role.tags):
        return (
            f"The role {role.name} of account {role.account} does not carry the portal's tag: it is not the portal's."
        )
    found = [f"{what}: {', '.join(names)}" for what, names in _of_others(role, current) if names]
    return f"Others use the role {role.name}. {'; '.join(found)}." if found else ""


def _of_others(role: RoleArn, current: ObservedWhole) -> Iterable[tuple[str, list[str]]]:
    ours = {role.managed_policy(number) for number in numbers_in(role, current.attached)}
    trust = [one.sid or "one without a Sid" for one in foreign_statements(current.role.trust)]
    yield "Statements of others in its trust policy", trust
    yield "Attached policies that are not the portal's", [arn for arn in current.attached if arn not in ours]
    yield "Inline policies that are not the portal's", [one for one in current.inline if one not in OWN_INLINE_POLICIES]
    for policy, sids in sorted(current.foreign.items()):
        yield f"Statements of others in the policy {policy}", [sid or "one without a Sid" for sid in sids]
    yield "Instance profiles that hold it", [one for one in current.profiles if one.lower() != role.name.lower()]

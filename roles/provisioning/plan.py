"""What has to be done: from what is wished and what AWS has, to the changes between. Pure: reads and writes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from roles.policies.document import PolicyDocument
from roles.policies.equivalence import same_document
from roles.policies.ownership import ROLE_SIDS, foreign_statements, merged, merged_trust
from roles.policies.sids import ROLE_PORTAL
from roles.provisioning.absence import no_profile_change, no_role_change
from roles.provisioning.as_before import UNDONE, UNDONE_BY_OWNER, as_before_change, owners_change
from roles.provisioning.differences import OWNERS_MAY_MEND, foreign_blocker
from roles.provisioning.fitting import too_large
from roles.provisioning.left_alone import elsewhere, missing, not_ours, other_boundary
from roles.provisioning.managed import NO_ROLE_HINT, is_ours, policies_change, policies_document
from roles.provisioning.resources import (
    CUT_OFF_POLICY_NAME,
    INLINE_POLICY_NAME,
    Action,
    Change,
    Desired,
    DesiredAccess,
    DesiredAsBefore,
    DesiredDocument,
    DesiredNoProfile,
    DesiredNoRole,
    DesiredPolicies,
    DesiredProfile,
    DesiredRole,
    DesiredThing,
    Observed,
    ObservedPolicies,
    ObservedProfile,
    ObservedRole,
    ObservedWhole,
    Place,
    Plan,
    Seen,
    Step,
    holder_of,
    is_cut_off,
)
from roles.values.accounts import AccessMode
from roles.values.arns import MANAGED_POLICY_PREFIX, MANAGED_TAGS, RoleArn, role_arn

_PLACE_OF_TYPE: dict[type, Place] = {
    DesiredRole: Place.ROLE,
    DesiredProfile: Place.PROFILE,
    DesiredNoProfile: Place.PROFILE,
    DesiredNoRole: Place.WHOLE_ROLE,
    DesiredAccess: Place.NONE,
    DesiredPolicies: Place.MANAGED_POLICIES,
}
_PLACE_OF_STEP = {
    Step.ASSUME_POLICY: Place.INLINE_POLICY,
    Step.PASS_ROLE_POLICY: Place.INLINE_POLICY,
    Step.TARGET_TRUST: Place.ROLE,
    Step.BUCKET_POLICY: Place.BUCKET_POLICY,
}
Slot = tuple[Place, str]


def slot_of(wish: Desired) -> Slot:
    """Return which thing in AWS a wish is about: its kind and ARN. Wishes with the same slot share a document."""
    if isinstance(wish, DesiredAsBefore):
        return wish.place, wish.resource
    if type(wish) in _PLACE_OF_TYPE:
        return _PLACE_OF_TYPE[type(wish)], wish.resource
    if is_cut_off(wish.resource) or (wish.step is Step.BUCKET_POLICY and is_role(wish.resource)):
        return Place.INLINE_POLICY, wish.resource
    return _PLACE_OF_STEP[wish.step], wish.resource


def inline_policy_of(resource: str) -> tuple[RoleArn, str]:
    """Return the role and the name of the inline policy that a resource of a slot stands for."""
    return role_arn(holder_of(resource)), CUT_OFF_POLICY_NAME if is_cut_off(resource) else INLINE_POLICY_NAME


def is_role(resource: str) -> bool:
    """Return whether an ARN is a role's."""
    return ":role/" in resource


def plan_of(wishes: Iterable[Desired], observed: Mapping[Slot, Observed]) -> Plan:
    """Return the changes in order, each on top of those before it, with the digest of the wishes."""
    wanted, state = tuple(wishes), dict(observed)
    changes: list[Change] = []
    for wish in wanted:
        slot = slot_of(wish)
        change, state[slot] = change_for(wish, state.get(slot))
        changes.append(change)
    return Plan(tuple(changes), digest_of(wanted))


def digest_of(wishes: Iterable[Desired]) -> str:
    """Return 64 hex digits that are equal when the same is wished.

    They do not depend on what AWS has, so a plan that was half applied is still the plan that was confirmed; nor on
    who the portal is in AWS, which only AWS can say.
    """
    text = json.dumps([_wished(wish) for wish in wishes], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _wished(wish: Desired) -> list[Any]:
    place, resource = slot_of(wish)
    known: list[Any] = [wish.step.value, place.value, resource]
    if isinstance(wish, DesiredRole):
        bodies = [dict(one.body) for one in wish.trust or () if one.sid != ROLE_PORTAL]
        return [*known, wish.wanted, wish.managed, bodies, *([wish.boundary] if wish.boundary else [])]
    if isinstance(wish, DesiredDocument):
        return [*known, wish.owned, [dict(one.body) for one in wish.statements]]
    if isinstance(wish, DesiredAccess):
        return [*known, str(wish.source), str(wish.target), wish.prefix, wish.reads]
    if isinstance(wish, DesiredPolicies):
        return [*known, [document.as_dict() for document in wish.documents]]
    return [*known, _ordered(wish)]


def _ordered(wish: DesiredProfile | DesiredNoProfile | DesiredNoRole | DesiredAsBefore) -> Any:
    if isinstance(wish, DesiredAsBefore):
        return [wish.kept.as_dict() if wish.kept else None, wish.exactly, wish.owned]
    if isinstance(wish, DesiredNoProfile):
        return wish.made_here
    return wish.looks_only if isinstance(wish, DesiredNoRole) else wish.wanted


def change_for(wish: Desired, current: Observed) -> tuple[Change, Observed]:
    """Return the change that one wish takes, and what AWS has after it."""
    if isinstance(wish, DesiredAccess):
        where = f"{wish.bucket.name}/{wish.prefix}" if wish.prefix else wish.bucket.name
        title = f"Assume {wish.target.name} and {'list' if wish.reads else 'find'} {where}"
        return Change(wish, Action.VERIFY, wish.resource, title, None, None), None
    if wish.access.mode is AccessMode.HANDOFF:
        return _owners_change(wish, current)
    return _own_change(wish, current)


def _owners_change(wish: DesiredThing, current: Observed) -> tuple[Change, Observed]:
    """Return what the account's owner has to change: compared with AWS where that was read, else our own part."""
    warning = f"The owner of account {wish.access.account_id} has to apply this."
    if isinstance(current, Seen):
        # Who made a role there is the owner's to say: one without the portal's tag is as good.
        judged = replace(wish, managed=False) if isinstance(wish, DesiredRole) and current.state else wish
        change, after = _own_change(judged, current.state)
        change = replace(change, desired=wish)
        if not change.blocked and not isinstance(after, Seen):
            warnings = (*change.warnings, warning) if change.writes else change.warnings
            return replace(change, warnings=warnings), Seen(after)
    return own_part(wish, warning), None


def _own_change(wish: DesiredThing, current: Observed) -> tuple[Change, Observed]:
    if isinstance(wish, DesiredRole):
        return _role_change(wish, current if isinstance(current, ObservedRole) else None)
    if isinstance(wish, DesiredProfile):
        return _profile_change(wish, current if isinstance(current, ObservedProfile) else None)
    if isinstance(wish, DesiredPolicies):
        return policies_change(wish, current if isinstance(current, ObservedPolicies) else None, title=title_of(wish))
    return _part_change(wish, current) if isinstance(wish, DesiredDocument) else _ordered_change(wish, current)


def _ordered_change(
    wish: DesiredNoProfile | DesiredNoRole | DesiredAsBefore, current: Observed
) -> tuple[Change, Observed]:
    if isinstance(wish, DesiredNoProfile):
        return no_profile_change(wish, current if isinstance(current, ObservedProfile) else None)
    if isinstance(wish, DesiredNoRole):
        return no_role_change(wish, current if isinstance(current, ObservedWhole) else None)
    return _put_back(wish, current)


def _put_back(wish: DesiredAsBefore, current: Observed) -> tuple[Change, Observed]:
    """Return what puts a document back, with a warning if the database wishes otherwise."""
    role = current if isinstance(current, ObservedRole) else None
    if wish.place is Place.ROLE and role is None:
        blocked, hint = f"There is no role {wish.resource}.", NO_ROLE_HINT
        title = title_for(Step.TARGET_TRUST, wish.resource)
        return Change(wish, Action.NONE, wish.resource, title, None, None, blocked=blocked, hint=hint), None
    document = role.trust if role else current if isinstance(current, PolicyDocument) else None
    change, left = as_before_change(wish, document)
    after = replace(role, trust=left) if role and left else left
    if any(_own_change(one, after)[0].writes for one in wish.wished):
        undone = UNDONE_BY_OWNER if wish.access.mode is AccessMode.HANDOFF else UNDONE
        change = replace(change, warnings=(*change.warnings, undone))
    return change, after


def _part_change(wish: DesiredDocument, current: Observed) -> tuple[Change, Observed]:
    if slot_of(wish)[0] is Place.ROLE:
        return _trust_change(wish, current if isinstance(current, ObservedRole) else None)
    return _document_change(wish, current if isinstance(current, PolicyDocument) else None)


def title_of(wish: Desired) -> str:
    """Return what a step is about, as its heading."""
    own = wish.heading if isinstance(wish, DesiredDocument | DesiredPolicies | DesiredAsBefore) else ""
    return own or title_for(wish.step, wish.resource)


def title_for(step: Step, resource: str) -> str:
    """Return what a step about `resource` (an ARN) is about, known before anything is computed."""
    name = holder_of(resource).rpartition(":")[2].rpartition("/")[2]
    if is_cut_off(resource):
        return f"Cut off credentials of {name}"
    if ":instance-profile/" in resource:
        return f"Create instance profile {name}"
    if ":policy/" in resource:
        return f"Spread the policy of {name.removeprefix(MANAGED_POLICY_PREFIX)} over managed policies"
    if step is Step.BUCKET_POLICY and is_role(resource):
        return f"Give access to buckets in the policy of {name}"
    return {
        Step.SOURCE_ROLE: f"Create role {name}",
        Step.ASSUME_POLICY: f"Create policy of {name}",
        Step.PASS_ROLE_POLICY: f"Add iam:PassRole to the policy of {name}",
        Step.TARGET_ROLE: f"Create role {name}",
        Step.TARGET_TRUST: f"Edit trust relationship of {name}",
        Step.BUCKET_POLICY: f"Create bucket policy of {name}",
        Step.VERIFY: f"Verify access to {name}",
    }[step]


def own_part(wish: Desired, warning: str) -> Change:
    """Return our own part of a document that cannot be compared with AWS's; `warning` says why."""
    after: dict[str, Any] | None
    if isinstance(wish, DesiredAsBefore):
        return owners_change(wish, warning)
    if isinstance(wish, DesiredRole):
        after = merged_trust(None, wish.trust or (), owned=ROLE_SIDS).as_dict() if wish.wanted else None
    elif isinstance(wish, DesiredProfile):
        after = _profile_document(wish.role) if wish.wanted else None
    elif isinstance(wish, DesiredPolicies):
        after = policies_document(wish.role, dict(enumerate(wish.documents, start=1))) or None
    elif isinstance(wish, DesiredDocument):
        after = PolicyDocument(wish.statements).as_dict() if wish.statements else None
    else:
        after = None  # an order has no part of its own: all of it is about what AWS has
    action = Action.UPDATE if after else Action.NONE
    return Change(wish, action, wish.resource, title_of(wish), None, after, warnings=(warning,))


def _role_change(wish: DesiredRole, current: ObservedRole | None) -> tuple[Change, Observed]:
    title, name = title_of(wish), wish.role.name
    if current is None:
        if not wish.wanted:
            return Change(wish, Action.NONE, wish.resource, title, None, None), None
        document = merged_trust(None, wish.trust or (), owned=ROLE_SIDS)
        if wish.managed:
            blocked, hint = too_large(*slot_of(wish), document, wish.access)
            told = (f"It is created with the permissions boundary {wish.boundary}.",) if wish.boundary else ()
            change = Change(
                wish, Action.CREATE, wish.resource, title, None, document.as_dict(), 0, told, blocked=blocked, hint=hint
            )
            return change, ObservedRole(document, MANAGED_TAGS, wish.resource, wish.boundary)
        return missing(wish, title, f"{name} does not exist in account {wish.access.account_id}."), None
    if wish.wanted and current.arn and current.arn != wish.resource:
        return elsewhere(wish, title, current), current
    if wish.managed and wish.wanted and not is_ours(current.tags):
        return not_ours(wish, title, current), current
    document = current.trust if wish.trust is None else merged_trust(current.trust, wish.trust, owned=ROLE_SIDS)
    change, after = _trust_written(wish, current, document)
    if unlike := other_boundary(wish, current):
        change = replace(change, unlike=unlike, warnings=(*change.warnings, unlike))
    return change, after


def _trust_change(wish: DesiredDocument, current: ObservedRole | None) -> tuple[Change, Observed]:
    if current is None:
        if wish.statements:
            return missing(wish, title_of(wish), f"There is no role {wish.resource} to trust anybody."), None
        return Change(wish, Action.NONE, wish.resource, title_of(wish), None, None), None
    return _trust_written(wish, current, merged_trust(current.trust, wish.statements, owned=wish.owned))


def _trust_written(
    wish: DesiredRole | DesiredDocument, current: ObservedRole, document: PolicyDocument
) -> tuple[Change, Observed]:
    action = Action.NONE if same_document(current.trust, document) else Action.UPDATE
    blocked, hint = _refused(wish, document) if action is Action.UPDATE else ("", "")
    change = Change(
        wish,
        action,
        wish.resource,
        title_of(wish),
        current.trust.as_dict(),
        document.as_dict(),
        len(foreign_statements(document)),
        blocked=blocked,
        hint=hint,
    )
    return change, replace(current, trust=document)


def _profile_change(wish: DesiredProfile, current: ObservedProfile | None) -> tuple[Change, Observed]:
    before = None if current is None else _profile_document(wish.role, current.roles)
    wanted = _profile_document(wish.role)
    in_place = current is not None and wish.role.name in current.roles
    if in_place or not wish.wanted:
        return Change(wish, Action.NONE, wish.resource, title_of(wish), before, before), current
    action = Action.CREATE if current is None else Action.UPDATE
    blocked, hint = _taken(wish, current) if current is not None else ("", "")
    change = Change(wish, action, wish.resource, title_of(wish), before, wanted, blocked=blocked, hint=hint)
    return change, ObservedProfile((wish.role.name,), MANAGED_TAGS if current is None else current.tags)


def _taken(wish: DesiredProfile, current: ObservedProfile) -> tuple[str, str]:
    """Return why the role must not be put into the profile and what to do, or two empty texts."""
    if current.roles:
        hint = "AWS allows one role in a profile. Take that role out, or name this role differently."
        return f"The instance profile holds the role {current.roles[0]} already.", hint
    if not is_ours(current.tags):
        hint = (
            "If it is meant for this role, put the role into it in AWS: that is enough. Else delete it if nobody needs "
            "it, or name the role differently."
        )
        name, account = wish.role.name, wish.access.account_id
        return f"An instance profile {name} exists in account {account} that the portal did not make.", hint
    return "", ""


def _profile_document(role: RoleArn, roles: tuple[str, ...] | None = None) -> dict[str, Any]:
    return {"InstanceProfileName": role.name, "Roles": list(roles if roles is not None else (role.name,))}


def _document_change(wish: DesiredDocument, current: PolicyDocument | None) -> tuple[Change, Observed]:
    document = merged(current, wish.statements, owned=wish.owned)
    before = None if current is None else current.as_dict()
    after = None if document.is_empty else document.as_dict()
    action, blocked, hint = _action(current, document), "", ""
    if action in (Action.CREATE, Action.UPDATE):
        blocked, hint = _refused(wish, document)
    change = Change(
        wish,
        action,
        wish.resource,
        title_of(wish),
        before,
        after,
        len(foreign_statements(document)),
        blocked=blocked,
        hint=hint,
        others=_others(wish),
    )
    return change, None if document.is_empty else document


def _refused(wish: DesiredRole | DesiredDocument, document: PolicyDocument) -> tuple[str, str]:
    """Return why AWS would not take the document and what to do, or two empty texts."""
    if blocked := foreign_blocker(document):
        return blocked, OWNERS_MAY_MEND
    return too_large(*slot_of(wish), document, wish.access, others=_others(wish))


def _others(wish: DesiredRole | DesiredDocument) -> int:
    return wish.others or 0 if isinstance(wish, DesiredDocument) else 0


def _action(current: PolicyDocument | None, document: PolicyDocument) -> Action:
    if current is None:
        return Action.NONE if document.is_empty else Action.CREATE
    if document.is_empty:
        return Action.NONE if current.is_empty else Action.DELETE
    return Action.NONE if same_document(current, document) else Action.UPDATE

"""Do what a change says, and nothing else: no opinion, no reading. Returns AWS's request id."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from roles.aws import iam, managed_policies, s3
from roles.aws.sessions import AccountSession
from roles.policies.document import parse
from roles.provisioning.managed import NOT_ATTACHED, numbers_in
from roles.provisioning.observed import Accounts, bucket_of
from roles.provisioning.plan import inline_policy_of, slot_of
from roles.provisioning.resources import (
    Action,
    Change,
    DesiredAsBefore,
    DesiredDocument,
    DesiredNoProfile,
    DesiredNoRole,
    DesiredPolicies,
    DesiredProfile,
    DesiredRole,
    Place,
)
from roles.values.arns import MANAGED_TAGS, role_arn


def apply(change: Change, accounts: Accounts) -> str:
    """Write one change to AWS. Raises an `AwsError`, or `ValueError` for a change that writes nothing."""
    if not change.writes:
        raise ValueError(f"{change.title}: there is nothing to write.")
    place, _ = slot_of(change.desired)
    return _HANDLERS[place](change, accounts.session(change.desired.access))


def _apply_to_role(change: Change, session: AccountSession) -> str:
    wish, document = change.desired, parse(change.after or {})
    if isinstance(wish, DesiredRole) and change.action is Action.CREATE:
        return iam.create_role(session, wish.role, document, tags=MANAGED_TAGS, boundary=wish.boundary)
    return iam.update_assume_role_policy(session, role_arn(change.resource), document)


def _apply_to_whole_role(change: Change, session: AccountSession) -> str:
    return iam.delete_role(session, cast(DesiredNoRole, change.desired).role)  # as `slot_of` said


def _apply_to_profile(change: Change, session: AccountSession) -> str:
    wish = cast(DesiredProfile | DesiredNoProfile, change.desired)  # as `slot_of` said
    if isinstance(wish, DesiredNoProfile):
        request_id = iam.remove_role_from_instance_profile(session, wish.role)
        return iam.delete_instance_profile(session, wish.role) if change.action is Action.DELETE else request_id
    if change.action is Action.CREATE:
        iam.create_instance_profile(session, wish.role, tags=MANAGED_TAGS)
    return iam.add_role_to_instance_profile(session, wish.role)


def _apply_to_inline_policy(change: Change, session: AccountSession) -> str:
    role, name = inline_policy_of(change.resource)
    if change.after is None:
        return iam.delete_role_policy(session, role, name)
    return iam.put_role_policy(session, role, name, parse(change.after))


def _apply_to_managed_policies(change: Change, session: AccountSession) -> str:
    """Write in the order of the numbers, so that what moves up is in its new place before it leaves the old one."""
    wish = cast(DesiredPolicies, change.desired)  # as `slot_of` said
    role, before, request_id = wish.role, change.before or {}, ""
    there = {_policy_arn(wish, name): (name, document) for name, document in before.items()}
    for number, document in enumerate(wish.documents, start=1):
        arn = role.managed_policy(number)
        name, known = there.pop(arn, ("", None))
        if known is None:
            request_id = managed_policies.create_policy(session, arn, document, tags=MANAGED_TAGS)
        elif known != (change.after or {}).get(arn.rpartition("/")[2]):
            request_id = managed_policies.put_policy_version(session, arn, document)
        if known is None or name.endswith(NOT_ATTACHED):
            request_id = managed_policies.attach_role_policy(session, role, arn)
    for arn in there:
        managed_policies.detach_role_policy(session, role, arn)
        request_id = managed_policies.delete_policy(session, arn)
    return request_id


def _policy_arn(wish: DesiredPolicies, name: str) -> str:
    (number,) = numbers_in(wish.role, [f"{wish.resource.rpartition('/')[0]}/{name.removesuffix(NOT_ATTACHED)}"])
    return wish.role.managed_policy(number)


def _apply_to_bucket_policy(change: Change, session: AccountSession) -> str:
    wish = cast(DesiredDocument | DesiredAsBefore, change.desired)  # as `slot_of` said
    bucket = bucket_of(wish)
    if change.after is None:
        return s3.delete_bucket_policy(session, bucket, region=wish.region)
    return s3.put_bucket_policy(session, bucket, parse(change.after), region=wish.region)


_HANDLERS: dict[Place, Callable[[Change, AccountSession], str]] = {
    Place.ROLE: _apply_to_role,
    Place.WHOLE_ROLE: _apply_to_whole_role,
    Place.PROFILE: _apply_to_profile,
    Place.INLINE_POLICY: _apply_to_inline_policy,
    Place.MANAGED_POLICIES: _apply_to_managed_policies,
    Place.BUCKET_POLICY: _apply_to_bucket_policy,
}

"""What AWS has now: read one thing at a time, through a way into each account that is opened once a run."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings

from roles.aws import iam, managed_policies, s3, sts
from roles.aws.sessions import AccountSession, Purpose, forget_way, kept_session
from roles.errors import AwsAccessDenied, Misconfigured
from roles.policies.ownership import foreign_statements
from roles.provisioning.absence import OWN_INLINE_POLICIES
from roles.provisioning.managed import is_ours, numbers_in
from roles.provisioning.plan import Slot, inline_policy_of, slot_of
from roles.provisioning.resources import (
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
    Seen,
    State,
)
from roles.values.accounts import AccessMode, AccountAccess
from roles.values.arns import RoleArn, principal_of_caller, role_arn


class Accounts:
    """The ways into the accounts that one run or preview needs, each opened on first use.

    `is_page`: somebody waits for it, and waits little for an account's rate. `is_kept`: the ways of earlier runs of
    this process are used.
    """

    def __init__(self, *, is_page: bool = False, is_kept: bool = False) -> None:
        self._is_page, self._is_kept = is_page, is_kept
        self._has_signed_in_again = False
        self._began = datetime.now(UTC)
        self._sessions: dict[str, AccountSession] = {}

    def session(self, access: AccountAccess) -> AccountSession:
        """Return the way into an account."""
        if access.account_id not in self._sessions:
            self._sessions[access.account_id] = (
                kept_session(access) if self._is_kept else AccountSession(access, is_page=self._is_page)
            )
        return self._sessions[access.account_id]

    def reopen(self, access: AccountAccess) -> bool:
        """Forget the way into an account if it was opened before these were made, and return whether it was.

        AWS then may have refused what it would not refuse through a new one.
        """
        session = self._sessions.get(access.account_id)
        if session is None or session.opened_at is None or session.opened_at >= self._began:
            return False
        forget_way(self._sessions.pop(access.account_id))
        return True

    def sign_in_again(self) -> bool:
        """Forget all ways and the portal's own credentials, so that they are read again; False the second time."""
        if self._has_signed_in_again:
            return False
        self._has_signed_in_again = True
        self._sessions.clear()
        sts.forget_identity()
        return True


def portal_principals(region: str) -> tuple[str, ...]:
    """Return who the portal is in AWS: its identity that hands out tokens and the one that provisions, as ARNs.

    Asks STS, unless the setting XACCT_PORTAL_PRINCIPALS says it. Raises an `AwsError` when STS does not answer.
    """
    if settings.XACCT_PORTAL_PRINCIPALS:
        return tuple(settings.XACCT_PORTAL_PRINCIPALS)
    callers = [sts.caller_arn(region=region, purpose=purpose) for purpose in (Purpose.TOKENS, Purpose.PROVISIONING)]
    return tuple(sorted({principal_of_caller(caller) for caller in callers}))


def observe(wish: Desired, accounts: Accounts) -> Observed:
    """Read what AWS has in the place that `wish` is about. Raises an `AwsError`; only "not there" reads as None.

    In a handoff account it is `Seen`, or None where its owner does not let the portal read that.
    """
    if isinstance(wish, DesiredAccess):
        return None
    return _look(wish, accounts) if wish.access.mode is AccessMode.HANDOFF else _read(wish, accounts)


def _look(wish: DesiredThing, accounts: Accounts) -> Seen | None:
    if not wish.access.is_readable:
        return None
    try:
        found = _read(wish, accounts)
    except AwsAccessDenied:
        return None
    return Seen(found)


def _read(wish: DesiredThing, accounts: Accounts) -> State:
    session = accounts.session(wish.access)
    if isinstance(wish, DesiredRole):
        return _read_role(session, wish.role)
    if isinstance(wish, DesiredNoRole):
        return _read_whole(session, wish.role)
    if isinstance(wish, DesiredProfile | DesiredNoProfile):
        profile = iam.get_instance_profile(session, wish.role)
        return None if profile is None else ObservedProfile(profile.roles, profile.tags)
    if isinstance(wish, DesiredPolicies):
        return _read_policies(session, wish)
    return _read_document(session, wish)


def _read_document(session: AccountSession, wish: DesiredDocument | DesiredAsBefore) -> State:
    place, resource = slot_of(wish)
    if place is Place.ROLE:
        return _read_role(session, role_arn(resource))
    if place is Place.INLINE_POLICY:
        return iam.get_role_policy(session, *inline_policy_of(resource))
    return s3.get_bucket_policy(session, bucket_of(wish), region=wish.region)


def observe_all(wishes: tuple[Desired, ...], accounts: Accounts) -> dict[Slot, Observed]:
    """Read each thing that the wishes are about once."""
    found: dict[Slot, Observed] = {}
    for wish in wishes:
        slot = slot_of(wish)
        if slot not in found:
            found[slot] = observe(wish, accounts)
    return found


def bucket_of(wish: DesiredDocument | DesiredAsBefore) -> str:
    """Return the name of the bucket that a bucket policy's wish is about."""
    _, is_bucket, name = wish.resource.rpartition(":::")
    if not is_bucket:
        raise Misconfigured(f"{wish.resource} is not a bucket's ARN.")
    return name


def _read_role(session: AccountSession, role: RoleArn) -> ObservedRole | None:
    state = iam.get_role(session, role)
    return None if state is None else ObservedRole(state.trust, state.tags, state.arn, state.boundary)


def _read_whole(session: AccountSession, role: RoleArn) -> ObservedWhole | None:
    """Read the role with all that hangs on it, and what others have in the policies of ours."""
    found = _read_role(session, role)
    if found is None:
        return None
    inline = iam.role_policies(session, role)
    documents = {name: iam.get_role_policy(session, role, name) for name in inline if name in OWN_INLINE_POLICIES}
    foreign = {name: foreign_statements(document) for name, document in documents.items() if document}
    return ObservedWhole(
        found,
        inline,
        managed_policies.attached_policies(session, role) or (),
        iam.instance_profiles_of(session, role),
        {name: tuple(one.sid for one in theirs) for name, theirs in foreign.items() if theirs},
    )


def _read_policies(session: AccountSession, wish: DesiredPolicies) -> ObservedPolicies:
    """Read the managed policies that are wished for, that may be left, or that are attached in our places."""
    found_on_role = managed_policies.attached_policies(session, wish.role)
    arns = found_on_role or ()
    attached = numbers_in(wish.role, arns)
    found = {}
    for number in range(1, max(len(wish.documents), wish.known, *attached, 0) + 1):
        state = managed_policies.get_policy(session, wish.role.managed_policy(number))
        if state is not None:
            found[number] = state
    return ObservedPolicies(
        {number: state.document for number, state in found.items()},
        attached,
        others=len(arns) - len(attached),
        taken=frozenset(number for number, state in found.items() if not is_ours(state.tags)),
        has_role=found_on_role is not None,
    )

"""Try the way into an account and say in words what was found: who the portal is there, what it may do, what is wrong.

Changes nothing in AWS and takes seconds: time-outs are short, and what there was no time for is said to be unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from roles.aws import iam, s3
from roles.aws.probe import Identity, Probe
from roles.aws.sessions import AccountSession
from roles.errors import AwsAccessDenied, AwsError, AwsNotFound, PolicySyntax
from roles.models import AwsAccount, Bucket
from roles.policies.provisioner import ACTIONS, provisioner_policy
from roles.provisioning import remarks as words
from roles.provisioning.remarks import Remark, Tone
from roles.provisioning.resources import INLINE_POLICY_NAME
from roles.provisioning.scope import provisioner_scope
from roles.values.accounts import AccessMode
from roles.values.arns import RoleArn, principal_of_caller, role_arn

SECONDS_MAX = 20.0
SKEW_SEEN = timedelta(minutes=1)
# AWS Signature Version 4: a request may be five minutes old; S3 takes fifteen.
SKEW_REFUSED = timedelta(minutes=5)


class Verdict(StrEnum):
    """What is known of one permission."""

    ALLOWED = "allowed"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Permission:
    """One action on one resource that the engine needs, why, and whether the portal has it."""

    action: str
    resource: str
    purpose: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ConnectionReport:
    """What was found. `identity` is the ARN that STS names, empty when the portal did not get that far.

    `is_simulated`: IAM was asked for the permissions; else they are known from reading as far as reading shows them.
    """

    account_id: str
    identity: str = ""
    remarks: tuple[Remark, ...] = ()
    permissions: tuple[Permission, ...] = ()
    is_simulated: bool = False

    @property
    def works(self) -> bool:
        """Whether nothing is known to be wrong."""
        return bool(self.identity) and not self.missing and all(one.tone is not Tone.BAD for one in self.remarks)

    @property
    def missing(self) -> tuple[Permission, ...]:
        """What is needed and refused."""
        return self._with(Verdict.MISSING)

    @property
    def unknown(self) -> tuple[Permission, ...]:
        """What could not be found out without writing."""
        return self._with(Verdict.UNKNOWN)

    @property
    def allowed(self) -> tuple[Permission, ...]:
        """What is needed and allowed."""
        return self._with(Verdict.ALLOWED)

    def _with(self, verdict: Verdict) -> tuple[Permission, ...]:
        return tuple(one for one in self.permissions if one.verdict is verdict)


def try_connection(account: AwsAccount) -> ConnectionReport:
    """Return what the way into `account` is like now. Raises nothing that AWS says: it is in the report."""
    access = account.access()
    if access.mode is AccessMode.HANDOFF:
        return ConnectionReport(account.account_id, remarks=(words.HANDOFF,))
    probe = Probe(access)
    try:
        identity = probe.identity()
    except AwsError as error:
        remarks = [words.of_way_in(error, account), *_of_clock(probe.skew)]
        return ConnectionReport(account.account_id, remarks=tuple(remarks))
    remarks = [*_of_clock(probe.skew), *words.of_identity(identity.arn, identity.account_id, account)]
    if identity.account_id != account.account_id:
        return ConnectionReport(account.account_id, identity.arn, tuple(remarks))
    permissions, is_simulated, more = _Permissions(probe, account, identity).find()
    remarks += [*more, *_of_trust_quota(probe, account)]
    return ConnectionReport(account.account_id, identity.arn, tuple(remarks), permissions, is_simulated)


def _of_clock(skew: timedelta | None) -> Iterator[Remark]:
    if skew is not None and abs(skew) > SKEW_SEEN:
        yield words.of_clock(skew, is_refused=abs(skew) >= SKEW_REFUSED)


def _of_trust_quota(probe: Probe, account: AwsAccount) -> Iterator[Remark]:
    """Yield a remark if AWS has another quota. Nothing else needs to know it, so it is no permission to ask for."""
    with suppress(AwsError):
        found = probe.trust_quota()
        if found != account.trust_policy_characters:
            yield words.of_trust_quota(found, account)


class _Permissions:
    """What of the engine's needs one identity may do: asked of IAM where that is allowed, else seen by reading."""

    def __init__(self, probe: Probe, account: AwsAccount, identity: Identity) -> None:
        self._probe = probe
        self._account = account
        self._principal = account.access().role_arn or principal_of_caller(identity.arn)
        self._until = time.monotonic() + SECONDS_MAX
        self._regions = dict(Bucket.objects.filter(account=account).values_list("name", "region"))
        self._remarks: list[Remark] = []

    def find(self) -> tuple[tuple[Permission, ...], bool, tuple[Remark, ...]]:
        """Return all that the engine needs with its verdict, whether IAM was asked, and what else was seen."""
        needed = _needed(self._account)
        if not needed:
            self._remarks.append(words.NOTHING_THERE)
        verdicts = self._simulated(needed)
        is_simulated = verdicts is not None
        read = self._read(needed)
        # IAM does not look at the buckets' own policies, nor at what a role's session was cut to: a read that is
        # refused counts for more than its answer.
        refused = {key: one for key, one in read.items() if one is Verdict.MISSING}
        found = {**read, **(verdicts or {}), **refused}
        permissions = [
            Permission(action, resource, ACTIONS[action], found.get((action, resource), Verdict.UNKNOWN))
            for resource, actions in needed.items()
            for action in actions
        ]
        if any(one.verdict is Verdict.UNKNOWN for one in permissions):
            self._remarks.append(words.out_of_time() if self._is_late else words.NOT_SIMULATED)
        return tuple(permissions), is_simulated, tuple(self._remarks)

    @property
    def _is_late(self) -> bool:
        return time.monotonic() > self._until

    def _simulated(self, needed: dict[str, list[str]]) -> dict[tuple[str, str], Verdict] | None:
        """Return IAM's answer for each action and resource; None when it may not be asked."""
        found: dict[tuple[str, str], Verdict] = {}
        for resource, actions in needed.items():
            if self._is_late:
                break
            try:
                allowed = self._probe.simulate(self._principal, actions, resource)
            except AwsError:
                break
            for action, yes in allowed.items():
                found[action, resource] = Verdict.ALLOWED if yes else Verdict.MISSING
        return found or None

    def _read(self, needed: dict[str, list[str]]) -> dict[tuple[str, str], Verdict]:
        found: dict[tuple[str, str], Verdict] = {}
        for resource, actions in needed.items():
            for action in actions:
                call = self._reading(action, resource)
                if call is not None and not self._is_late:
                    found[action, resource] = self._verdict(call)
        return found

    def _verdict(self, call: Callable[[], Any]) -> Verdict:
        try:
            call()
        except (AwsNotFound, PolicySyntax):
            return Verdict.ALLOWED
        except AwsAccessDenied:
            return Verdict.MISSING
        except AwsError:
            return Verdict.UNKNOWN
        return Verdict.ALLOWED

    def _reading(self, action: str, resource: str) -> Callable[[], Any] | None:
        """Return the call that shows whether `action` is allowed without changing anything, if there is one."""
        session = self._probe.session
        if action == "s3:GetBucketPolicy":
            return partial(self._read_bucket, resource.rpartition(":::")[2])
        if action == "iam:GetAccountAuthorizationDetails":
            return self._probe.read_roles
        if action == "iam:GetInstanceProfile":
            return partial(iam.get_instance_profile, session, _role_of_profile(resource))
        if action == "iam:GetRolePolicy":
            return partial(iam.get_role_policy, session, role_arn(resource), INLINE_POLICY_NAME)
        reads: dict[str, Callable[[AccountSession, RoleArn], object]] = {
            "iam:GetRole": iam.get_role,
            "iam:ListRolePolicies": iam.role_policies,
            "iam:ListInstanceProfilesForRole": iam.instance_profiles_of,
        }
        return partial(reads[action], session, role_arn(resource)) if action in reads else None

    def _read_bucket(self, name: str) -> None:
        region = self._regions[name]
        self._probe.bucket_region = ""
        try:
            s3.get_bucket_policy(self._probe.session, name, region=region)
        except AwsNotFound:  # of the bucket: one without a policy reads as None
            self._remarks.append(words.no_bucket(name, self._account))
            raise
        except AwsAccessDenied:
            self._remarks.append(words.bucket_refused(name, self._account))
            raise
        finally:
            if self._probe.bucket_region not in ("", region):
                self._remarks.append(words.other_region(name, region, self._probe.bucket_region))


def _needed(account: AwsAccount) -> dict[str, list[str]]:
    """Return the actions that the engine needs on each resource (an ARN, or '*')."""
    needed: dict[str, list[str]] = {}
    for statement in provisioner_policy(provisioner_scope(account)).statements:
        if statement.body["Effect"] == "Allow":
            for resource in statement.body["Resource"]:
                needed.setdefault(resource, []).extend(statement.body["Action"])
    return needed


def _role_of_profile(arn: str) -> RoleArn:
    return role_arn(arn.replace(":instance-profile/", ":role/", 1))


def in_words(permissions: Iterable[Permission]) -> list[str]:
    """Return one sentence for each action: what cannot be done without it, and where.

    >>> in_words([Permission("iam:GetRole", "arn:aws:iam::222222222222:role/B", "read a role", Verdict.MISSING)])
    ['iam:GetRole on arn:aws:iam::222222222222:role/B, to read a role.']
    """
    places: dict[str, list[str]] = {}
    for one in permissions:
        places.setdefault(one.action, []).append(one.resource)
    return [f"{action} on {', '.join(found)}, to {ACTIONS[action]}." for action, found in places.items()]

"""AWS in memory, behind the functions of `roles.aws.iam`, `s3` and `sts` that the provisioning engine calls.

It refuses what AWS refuses where that matters to the engine: a policy that names a role which does not exist, an access
that one of the documents does not give, a bucket of another account. It can be late, fail at a call, and let the caller
die at a call. Call numbers begin at 1; a number means one call of any kind.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from roles.aws import iam, managed_policies, s3, sts
from roles.aws.iam import RoleState
from roles.aws.sessions import AccountSession, Purpose
from roles.errors import (
    AwsAccessDenied,
    AwsConflict,
    AwsError,
    AwsNotFound,
    AwsPropagating,
    AwsThrottled,
)
from roles.policies.document import PolicyDocument, parse
from roles.values.arns import RoleArn
from roles.values.credentials import Credentials
from tests.fakes.managed import MANAGED, ManagedPolicies
from tests.fakes.profiles import PROFILES, InstanceProfiles

PORTAL = "arn:aws:iam::111111111111:user/xacct-portal"
WRITES = ("create_", "put_", "update_", "delete_", "add_", "attach_", "detach_", "remove_")
Document = dict[str, Any]


class Killed(BaseException):
    """The worker is gone, as with SIGKILL: nothing below may catch it as an error."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call: boto3's verb, and the ARN or bucket it was about."""

    name: str
    about: str

    @property
    def is_write(self) -> bool:
        return self.name.startswith(WRITES)


@dataclass
class Role:
    """A role with its inline policies by name."""

    arn: str
    trust: Document
    tags: dict[str, str] = field(default_factory=dict)
    policies: dict[str, Document] = field(default_factory=dict)
    attached: list[str] = field(default_factory=list)
    boundary: str = ""


@dataclass
class FakeAws(ManagedPolicies, InstanceProfiles):
    """All accounts. `roles` and `profiles` by (account, name), `managed` policies by ARN, `buckets` by name with the
    owner's account id."""

    roles: dict[tuple[str, str], Role] = field(default_factory=dict)
    buckets: dict[str, str] = field(default_factory=dict)
    bucket_policies: dict[str, Document] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    die_after: int | None = None
    die_before: int | None = None
    fail_at: dict[int, AwsError] = field(default_factory=dict)
    fail_always: dict[str, AwsError] = field(default_factory=dict)
    fail_times: dict[str, list[AwsError]] = field(default_factory=dict)
    before_call: Callable[[Call], None] = lambda _call: None
    _sessions: dict[str, str] = field(default_factory=dict)
    _hidden: Counter[str] = field(default_factory=Counter)

    # --- what tests look at and arrange ---

    @property
    def writes(self) -> list[str]:
        """The names of the calls that change AWS."""
        return [call.name for call in self.calls if call.is_write]

    def state(self) -> Document:
        """Return everything there is, for comparing two worlds."""
        roles = {arn.arn: [arn.trust, arn.tags, arn.policies, arn.attached] for arn in self.roles.values()}
        profiles = {str(k): v for k, v in self.profiles.items()}
        managed = {arn: [policy.document, policy.tags] for arn, policy in self.managed.items()}
        return json.loads(json.dumps([roles, profiles, self.bucket_policies, managed]))

    def role(self, arn: str) -> Role:
        """Return a role that is there."""
        return next(role for role in self.roles.values() if role.arn == arn)

    def add_role(self, arn: str, trust: Document | None = None, **tags: str) -> Role:
        """Make a role as its owner would, outside the portal."""
        default = {"Version": "2012-10-17", "Statement": [foreign("Ec2", Principal={"Service": "ec2.amazonaws.com"})]}
        role = Role(arn, trust or default, dict(tags))
        self.roles[arn.split(":")[4], arn.rpartition("/")[2]] = role
        return role

    def hide(self, arn: str, reads: int) -> None:
        """Let the next reads of a thing show nothing, as AWS may just after it was made."""
        self._hidden[arn] = reads

    def once(self, name: str, act: Callable[[], object], about: str = "") -> None:
        """Let something happen just before the first call of that name (about that ARN)."""

        def before(call: Call) -> None:
            if call.name == name and about in ("", call.about):
                self.before_call = lambda _call: None
                act()

        self.before_call = before

    # --- the machinery ---

    def _called(self, name: str, about: str, act: Callable[[], Any]) -> Any:
        call = Call(name, about)
        self.before_call(call)
        number = len(self.calls) + 1
        if self.die_before == number:
            raise Killed
        self.calls.append(call)
        if number in self.fail_at:
            raise self.fail_at[number]
        if self.fail_times.get(name):
            raise self.fail_times[name].pop(0)
        if name in self.fail_always:
            raise self.fail_always[name]
        try:
            return act()
        finally:
            if self.die_after == number:
                raise Killed

    def _is_hidden(self, arn: str) -> bool:
        if self._hidden[arn] > 0:
            self._hidden[arn] -= 1
            return True
        return False

    def _role_of(self, session: AccountSession, role: RoleArn) -> Role:
        found = self.roles.get((session.access.account_id, role.name))
        if found is None:
            raise AwsNotFound(f"no role {role}", aws_code="NoSuchEntity", request_id="req-missing")
        return found

    def _check_principals(self, document: PolicyDocument) -> None:
        known = {role.arn for role in self.roles.values()} | {PORTAL}
        for statement in document.statements:
            principal = statement.body.get("Principal", {})
            names = principal.get("AWS", []) if isinstance(principal, Mapping) else []
            for name in [names] if isinstance(names, str) else names:
                if name != "*" and ":role/" in name and name not in known:
                    raise AwsPropagating(f"Invalid principal in policy: {name}", aws_code="MalformedPolicy")

    def _own_policies(self, arn: str) -> list[Document]:
        role = self.role(arn)
        return [*role.policies.values(), *(self.managed[one].document for one in role.attached if one in self.managed)]

    def _request_id(self) -> str:
        return f"req-{len(self.calls)}"

    # --- IAM ---

    def get_role(self, session: AccountSession, role: RoleArn) -> RoleState | None:
        def act() -> RoleState | None:
            found = self.roles.get((session.access.account_id, role.name))
            if found is None or self._is_hidden(found.arn):
                return None
            return RoleState(found.arn, "AROAEXAMPLE", parse(found.trust), dict(found.tags), "/")

        return self._called("get_role", str(role), act)

    def create_role(
        self,
        session: AccountSession,
        role: RoleArn,
        trust: PolicyDocument,
        *,
        tags: Mapping[str, str],
        boundary: str = "",
    ) -> str:
        def act() -> str:
            if (session.access.account_id, role.name) in self.roles:
                raise AwsConflict(f"{role} exists", aws_code="EntityAlreadyExists")
            self._check_principals(trust)
            self.add_role(str(role), trust.as_dict(), **tags).boundary = boundary
            return self._request_id()

        return self._called("create_role", str(role), act)

    def update_assume_role_policy(self, session: AccountSession, role: RoleArn, document: PolicyDocument) -> str:
        def act() -> str:
            found = self._role_of(session, role)
            self._check_principals(document)
            found.trust = document.as_dict()
            return self._request_id()

        return self._called("update_assume_role_policy", str(role), act)

    def delete_role(self, session: AccountSession, role: RoleArn) -> str:
        def act() -> str:
            found = self.roles.get((session.access.account_id, role.name))
            held = [name for (account, name), held in self.profiles.items() if role.name in held]
            if found is not None and (found.policies or found.attached or held):
                raise AwsConflict(f"{role} has something on it", aws_code="DeleteConflict")
            self.roles.pop((session.access.account_id, role.name), None)
            return self._request_id()

        return self._called("delete_role", str(role), act)

    def role_policies(self, session: AccountSession, role: RoleArn) -> tuple[str, ...]:
        def act() -> tuple[str, ...]:
            found = self.roles.get((session.access.account_id, role.name))
            return tuple(found.policies) if found else ()

        return self._called("role_policies", str(role), act)

    def get_role_policy(self, session: AccountSession, role: RoleArn, policy_name: str) -> PolicyDocument | None:
        def act() -> PolicyDocument | None:
            found = self.roles.get((session.access.account_id, role.name))
            policy = found.policies.get(policy_name) if found else None
            return None if policy is None else parse(policy)

        return self._called("get_role_policy", str(role), act)

    def put_role_policy(
        self, session: AccountSession, role: RoleArn, policy_name: str, document: PolicyDocument
    ) -> str:
        def act() -> str:
            self._role_of(session, role).policies[policy_name] = document.as_dict()
            return self._request_id()

        return self._called("put_role_policy", str(role), act)

    def delete_role_policy(self, session: AccountSession, role: RoleArn, policy_name: str) -> str:
        def act() -> str:
            self._role_of(session, role).policies.pop(policy_name, None)
            return self._request_id()

        return self._called("delete_role_policy", str(role), act)

    # --- S3 ---

    def _check_owner(self, bucket: str, account_id: str) -> None:
        if bucket not in self.buckets:
            raise AwsNotFound(f"no bucket {bucket}", aws_code="NoSuchBucket")
        if self.buckets[bucket] != account_id:
            raise AwsAccessDenied(f"{bucket} is not owned by {account_id}", aws_code="AccessDenied")

    def get_bucket_policy(self, session: AccountSession, bucket: str, *, region: str) -> PolicyDocument | None:
        def act() -> PolicyDocument | None:
            self._check_owner(bucket, session.access.account_id)
            policy = self.bucket_policies.get(bucket)
            return None if policy is None else parse(policy)

        return self._called("get_bucket_policy", bucket, act)

    def put_bucket_policy(self, session: AccountSession, bucket: str, document: PolicyDocument, *, region: str) -> str:
        def act() -> str:
            self._check_owner(bucket, session.access.account_id)
            self._check_principals(document)
            self.bucket_policies[bucket] = document.as_dict()
            return self._request_id()

        return self._called("put_bucket_policy", bucket, act)

    def delete_bucket_policy(self, session: AccountSession, bucket: str, *, region: str) -> str:
        def act() -> str:
            self._check_owner(bucket, session.access.account_id)
            self.bucket_policies.pop(bucket, None)
            return self._request_id()

        return self._called("delete_bucket_policy", bucket, act)

    def list_prefix(self, credentials: Credentials, bucket: str, *, region: str, account_id: str, prefix: str) -> str:
        return self._used("list_prefix", credentials, bucket, account_id, "s3:ListBucket")

    def get_bucket_location(self, credentials: Credentials, bucket: str, *, region: str, account_id: str) -> str:
        return self._used("get_bucket_location", credentials, bucket, account_id, "s3:GetBucketLocation")

    def _used(self, name: str, credentials: Credentials, bucket: str, account_id: str, action: str) -> str:
        def act() -> str:
            self._check_owner(bucket, account_id)
            caller = self._sessions[credentials.access_key_id]
            own = self._own_policies(caller)
            is_allowed = any(_allows(one, action, resource=f"arn:aws:s3:::{bucket}") for one in own)
            if not is_allowed and not _allows(self.bucket_policies.get(bucket), action, principal=caller):
                raise AwsAccessDenied(f"{caller} may not {action} on {bucket}", aws_code="AccessDenied")
            return self._request_id()

        answer: str = self._called(name, bucket, act)
        return answer

    # --- STS ---

    def caller_arn(self, *, region: str, purpose: Purpose) -> str:
        return PORTAL

    def assume_role(
        self,
        request: sts.AssumeRoleRequest,
        *,
        region: str,
        purpose: Purpose = Purpose.TOKENS,
        using: Credentials | None = None,
    ) -> Credentials:
        def act() -> Credentials:
            caller = self._sessions[using.access_key_id] if using else PORTAL
            account, name = request.role_arn.split(":")[4], request.role_arn.rpartition("/")[2]
            target = self.roles.get((account, name))
            trusted = target is not None and _allows(target.trust, "sts:AssumeRole", principal=caller)
            if caller != PORTAL:
                own = self._own_policies(caller)
                trusted = trusted and any(_allows(one, "sts:AssumeRole", resource=request.role_arn) for one in own)
            if not trusted:
                raise AwsAccessDenied(f"{caller} may not assume {request.role_arn}", aws_code="AccessDenied")
            key = f"ASIA{len(self._sessions)}"
            self._sessions[key] = request.role_arn
            return Credentials(key, "secret", "token", datetime.now(UTC) + timedelta(seconds=request.seconds))

        return self._called("assume_role", request.role_arn, act)


def _allows(document: Document | None, action: str, *, principal: str = "", resource: str = "") -> bool:
    """Return whether a statement allows it. Knows lists and texts; no wildcard, no condition."""

    def texts(value: Any) -> list[str]:
        return [value] if isinstance(value, str) else list(value)

    return any(
        one["Effect"] == "Allow"
        and action in texts(one.get("Action", []))
        and (not principal or principal in texts(one["Principal"].get("AWS", [])))
        and (not resource or resource in texts(one["Resource"]))
        for one in (document or {}).get("Statement", [])
    )


def foreign(sid: str, **more: Any) -> Document:
    """Return a statement of somebody else's."""
    return {"Sid": sid, "Effect": "Allow", "Action": "sts:AssumeRole", **more}


def throttled(message: str = "Rate exceeded") -> AwsThrottled:
    """Return what AWS says to too many calls."""
    return AwsThrottled(message, aws_code="Throttling", request_id="req-throttled")


IAM = (
    "get_role",
    "create_role",
    "update_assume_role_policy",
    "get_role_policy",
    "put_role_policy",
    "delete_role_policy",
    "delete_role",
    "role_policies",
)
S3 = ("get_bucket_policy", "put_bucket_policy", "delete_bucket_policy", "list_prefix", "get_bucket_location")
STS = ("assume_role", "caller_arn")


def installed(aws: FakeAws) -> Iterator[FakeAws]:
    """Put `aws` behind the functions of `roles.aws` until the generator is closed."""
    with pytest.MonkeyPatch.context() as patch:
        for module, names in ((iam, IAM), (iam, PROFILES), (managed_policies, MANAGED), (s3, S3), (sts, STS)):
            for name in names:
                patch.setattr(module, name, getattr(aws, name))
        yield aws

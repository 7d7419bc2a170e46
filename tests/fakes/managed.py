"""The customer managed policies of the AWS in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roles.aws.managed_policies import PolicyState
from roles.aws.sessions import AccountSession
from roles.errors import AwsConflict
from roles.policies.document import PolicyDocument, parse
from roles.values.arns import RoleArn


@dataclass
class Policy:
    """A customer managed policy."""

    document: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class ManagedPolicies:
    """What `roles.aws.managed_policies` calls. `managed` are the policies by ARN; the rest is the whole AWS's."""

    managed: dict[str, Policy] = field(default_factory=dict, kw_only=True)
    roles: dict[tuple[str, str], Any] = field(default_factory=dict, kw_only=True)

    def _called(self, name: str, about: str, act: Callable[[], Any]) -> Any:
        raise NotImplementedError

    def _role_of(self, session: AccountSession, role: RoleArn) -> Any:
        raise NotImplementedError

    def _request_id(self) -> str:
        raise NotImplementedError

    def attached_policies(self, session: AccountSession, role: RoleArn) -> tuple[str, ...] | None:
        def act() -> tuple[str, ...] | None:
            found = self.roles.get((session.access.account_id, role.name))
            return tuple(found.attached) if found else None

        return self._called("attached_policies", str(role), act)

    def get_policy(self, session: AccountSession, arn: str) -> PolicyState | None:
        def act() -> PolicyState | None:
            found = self.managed.get(arn)
            return None if found is None else PolicyState(parse(found.document), dict(found.tags))

        return self._called("get_policy", arn, act)

    def create_policy(
        self, session: AccountSession, arn: str, document: PolicyDocument, *, tags: Mapping[str, str]
    ) -> str:
        def act() -> str:
            if arn in self.managed:
                raise AwsConflict(f"{arn} exists", aws_code="EntityAlreadyExists")
            self.managed[arn] = Policy(document.as_dict(), dict(tags))
            return self._request_id()

        return self._called("create_policy", arn, act)

    def put_policy_version(self, session: AccountSession, arn: str, document: PolicyDocument) -> str:
        def act() -> str:
            self.managed[arn].document = document.as_dict()
            return self._request_id()

        return self._called("put_policy_version", arn, act)

    def attach_role_policy(self, session: AccountSession, role: RoleArn, arn: str) -> str:
        def act() -> str:
            found = self._role_of(session, role)
            found.attached = sorted({*found.attached, arn})
            return self._request_id()

        return self._called("attach_role_policy", arn, act)

    def detach_role_policy(self, session: AccountSession, role: RoleArn, arn: str) -> str:
        def act() -> str:
            found = self._role_of(session, role)
            found.attached = [one for one in found.attached if one != arn]
            return self._request_id()

        return self._called("detach_role_policy", arn, act)

    def delete_policy(self, session: AccountSession, arn: str) -> str:
        def act() -> str:
            if any(arn in role.attached for role in self.roles.values()):
                raise AwsConflict(f"{arn} is attached", aws_code="DeleteConflict")
            self.managed.pop(arn, None)
            return self._request_id()

        return self._called("delete_policy", arn, act)


MANAGED = (
    "attached_policies",
    "get_policy",
    "create_policy",
    "put_policy_version",
    "attach_role_policy",
    "detach_role_policy",
    "delete_policy",
)

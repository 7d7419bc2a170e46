"""The instance profiles of the AWS in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from roles.aws.sessions import AccountSession
from roles.errors import AwsConflict, AwsLimitExceeded, AwsNotFound
from roles.values.arns import RoleArn


@dataclass
class InstanceProfiles:
    """What `roles.aws.iam` calls about them. `profiles` by (account, name), with the names of the roles in each."""

    profiles: dict[tuple[str, str], list[str]] = field(default_factory=dict, kw_only=True)

    def _called(self, name: str, about: str, act: Callable[[], Any]) -> Any:
        raise NotImplementedError

    def _role_of(self, session: AccountSession, role: RoleArn) -> Any:
        raise NotImplementedError

    def _request_id(self) -> str:
        raise NotImplementedError

    def get_instance_profile(self, session: AccountSession, role: RoleArn) -> tuple[str, ...] | None:
        def act() -> tuple[str, ...] | None:
            names = self.profiles.get((session.access.account_id, role.name))
            return None if names is None else tuple(names)

        return self._called("get_instance_profile", role.instance_profile, act)

    def instance_profiles_of(self, session: AccountSession, role: RoleArn) -> tuple[str, ...]:
        def act() -> tuple[str, ...]:
            account = session.access.account_id
            return tuple(
                name for (owner, name), held in self.profiles.items() if owner == account and role.name in held
            )

        return self._called("instance_profiles_of", str(role), act)

    def create_instance_profile(self, session: AccountSession, role: RoleArn) -> str:
        def act() -> str:
            if self.profiles.setdefault((session.access.account_id, role.name), []):
                raise AwsConflict(f"{role.instance_profile} exists", aws_code="EntityAlreadyExists")
            return self._request_id()

        return self._called("create_instance_profile", role.instance_profile, act)

    def add_role_to_instance_profile(self, session: AccountSession, role: RoleArn) -> str:
        def act() -> str:
            names = self.profiles.get((session.access.account_id, role.name))
            if names is None:
                raise AwsNotFound(f"no profile {role.instance_profile}", aws_code="NoSuchEntity")
            if names:
                raise AwsLimitExceeded("one role in a profile", aws_code="LimitExceeded")
            names.append(self._role_of(session, role).arn.rpartition("/")[2])
            return self._request_id()

        return self._called("add_role_to_instance_profile", role.instance_profile, act)

    def remove_role_from_instance_profile(self, session: AccountSession, role: RoleArn) -> str:
        def act() -> str:
            held = self.profiles.get((session.access.account_id, role.name), [])
            held[:] = [name for name in held if name != role.name]
            return self._request_id()

        return self._called("remove_role_from_instance_profile", role.instance_profile, act)

    def delete_instance_profile(self, session: AccountSession, role: RoleArn) -> str:
        def act() -> str:
            if self.profiles.get((session.access.account_id, role.name)):
                raise AwsConflict(f"{role.instance_profile} holds a role", aws_code="DeleteConflict")
            self.profiles.pop((session.access.account_id, role.name), None)
            return self._request_id()

        return self._called("delete_instance_profile", role.instance_profile, act)


PROFILES = (
    "get_instance_profile",
    "instance_profiles_of",
    "create_instance_profile",
    "add_role_to_instance_profile",
    "remove_role_from_instance_profile",
    "delete_instance_profile",
)

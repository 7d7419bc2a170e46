"""A strict AWS over moto in which the portal's own tests watch the engine, call by call.

The engine's calls go through boto3, botocore and the layer to moto, by an identity that may do what the documentation
says. A call is one of a function of `roles.aws`: each can be looked at, be answered with an error of ours in AWS's
place, and let the caller die. Call numbers begin at 1; a number means one call of any kind.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest import mock

from roles.aws import iam, managed_policies, s3, sts
from roles.errors import AwsError, AwsThrottled
from tests.strict_aws.in_aws import BucketPolicies, Document, ManagedPolicy, Role, account_of, path_and_name, root
from tests.strict_aws.moto_front import MotoFront

PORTAL_ACCOUNT, OWNER_ACCOUNT = "111111111111", "222222222222"
PORTAL = f"arn:aws:iam::{PORTAL_ACCOUNT}:user/xacct-portal"
PROVISIONER = "xacct-provisioner"
EXTERNAL_ID = "example-external-id"
WRITES = ("create_", "put_", "update_", "delete_", "add_", "attach_", "detach_", "remove_")

About = Callable[..., str]


def _by_role(_session: Any, role: Any, *_: Any) -> str:
    return str(role)


def _by_profile(_session: Any, role: Any) -> str:
    return str(role.instance_profile)


def _by_name(_session: Any, name: str, *_: Any) -> str:
    return name


def _by_last(_session: Any, _role: Any, arn: str) -> str:
    return arn


def _by_request(request: sts.AssumeRoleRequest) -> str:
    return request.role_arn


WATCHED: dict[ModuleType, dict[str, About]] = {
    iam: {
        "get_role": _by_role,
        "create_role": _by_role,
        "update_assume_role_policy": _by_role,
        "delete_role": _by_role,
        "role_policies": _by_role,
        "get_role_policy": _by_role,
        "put_role_policy": _by_role,
        "delete_role_policy": _by_role,
        "get_instance_profile": _by_profile,
        "instance_profiles_of": _by_role,
        "create_instance_profile": _by_profile,
        "add_role_to_instance_profile": _by_profile,
        "remove_role_from_instance_profile": _by_profile,
        "delete_instance_profile": _by_profile,
    },
    managed_policies: {
        "attached_policies": _by_role,
        "get_policy": _by_name,
        "create_policy": _by_name,
        "put_policy_version": _by_name,
        "attach_role_policy": _by_last,
        "detach_role_policy": _by_last,
        "delete_policy": _by_name,
    },
    s3: {
        "get_bucket_policy": _by_name,
        "put_bucket_policy": _by_name,
        "delete_bucket_policy": _by_name,
        "list_prefix": _by_name,
        "get_bucket_location": _by_name,
    },
    sts: {"assume_role": _by_request},
}


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


class WatchedAws:
    """The procedure's AWS before the portal, in force while it is entered.

    Two accounts: the portal's, and one with a provisioner role for it, a partner's role, and the bucket `example-data`,
    whose policy has `theirs`, if there are any.
    """

    def __init__(self, *theirs: Document, clock: Callable[[], float] = time.monotonic) -> None:
        self._stack = ExitStack()
        self._front = MotoFront(clock=clock)
        self._theirs = list(theirs)
        self._owners: dict[str, str] = {}
        self.accounts: list[str] = []
        self.bucket_policies = BucketPolicies(self._owners)
        self.calls: list[Call] = []
        self.die_before: int | None = None
        self.die_after: int | None = None
        self.fail_always: dict[str, AwsError] = {}
        self.fail_times: dict[str, list[AwsError]] = {}
        self.before_call: Callable[[Call], None] = lambda _call: None
        self._hidden: Counter[str] = Counter()

    def __enter__(self) -> WatchedAws:
        self._stack.enter_context(self._front)
        self._stack.enter_context(mock.patch.dict(os.environ))
        for module, functions in WATCHED.items():
            for name, about in functions.items():
                watched = self._watched(name, about, getattr(module, name))
                self._stack.enter_context(mock.patch.object(module, name, watched))
        self._stack.callback(sts.forget_identity)
        self._sign_in()
        self.add_account(OWNER_ACCOUNT)
        self.add_role(PARTNER)
        policy = {"Version": "2012-10-17", "Statement": self._theirs} if self._theirs else None
        self.add_bucket("example-data", policy=policy)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin_again(self) -> None:
        """Put AWS back to where it was when it was entered."""
        self._stack.close()
        self._owners.clear()
        self.accounts.clear()
        self.__enter__()

    def _sign_in(self) -> None:
        """Give the portal its identity, which may do anything in its own account and act as a role elsewhere."""
        self.accounts.append(PORTAL_ACCOUNT)
        user, client = path_and_name(PORTAL)[1], root("iam", PORTAL_ACCOUNT)
        client.create_user(UserName=user)
        client.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps(_may("iam:*", "sts:*")))
        key = client.create_access_key(UserName=user)["AccessKey"]
        os.environ.update(AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
        sts.forget_identity()

    # --- what tests look at and arrange ---

    @property
    def strict(self) -> Any:
        """The layer: its faults and its propagation."""
        return self._front.strict

    @property
    def writes(self) -> list[str]:
        """The names of the calls that change AWS."""
        return [call.name for call in self.calls if call.is_write]

    def state(self) -> list[Any]:
        """Return everything that the engine may change, for comparing two worlds."""
        managed = {arn: [policy.document, policy.tags] for arn, policy in self.managed.items()}
        return [{role.arn: role.state() for role in self._roles()}, self.profiles, dict(self.bucket_policies), managed]

    def _roles(self) -> Iterator[Role]:
        for account_id in self.accounts:
            for found in root("iam", account_id).list_roles()["Roles"]:
                yield Role(found["Arn"])

    def has_role(self, arn: str) -> bool:
        return arn in [role.arn for role in self._roles()]

    def role(self, arn: str) -> Role:
        """Return a role that is there."""
        return next(role for role in self._roles() if role.arn == arn)

    @property
    def profiles(self) -> dict[str, list[str]]:
        """The names of the roles in each instance profile, by its ARN."""
        found = [root("iam", one).list_instance_profiles()["InstanceProfiles"] for one in self.accounts]
        return {one["Arn"]: [role["RoleName"] for role in one["Roles"]] for listed in found for one in listed}

    @property
    def managed(self) -> dict[str, ManagedPolicy]:
        """The customer managed policies by ARN."""
        found = [root("iam", one).list_policies(Scope="Local")["Policies"] for one in self.accounts]
        return {one["Arn"]: ManagedPolicy(one["Arn"]) for listed in found for one in listed}

    def add_account(self, account_id: str) -> str:
        """Open an account in which the portal may do anything by a role, and return that role's ARN."""
        self.accounts.append(account_id)
        arn = f"arn:aws:iam::{account_id}:role/{PROVISIONER}"
        self.add_role(arn, _way_in(EXTERNAL_ID)).policies["p"] = _may("iam:*", "s3:*")
        return arn

    def let_in(self, *external_ids: str) -> None:
        """Let the provisioner role of the bucket's account ask for one of these ids."""
        self.role(f"arn:aws:iam::{OWNER_ACCOUNT}:role/{PROVISIONER}").trust = _way_in(*external_ids)

    def add_role(self, arn: str, trust: Document | None = None, **tags: str) -> Role:
        """Make a role as its owner would, outside the portal. One that nobody says more of is EC2's."""
        path, name = path_and_name(arn)
        default = {"Version": "2012-10-17", "Statement": [foreign("Ec2", Principal={"Service": "ec2.amazonaws.com"})]}
        root("iam", account_of(arn)).create_role(
            RoleName=name,
            Path=path,
            AssumeRolePolicyDocument=json.dumps(trust or default),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        return Role(arn)

    def add_policy(self, arn: str, document: Document, **tags: str) -> ManagedPolicy:
        """Make a customer managed policy as its owner would."""
        path, name = path_and_name(arn)
        root("iam", account_of(arn)).create_policy(
            PolicyName=name,
            Path=path,
            PolicyDocument=json.dumps(document),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        return ManagedPolicy(arn)

    def set_profile(self, arn: str, *roles: str) -> None:
        """Let an instance profile hold these roles of its account and no others; make it if it is not there."""
        path, name = path_and_name(arn)
        client = root("iam", account_of(arn))
        if arn not in self.profiles:
            client.create_instance_profile(InstanceProfileName=name, Path=path)
        for role in self.profiles[arn]:
            client.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=role)
        for role in roles:
            client.add_role_to_instance_profile(InstanceProfileName=name, RoleName=role)

    def add_bucket(self, name: str, account_id: str = OWNER_ACCOUNT, policy: Document | None = None) -> None:
        """Make a bucket of an account."""
        root("s3", account_id).create_bucket(Bucket=name)
        self._owners[name] = account_id
        if policy is not None:
            self.bucket_policies[name] = policy

    def delete_bucket(self, name: str) -> None:
        root("s3", self._owners.pop(name)).delete_bucket(Bucket=name)

    def hide(self, arn: str, reads: int) -> None:
        """Let the next reads of a role show nothing, as AWS may just after it was made."""
        self._hidden[arn] = reads

    def once(self, name: str, act: Callable[[], object], about: str = "") -> None:
        """Let something happen just before the first call of that name (about that ARN)."""

        def before(call: Call) -> None:
            if call.name == name and about in ("", call.about):
                self.before_call = lambda _call: None
                act()

        self.before_call = before

    # --- the machinery ---

    def _watched(self, name: str, about: About, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            return self._called(Call(name, about(*args)), lambda: real(*args, **more))

        return call

    def _called(self, call: Call, act: Callable[[], Any]) -> Any:
        self.before_call(call)
        number = len(self.calls) + 1
        if self.die_before == number:
            raise Killed
        self.calls.append(call)
        if self.fail_times.get(call.name):
            raise self.fail_times[call.name].pop(0)
        if call.name in self.fail_always:
            raise self.fail_always[call.name]
        try:
            return None if self._is_hidden(call) else act()
        finally:
            if self.die_after == number:
                raise Killed

    def _is_hidden(self, call: Call) -> bool:
        if call.name != "get_role" or self._hidden[call.about] <= 0:
            return False
        self._hidden[call.about] -= 1
        return True


def _document(**statement: Any) -> Document:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]}


def _way_in(*external_ids: str) -> Document:
    condition = {"StringEquals": {"sts:ExternalId": list(external_ids)}}
    return _document(Principal={"AWS": PORTAL}, Action="sts:AssumeRole", Condition=condition)


def _may(*actions: str) -> Document:
    return _document(Action=list(actions), Resource="*")


def foreign(sid: str, **more: Any) -> Document:
    """Return a statement of somebody else's."""
    return {"Sid": sid, "Effect": "Allow", "Action": "sts:AssumeRole", **more}


PARTNER = f"arn:aws:iam::{OWNER_ACCOUNT}:role/partner"
THEIRS = foreign(
    "PartnerReads", Principal={"AWS": PARTNER}, Action="s3:GetObject", Resource="arn:aws:s3:::example-data/r/*"
)


def throttled(message: str = "Rate exceeded") -> AwsThrottled:
    """Return what AWS says to too many calls."""
    return AwsThrottled(message, aws_code="Throttling", request_id="req-throttled")

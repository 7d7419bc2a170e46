"""The world of the layer's own tests, the same over both emulators: two accounts, the procedure's roles, a bucket."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.strict_aws.layer.core import StrictAws

PORTAL, OWNER, STRANGER = "111111111111", "222222222222", "333333333333"
DENIED = "AccessDenied"
_numbers = itertools.count(1)
_CONFIG = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=10)


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: str | list[str], resource: str | list[str] = "*", **more: Any) -> dict[str, Any]:
    return {**allow(action, resource, **more), "Effect": "Deny"}


def trust(principal: str | list[str], action: str | list[str] = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    named: Any = principal if principal == "*" else {"AWS": principal}
    return {"Effect": "Allow", "Principal": named, "Action": action, **more}


def to(principal: str | list[str], statement: Mapping[str, Any]) -> dict[str, Any]:
    """A statement of a bucket policy."""
    return {**statement, "Principal": principal if principal == "*" else {"AWS": principal}}


def text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def answer(call: Callable[[], Any]) -> str:
    """What AWS says to a call: `ok`, or the code of its error."""
    try:
        call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return DENIED if code == "403" else code
    return "ok"


def message(call: Callable[[], Any]) -> str:
    """The message of AWS's error, with its HTTP status."""
    try:
        call()
    except ClientError as error:
        return f"{error.response['ResponseMetadata']['HTTPStatusCode']} {error.response['Error']['Message']}"
    return ""


@functools.cache
def _session() -> Any:
    """One session for all clients: it reads the services' models once."""
    return boto3.session.Session()


@dataclass
class Aws:
    """AWS as the tests reach it. `endpoint_url` is None over moto, which botocore reaches without one."""

    strict: StrictAws
    endpoint_url: str | None
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, credentials: Mapping[str, str]) -> Any:
        key = (service, credentials["AccessKeyId"])
        if key not in self._clients:
            self._clients[key] = _session().client(
                service,
                region_name="us-east-1",
                endpoint_url=self.endpoint_url,
                aws_access_key_id=credentials["AccessKeyId"],
                aws_secret_access_key=credentials["SecretAccessKey"],
                aws_session_token=credentials.get("SessionToken"),
                config=_CONFIG,
            )
        return self._clients[key]

    def root(self, service: str, account: str) -> Any:
        return self.client(service, {"AccessKeyId": account, "SecretAccessKey": "root"})

    def user(self, account: str, name: str, *statements: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Make a user who may do this; return its ARN and its keys."""
        iam = self.root("iam", account)
        arn: str = iam.create_user(UserName=name)["User"]["Arn"]
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text(document(*statements)))
        keys: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
        return arn, keys

    def role(self, account: str, name: str, trusted: Any, *statements: Mapping[str, Any], **more: Any) -> str:
        """Make a role; return its ARN."""
        iam = self.root("iam", account)
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=text(trusted), **more)["Role"]["Arn"]
        if statements:
            self.put_role_policy(account, name, *statements)
        arn: str = made
        return arn

    def put_role_policy(self, account: str, name: str, *statements: Mapping[str, Any]) -> None:
        policy = text(document(*statements))
        self.root("iam", account).put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)

    def assume(self, by: Mapping[str, str], role: str, name: str = "alice", **more: Any) -> dict[str, str]:
        """Return the credentials of a new session."""
        sts = self.client("sts", by)
        credentials: dict[str, str] = sts.assume_role(RoleArn=role, RoleSessionName=name, **more)["Credentials"]
        return credentials


@dataclass
class Procedure:
    """The procedure's world under names of its own: server user -> role A in PORTAL -> role B in OWNER -> bucket."""

    aws: Aws
    number: int = field(default_factory=lambda: next(_numbers))
    server: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.a_name, self.b_name, self.bucket = f"RoleA{self.number}", f"RoleB{self.number}", f"data-{self.number}"
        server_arn, self.server = self.aws.user(PORTAL, f"server{self.number}", allow("sts:*"))
        self.a = self.aws.role(PORTAL, self.a_name, document(trust(server_arn)), allow(["sts:*"]))
        self.b = self.aws.role(OWNER, self.b_name, document(trust(self.a, ["sts:AssumeRole"])))
        self.objects, self.iam, self.s3 = f"{self.arn}/*", self.aws.root("iam", OWNER), self.aws.root("s3", OWNER)
        self.s3.create_bucket(Bucket=self.bucket)
        for key in ("reports/1", "hr/1"):
            self.s3.put_object(Bucket=self.bucket, Key=key, Body=b"x")

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.bucket}"

    def put_policy(self, *statements: Mapping[str, Any]) -> None:
        self.s3.put_bucket_policy(Bucket=self.bucket, Policy=text(document(*statements)))

    def policy(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.s3.get_bucket_policy(Bucket=self.bucket)["Policy"])
        return found

    def put_trust(self, *statements: Mapping[str, Any]) -> None:
        self.iam.update_assume_role_policy(RoleName=self.b_name, PolicyDocument=text(document(*statements)))

    def trust(self) -> dict[str, Any]:
        found: dict[str, Any] = self.iam.get_role(RoleName=self.b_name)["Role"]["AssumeRolePolicyDocument"]
        return found

    def as_a(self, name: str = "i-0abc") -> dict[str, str]:
        return self.aws.assume(self.server, self.a, name)

    def assume(self, **more: Any) -> dict[str, str]:
        """Assume role B by way of role A."""
        return self.aws.assume(self.as_a(), self.b, **more)

    def get(self, credentials: Mapping[str, str], key: str = "reports/1") -> str:
        s3 = self.aws.client("s3", credentials)
        return answer(lambda: s3.get_object(Bucket=self.bucket, Key=key))

    def put(self, credentials: Mapping[str, str], key: str = "new") -> str:
        s3 = self.aws.client("s3", credentials)
        return answer(lambda: s3.put_object(Bucket=self.bucket, Key=key, Body=b"y"))

    def list(self, credentials: Mapping[str, str], **more: str) -> str:
        s3 = self.aws.client("s3", credentials)
        return answer(lambda: s3.list_objects_v2(Bucket=self.bucket, **more))

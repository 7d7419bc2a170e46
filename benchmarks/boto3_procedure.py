"""The procedure as a careful script would do it: straight boto3, a check before each write, one step after the other.

The steps are the procedure's, each with its own check and write; or, `condensed`, what belongs to one document is
written at once: steps 2 and 3, and for a new role 4 and 5.

It is what the engine is measured beside. It keeps other people's statements, writes only a difference, and proves the
access at the end. It knows nothing of other writers, of propagation, of limits, of history, or of what it left undone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

MakeClient = Callable[..., Any]
Document = dict[str, Any]

NOBODY_MAY = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
EC2_MAY = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
OBJECT_ACTIONS = ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:DeleteObject"]


@dataclass(frozen=True, slots=True)
class Names:
    """One mapping: role A in its account, role B and a bucket in another one, and who verifies it (an ARN)."""

    account_a: str
    role_a: str
    account_b: str
    role_b: str
    bucket: str
    verifier: str

    @property
    def arn_a(self) -> str:
        """MyRoleA's ARN."""
        return f"arn:aws:iam::{self.account_a}:role/{self.role_a}"

    @property
    def arn_b(self) -> str:
        """MyRoleB's ARN."""
        return f"arn:aws:iam::{self.account_b}:role/{self.role_b}"


class Procedure:
    """The script. Ways into accounts are opened once for all mappings that it does."""

    def __init__(self, make: MakeClient, provisioner: str, *, condensed: bool = False) -> None:
        """`make(service, credentials)` returns a client; `provisioner` names the role that is assumed everywhere."""
        self._make, self._provisioner, self._condensed = make, provisioner, condensed
        self._clients: dict[tuple[str, str], Any] = {}
        self._sts = make("sts", None)

    def provision(self, names: Names) -> None:
        """Do steps 1 to 6, then prove the access."""
        self._role_a(names)
        self._policy_of_a(names)
        self._role_b(names)
        self._bucket_policy(names)
        self._verify(names)

    def _client(self, service: str, account: str) -> Any:
        if (service, account) not in self._clients:
            role = f"arn:aws:iam::{account}:role/{self._provisioner}"
            credentials = self._sts.assume_role(RoleArn=role, RoleSessionName="script")["Credentials"]
            for name in ("iam", "s3"):
                self._clients[name, account] = self._make(name, credentials)
        return self._clients[service, account]

    def _role_a(self, names: Names) -> None:
        iam = self._client("iam", names.account_a)
        trust = _document(
            EC2_MAY, {"Effect": "Allow", "Principal": {"AWS": names.verifier}, "Action": "sts:AssumeRole"}
        )
        if _none_if_missing(iam.get_role, RoleName=names.role_a) is None:
            iam.create_role(RoleName=names.role_a, AssumeRolePolicyDocument=json.dumps(trust))
        profile = _none_if_missing(iam.get_instance_profile, InstanceProfileName=names.role_a)
        if profile is None:
            iam.create_instance_profile(InstanceProfileName=names.role_a)
        if profile is None or not profile["InstanceProfile"]["Roles"]:
            iam.add_role_to_instance_profile(InstanceProfileName=names.role_a, RoleName=names.role_a)

    def _policy_of_a(self, names: Names) -> None:
        """Steps 2 and 3."""
        assume = {"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": [names.arn_b]}
        pass_role = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": [names.arn_a]}
        for wanted in [[assume, pass_role]] if self._condensed else [[assume], [pass_role]]:
            self._allow(names, wanted)

    def _allow(self, names: Names, wanted: list[Document]) -> None:
        iam = self._client("iam", names.account_a)
        found = _none_if_missing(iam.get_role_policy, RoleName=names.role_a, PolicyName="access")
        policy = found["PolicyDocument"] if found else _document()
        missing = [statement for statement in wanted if statement not in policy["Statement"]]
        if missing:
            policy["Statement"] += missing
            iam.put_role_policy(RoleName=names.role_a, PolicyName="access", PolicyDocument=json.dumps(policy))

    def _role_b(self, names: Names) -> None:
        """Steps 4 and 5."""
        iam = self._client("iam", names.account_b)
        wanted = {"Effect": "Allow", "Principal": {"AWS": [names.arn_a]}, "Action": "sts:AssumeRole"}
        first = wanted if self._condensed else NOBODY_MAY
        found = _none_if_missing(iam.get_role, RoleName=names.role_b)
        if found is None:
            iam.create_role(RoleName=names.role_b, AssumeRolePolicyDocument=json.dumps(_document(first)))
        if self._condensed and found is None:
            return
        if not self._condensed:
            found = iam.get_role(RoleName=names.role_b)
        trust = found["Role"]["AssumeRolePolicyDocument"]
        if wanted not in trust["Statement"]:
            trust["Statement"].append(wanted)
            iam.update_assume_role_policy(RoleName=names.role_b, PolicyDocument=json.dumps(trust))

    def _bucket_policy(self, names: Names) -> None:
        s3, bucket = self._client("s3", names.account_b), f"arn:aws:s3:::{names.bucket}"
        principal = {"AWS": [names.arn_b]}
        wanted = [
            {
                "Effect": "Allow",
                "Principal": principal,
                "Action": ["s3:GetBucketLocation", "s3:ListBucket"],
                "Resource": bucket,
            },
            {"Effect": "Allow", "Principal": principal, "Action": OBJECT_ACTIONS, "Resource": f"{bucket}/*"},
        ]
        found = _none_if_missing(s3.get_bucket_policy, Bucket=names.bucket)
        policy = json.loads(found["Policy"]) if found else _document()
        missing = [statement for statement in wanted if statement not in policy["Statement"]]
        if missing:
            policy["Statement"] += missing
            s3.put_bucket_policy(Bucket=names.bucket, Policy=json.dumps(policy))

    def _verify(self, names: Names) -> None:
        """Step 7: act as A, assume B, list the bucket."""
        first = self._sts.assume_role(RoleArn=names.arn_a, RoleSessionName="verify")["Credentials"]
        second = self._make("sts", first).assume_role(RoleArn=names.arn_b, RoleSessionName="verify")["Credentials"]
        self._make("s3", second).list_objects_v2(Bucket=names.bucket, MaxKeys=1)


def compare(make: MakeClient, provisioner: str, names: list[Names]) -> None:
    """Look for drift as a script would: read each role, its policy and each bucket's policy, one after the other."""
    script, buckets = Procedure(make, provisioner), set()
    for one in names:
        a, b = script._client("iam", one.account_a), script._client("iam", one.account_b)
        _none_if_missing(a.get_role, RoleName=one.role_a)
        _none_if_missing(a.get_role_policy, RoleName=one.role_a, PolicyName="xacct-portal")
        _none_if_missing(b.get_role, RoleName=one.role_b)
        if one.bucket not in buckets:
            buckets.add(one.bucket)
            _none_if_missing(script._client("s3", one.account_b).get_bucket_policy, Bucket=one.bucket)


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _none_if_missing(read: Callable[..., Any], **parameters: Any) -> Any:
    try:
        return read(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchEntity", "NoSuchBucketPolicy"):
            return None
        raise

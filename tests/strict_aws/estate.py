"""Several bucket-owning accounts beside the sandbox's own two: the same on every endpoint, and as rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from roles.aws import sandbox
from roles.aws.sandbox_documents import (
    BUCKET,
    BUCKET_ACCOUNT,
    EXTERNAL_ID,
    FOREIGN_ROLE,
    PORTAL_ACCOUNT,
    PROVISIONER_ROLE,
    PROVISIONING_PROFILE,
    document,
    foreign_statement,
    provisioner_trust,
)
from roles.models import AwsAccount, Bucket, IamRole
from tests import factories


def theirs(account_id: str, bucket: str) -> dict[str, Any]:
    """Return the statement of somebody else's in the policy of one of these buckets."""
    return json.loads(json.dumps(foreign_statement()).replace(BUCKET_ACCOUNT, account_id).replace(BUCKET, bucket))


@dataclass
class Estate:
    """`owners` has the bucket of each owner's account. Build it anew after each reset of what `endpoint_url` is."""

    endpoint_url: str
    owners: Mapping[str, str] = field(default_factory=lambda: {BUCKET_ACCOUNT: BUCKET})
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    def build(self, credentials_file: Path) -> None:
        """Make everything that is there before the portal; what an account of AWS has besides is left alone."""
        sandbox.seed(self.endpoint_url, credentials_file=credentials_file)
        anywhere = {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Resource": f"arn:aws:iam::*:role/{PROVISIONER_ROLE}",
        }
        self._root("iam", PORTAL_ACCOUNT).put_user_policy(
            UserName=PROVISIONING_PROFILE, PolicyName="estate", PolicyDocument=json.dumps(document(anywhere))
        )
        for account_id, bucket in self.owners.items():
            if account_id != BUCKET_ACCOUNT:
                self._build_owner(account_id, bucket)

    def _build_owner(self, account_id: str, bucket: str) -> None:
        iam, s3 = self._root("iam", account_id), self._root("s3", account_id)
        may = {"Effect": "Allow", "Action": ["iam:*", "s3:*"], "Resource": "*"}
        for name in (PROVISIONER_ROLE, FOREIGN_ROLE):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(provisioner_trust()))
        iam.put_role_policy(RoleName=PROVISIONER_ROLE, PolicyName="p", PolicyDocument=json.dumps(document(may)))
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document(theirs(account_id, bucket))))

    def _root(self, service: str, account_id: str) -> Any:
        key = (service, account_id)
        if key not in self._clients:
            self._clients[key] = sandbox.root_client(service, account_id, endpoint_url=self.endpoint_url)
        return self._clients[key]

    def state(self) -> dict[str, Any]:
        """Return all that a run may have written, in every account."""
        found: dict[str, Any] = {}
        for account_id in (PORTAL_ACCOUNT, *self.owners):
            iam = self._root("iam", account_id)
            for role in iam.list_roles()["Roles"]:
                found[role["Arn"]] = [role["AssumeRolePolicyDocument"], _inline_policies(iam, role["RoleName"])]
            for profile in iam.list_instance_profiles()["InstanceProfiles"]:
                found[profile["Arn"]] = [role["RoleName"] for role in profile["Roles"]]
        return found | {f"arn:aws:s3:::{bucket}": self.bucket_policy(bucket) for bucket in self.owners.values()}

    def bucket_policy(self, bucket: str) -> list[dict[str, Any]]:
        """Return the statements of a bucket's policy."""
        owner = next(account_id for account_id, name in self.owners.items() if name == bucket)
        text = self._root("s3", owner).get_bucket_policy(Bucket=bucket)["Policy"]
        statements: list[dict[str, Any]] = json.loads(text)["Statement"]
        return statements


def _inline_policies(iam: Any, role: str) -> dict[str, Any]:
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}


class Rows:
    """The same accounts as rows: in each owner's a target role with a grant on its bucket; no source role yet."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        self.deployment: AwsAccount = factories.AwsAccountFactory(account_id=PORTAL_ACCOUNT, name="deployment")
        self.targets: list[IamRole] = []
        self.buckets: list[Bucket] = []
        for account_id, name in owners.items():
            account = factories.AwsAccountFactory(
                account_id=account_id,
                access_mode="assume-role",
                provisioner_role_arn=f"arn:aws:iam::{account_id}:role/{PROVISIONER_ROLE}",
                external_id=EXTERNAL_ID,
            )
            self.targets.append(factories.IamRoleFactory(account=account, name="MyRoleB"))
            self.buckets.append(factories.BucketFactory(account=account, name=name))
            factories.BucketGrantFactory(role=self.targets[-1], bucket=self.buckets[-1])

    def source(self, name: str, *targets: IamRole) -> IamRole:
        """Make a source role that may assume these targets."""
        role: IamRole = factories.IamRoleFactory(account=self.deployment, name=name)
        for target in targets:
            factories.AssumeRoleGrantFactory(source=role, target=target)
        return role

"""What is in a strict AWS over moto, as the root of each account sees and changes it: outside the portal, by hand."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import boto3
from botocore.config import Config

Document = dict[str, Any]
_CONFIG = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})


@functools.cache
def root(service: str, account_id: str) -> Any:
    """Return a client of an account's root. The front in force is the one that it speaks to."""
    return _session().client(
        service,
        region_name="us-east-1",
        aws_access_key_id=account_id,
        aws_secret_access_key="root",
        config=_CONFIG,
    )


@functools.cache
def _session() -> Any:
    return boto3.session.Session()


def account_of(arn: str) -> str:
    return arn.split(":")[4]


def path_and_name(arn: str) -> tuple[str, str]:
    """Return what follows the kind in an ARN of IAM: the path, with its slashes, and the name."""
    path, _, name = arn.partition("/")[2].rpartition("/")
    return (f"/{path}/" if path else "/"), name


class InlinePolicies(MutableMapping[str, Document]):
    """A role's inline policies by name. What is put here is written."""

    def __init__(self, arn: str) -> None:
        self._iam, self._role = root("iam", account_of(arn)), path_and_name(arn)[1]

    def __getitem__(self, name: str) -> Document:
        try:
            found: Document = self._iam.get_role_policy(RoleName=self._role, PolicyName=name)["PolicyDocument"]
        except self._iam.exceptions.NoSuchEntityException as error:
            raise KeyError(name) from error
        return found

    def __setitem__(self, name: str, document: Document) -> None:
        self._iam.put_role_policy(RoleName=self._role, PolicyName=name, PolicyDocument=json.dumps(document))

    def __delitem__(self, name: str) -> None:
        self._iam.delete_role_policy(RoleName=self._role, PolicyName=name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._iam.list_role_policies(RoleName=self._role)["PolicyNames"])

    def __len__(self) -> int:
        return len(list(iter(self)))


class Role:
    """A role that is there. `trust` can be written."""

    def __init__(self, arn: str) -> None:
        self.arn, self._name, self._iam = arn, path_and_name(arn)[1], root("iam", account_of(arn))

    def _get(self) -> Document:
        found: Document = self._iam.get_role(RoleName=self._name)["Role"]
        return found

    @property
    def trust(self) -> Document:
        """The trust policy, as AWS gives it back."""
        found: Document = self._get()["AssumeRolePolicyDocument"]
        return found

    @trust.setter
    def trust(self, document: Document) -> None:
        self._iam.update_assume_role_policy(RoleName=self._name, PolicyDocument=json.dumps(document))

    @property
    def unique_id(self) -> str:
        found: str = self._get()["RoleId"]
        return found

    @property
    def tags(self) -> dict[str, str]:
        return _tags(self._get())

    def untag(self) -> None:
        """Take all tags away."""
        self._iam.untag_role(RoleName=self._name, TagKeys=list(self.tags))

    @property
    def boundary(self) -> str:
        """The ARN of the permissions boundary, or empty."""
        found: str = self._get().get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
        return found

    @property
    def policies(self) -> InlinePolicies:
        return InlinePolicies(self.arn)

    @property
    def attached(self) -> list[str]:
        """The ARNs of the managed policies on it, sorted."""
        found = self._iam.list_attached_role_policies(RoleName=self._name)["AttachedPolicies"]
        return sorted(policy["PolicyArn"] for policy in found)

    def attach(self, policy_arn: str) -> None:
        self._iam.attach_role_policy(RoleName=self._name, PolicyArn=policy_arn)

    def detach(self, policy_arn: str) -> None:
        self._iam.detach_role_policy(RoleName=self._name, PolicyArn=policy_arn)

    @property
    def profiles(self) -> list[str]:
        """The names of the instance profiles that hold it."""
        found = self._iam.list_instance_profiles_for_role(RoleName=self._name)["InstanceProfiles"]
        return [profile["InstanceProfileName"] for profile in found]

    def delete(self) -> None:
        """Delete it, as the console does: with what hangs on it."""
        self.policies.clear()
        for policy in self.attached:
            self.detach(policy)
        for profile in self.profiles:
            self._iam.remove_role_from_instance_profile(InstanceProfileName=profile, RoleName=self._name)
        self._iam.delete_role(RoleName=self._name)

    def replace(self) -> None:
        """Delete it and make it again as it was: AWS takes it for another role."""
        trust, tags, policies, profiles = self.trust, self._get().get("Tags", []), dict(self.policies), self.profiles
        self.delete()
        self._iam.create_role(
            RoleName=self._name, Path=path_and_name(self.arn)[0], AssumeRolePolicyDocument=json.dumps(trust), Tags=tags
        )
        self.policies.update(policies)
        for profile in profiles:
            self._iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=self._name)

    def state(self) -> list[Any]:
        return [self.trust, self.tags, dict(self.policies), self.attached]


class ManagedPolicy:
    """A customer managed policy that is there. `document` can be written."""

    def __init__(self, arn: str) -> None:
        self.arn, self._iam = arn, root("iam", account_of(arn))

    @property
    def document(self) -> Document:
        """The default version's."""
        version = self._iam.get_policy(PolicyArn=self.arn)["Policy"]["DefaultVersionId"]
        found = self._iam.get_policy_version(PolicyArn=self.arn, VersionId=version)
        document: Document = found["PolicyVersion"]["Document"]
        return document

    @document.setter
    def document(self, document: Document) -> None:
        self._forget_old_versions()
        self._iam.create_policy_version(PolicyArn=self.arn, PolicyDocument=json.dumps(document), SetAsDefault=True)

    @property
    def tags(self) -> dict[str, str]:
        return _tags(self._iam.get_policy(PolicyArn=self.arn)["Policy"])

    def untag(self) -> None:
        """Take all tags away."""
        self._iam.untag_policy(PolicyArn=self.arn, TagKeys=list(self.tags))

    def delete(self) -> None:
        """Delete it, with the versions that are not the default."""
        self._forget_old_versions()
        self._iam.delete_policy(PolicyArn=self.arn)

    def _forget_old_versions(self) -> None:
        for version in self._iam.list_policy_versions(PolicyArn=self.arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                self._iam.delete_policy_version(PolicyArn=self.arn, VersionId=version["VersionId"])


class BucketPolicies(MutableMapping[str, Document]):
    """The policies of those buckets that have one, by the bucket's name. What is put here is written."""

    def __init__(self, owners: Mapping[str, str]) -> None:
        self._owners = owners

    def __getitem__(self, bucket: str) -> Document:
        s3 = root("s3", self._owners[bucket])
        try:
            found: Document = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
                raise
            raise KeyError(bucket) from error
        return found

    def __setitem__(self, bucket: str, document: Document) -> None:
        root("s3", self._owners[bucket]).put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))

    def __delitem__(self, bucket: str) -> None:
        root("s3", self._owners[bucket]).delete_bucket_policy(Bucket=bucket)

    def __iter__(self) -> Iterator[str]:
        for bucket in self._owners:
            try:
                self[bucket]
            except KeyError:
                continue
            yield bucket

    def __len__(self) -> int:
        return len(list(iter(self)))


def _tags(found: Document) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found.get("Tags", [])}

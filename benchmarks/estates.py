"""The worlds of `benchmarks.provisioning`: accounts, mappings, and 10,000 roles that are as the database wishes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import boto3
from botocore.config import Config
from django.db import connection
from django.utils import timezone

from benchmarks.boto3_procedure import Names
from roles.models import (
    AssumeRoleGrant,
    AwsAccount,
    Bucket,
    BucketGrant,
    GroupRole,
    IamRole,
    ProvisioningRun,
    ProvisioningStep,
    UserGroup,
)
from roles.models.choices import RunStatus, StepAction, StepStatus
from roles.provisioning import desired
from roles.provisioning.facts import Facts
from roles.provisioning.plan import plan_of, slot_of
from roles.provisioning.resources import DesiredAccess, Place
from roles.values.arns import MANAGED_TAGS

PORTAL, REGION = "111111111111", "us-east-1"
PORTAL_ARN = f"arn:aws:iam::{PORTAL}:root"  # in the sandbox a 12-digit access key is that account's root
PROVISIONER = "xacct-provisioner"
GRANTED_IN_BUCKET = 20  # a bucket's policy holds about 28

Seeds = list[tuple[str, dict[str, str]]]
_session: Any = boto3.session.Session()  # once: a new one reads AWS's service descriptions again


def client(endpoint_url: str, service: str, credentials: Any = None, *, account: str = PORTAL) -> Any:
    """Return a client that acts with `credentials`, as STS gives them, or else as the root of `account`."""
    given = credentials or {"AccessKeyId": account, "SecretAccessKey": "x", "SessionToken": None}
    return _session.client(
        service,
        region_name=REGION,
        endpoint_url=endpoint_url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "max_attempts": 4}),
    )


def new_accounts(number: int, first: int) -> list[AwsAccount]:
    """Enter accounts that the portal gets into by assuming its provisioner role."""
    ids = [str(first + n) for n in range(number)]
    return [
        AwsAccount.objects.create(
            account_id=one,
            name=f"account-{one}",
            access_mode="assume-role",
            provisioner_role_arn=f"arn:aws:iam::{one}:role/{PROVISIONER}",
        )
        for one in ids
    ]


def provisioners(accounts: Iterable[AwsAccount]) -> Seeds:
    """Return the IAM calls that make the provisioner roles."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": PORTAL_ARN}, "Action": "sts:AssumeRole"}],
    }
    return [
        (
            one.account_id,
            {"Action": "CreateRole", "RoleName": PROVISIONER, "AssumeRolePolicyDocument": json.dumps(trust)},
        )
        for one in accounts
    ]


def names_of(accounts: list[AwsAccount], number: int, prefix: str) -> list[Names]:
    """Return mappings whose role A is in one account, and whose role B and bucket are in the next."""
    ids = [account.account_id for account in accounts]
    return [
        Names(
            account_a=ids[n % len(ids)],
            role_a=f"{prefix}A{n}",
            account_b=ids[(n + 1) % len(ids)],
            role_b=f"{prefix}B{n}",
            bucket=f"{prefix.lower()}-data-{n}",
            verifier=PORTAL_ARN,
        )
        for n in range(number)
    ]


def make_buckets(endpoint_url: str, names: Iterable[Names]) -> None:
    """Make the buckets of these mappings."""
    for account, group in itertools.groupby(
        sorted(names, key=lambda one: one.account_b), key=lambda one: one.account_b
    ):
        s3 = client(endpoint_url, "s3", account=account)
        for one in group:
            s3.create_bucket(Bucket=one.bucket)


def enter(accounts: list[AwsAccount], names: Iterable[Names]) -> list[GroupRole]:
    """Enter what an admin would for these mappings; no run is queued yet."""
    by_id, group = {one.account_id: one for one in accounts}, UserGroup.objects.get_or_create(name="benchmark")[0]
    found = []
    for one in names:
        source = IamRole.objects.create(account=by_id[one.account_a], name=one.role_a)
        target = IamRole.objects.create(account=by_id[one.account_b], name=one.role_b)
        bucket = Bucket.objects.create(account=by_id[one.account_b], name=one.bucket)
        AssumeRoleGrant.objects.create(source=source, target=target)
        BucketGrant.objects.create(role=target, bucket=bucket)
        found.append(GroupRole.objects.create(group=group, role=source))
    return found


def enter_many(accounts: list[AwsAccount], roles_each: int) -> list[Names]:
    """Enter accounts full of roles, half of them sources, with a bucket each, as if their runs were in sync."""
    group = UserGroup.objects.create(name="many")
    buckets = {one.pk: Bucket.objects.create(account=one, name=f"many-{one.account_id}") for one in accounts}
    made = IamRole.objects.bulk_create(
        IamRole(account=one, name=f"Many{kind}{n}") for one in accounts for n in range(roles_each // 2) for kind in "AB"
    )
    pairs = list(zip(made[::2], made[1::2], strict=True))
    AssumeRoleGrant.objects.bulk_create(AssumeRoleGrant(source=a, target=b) for a, b in pairs)
    GroupRole.objects.bulk_create(GroupRole(group=group, role=a, state="in_sync") for a, _ in pairs)
    granted = [(a, b) for a, b in pairs if int(b.name.removeprefix("ManyB")) < GRANTED_IN_BUCKET]
    BucketGrant.objects.bulk_create(BucketGrant(role=b, bucket=buckets[b.account_id]) for _, b in granted)
    now = timezone.now()
    runs = ProvisioningRun.objects.bulk_create(
        ProvisioningRun(role=a, trigger="benchmark", status=RunStatus.IN_SYNC, started_at=now, finished_at=now)
        for a, _ in pairs
    )
    ProvisioningStep.objects.bulk_create(
        ProvisioningStep(
            run=run,
            sequence=step,
            step=step,
            account_id=role.account.account_id,
            resource=str(role.arn),
            action=StepAction.CREATE,
            status=StepStatus.DONE,
            after={},
        )
        for run, (a, b) in zip(runs, pairs, strict=True)
        for step, role in ((1, a), (4, b))
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does before long
    return [
        Names(a.account.account_id, a.name, b.account.account_id, b.name, buckets[b.account_id].name, PORTAL_ARN)
        for a, b in pairs
    ]


def as_wished(endpoint_url: str, accounts: list[AwsAccount]) -> Seeds:
    """Write the bucket policies that the database wishes for in these accounts; return the IAM calls for the rest."""
    facts, seeds = Facts(), []
    policies: dict[str, tuple[str, dict[str, Any]]] = {}
    ids = {account.pk for account in accounts}
    for role in facts.all_roles:
        if role.account_id not in ids or not facts.in_use(role.pk):
            continue
        wishes = [
            wish
            for item in desired.places_for(role, lambda: (PORTAL_ARN,), facts=facts)
            if (wish := item.wish(facts)) is not None and not isinstance(wish, DesiredAccess)
        ]
        last = {slot_of(change.desired): change for change in plan_of(wishes, {}).changes}
        for (place, resource), change in last.items():
            if place is Place.BUCKET_POLICY:
                policies[resource.rpartition(":")[2]] = (change.desired.access.account_id, change.after or {})
            else:
                seeds += _iam_calls(place, resource, change.after or {})
    for bucket, (account, document) in policies.items():
        s3 = client(endpoint_url, "s3", account=account)
        s3.create_bucket(Bucket=bucket)
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
    return seeds


def _iam_calls(place: Place, resource: str, document: dict[str, Any]) -> Seeds:
    account, name = resource.split(":")[4], resource.rpartition("/")[2]
    text = json.dumps(document)
    if place is Place.ROLE:
        tags = {
            f"Tags.member.1.{key}": value
            for tag in MANAGED_TAGS.items()
            for key, value in zip(("Key", "Value"), tag, strict=True)
        }
        return [(account, {"Action": "CreateRole", "RoleName": name, "AssumeRolePolicyDocument": text, **tags})]
    if place is Place.PROFILE:
        return [
            (account, {"Action": "CreateInstanceProfile", "InstanceProfileName": name}),
            (account, {"Action": "AddRoleToInstanceProfile", "InstanceProfileName": name, "RoleName": name}),
        ]
    return [
        (
            account,
            {"Action": "PutRolePolicy", "RoleName": name, "PolicyName": "xacct-portal", "PolicyDocument": text},
        )
    ]

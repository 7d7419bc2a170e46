"""The example world: people, accounts, roles, a bucket and grants. Nothing is mapped yet: that is the story to do."""

from __future__ import annotations

from django.contrib.auth.models import Group
from django.db import transaction

from roles import context
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, EXTERNAL_ID, PORTAL_ACCOUNT, PROVISIONER_ROLE, REGION
from roles.history import recorder
from roles.models import (
    AssumeRoleGrant,
    AwsAccount,
    Bucket,
    BucketGrant,
    GroupRole,
    IamRole,
    Membership,
    User,
    UserGroup,
)
from roles.models.choices import AccessModeChoice
from roles.permissions import AUDITORS, PORTAL_ADMINS, USERS
from roles.provisioning import outbox

ACTOR = context.SystemActor("demo")
PEOPLE: tuple[tuple[str, str, str], ...] = (
    ("alice", PORTAL_ADMINS, "portal admin"),
    ("audrey", AUDITORS, "auditor: sees everything, changes nothing"),
    ("bob", USERS, "user in the group analysts"),
    ("carol", USERS, "user in the group marketing"),
)
MEMBERS = {"analysts": "bob", "marketing": "carol"}


@transaction.atomic
def make_world(password: str) -> bool:
    """Make the example world once; return whether it was made now. Later starts keep what people did since."""
    if User.objects.exists():
        return False
    _make_people(password)
    _make_grants()
    recorder.record("demo.seeded", actor=ACTOR)
    return True


def _make_people(password: str) -> None:
    for username, role, _ in PEOPLE:
        user = User(username=username, email=f"{username}@example.com", is_staff=role != USERS)
        user.set_password(password)
        user.save()
        user.groups.add(Group.objects.get(name=role))
    for group_name, username in MEMBERS.items():
        group = UserGroup.objects.create(name=group_name)
        Membership.objects.create(group=group, user=User.objects.get(username=username))


def _make_grants() -> None:
    deployment = AwsAccount.objects.create(
        account_id=PORTAL_ACCOUNT, name="deployment", region=REGION, access_mode=AccessModeChoice.AMBIENT
    )
    owner = AwsAccount.objects.create(
        account_id=BUCKET_ACCOUNT,
        name="bucket-owner",
        region=REGION,
        access_mode=AccessModeChoice.ASSUME_ROLE,
        provisioner_role_arn=f"arn:aws:iam::{BUCKET_ACCOUNT}:role/{PROVISIONER_ROLE}",
        external_id=EXTERNAL_ID,
    )
    role_a = IamRole.objects.create(account=deployment, name="MyRoleA")
    role_b = IamRole.objects.create(account=owner, name="MyRoleB")
    bucket = Bucket.objects.create(account=owner, name=BUCKET, region=REGION)
    AssumeRoleGrant.objects.create(source=role_a, target=role_b)
    BucketGrant.objects.create(role=role_b, bucket=bucket)


def provision_again() -> int:
    """Queue a run for each role in use and return how many: the sandbox has lost what was provisioned before."""
    roles = IamRole.objects.filter(pk__in=GroupRole.objects.in_force().values("role"))
    with transaction.atomic():
        return len([outbox.queue_run(actor=ACTOR, role=role, trigger="demo.sandbox_lost") for role in roles])

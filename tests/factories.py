"""Ready rows. `Procedure` is the example of the procedure that the portal automates."""

from __future__ import annotations

from typing import Any

import factory
from django.contrib.auth.models import Group

from roles.models import (
    AssumeRoleGrant,
    AwsAccount,
    Bucket,
    BucketGrant,
    GroupRole,
    IamRole,
    Membership,
    ProvisioningRun,
    ProvisioningStep,
    User,
    UserGroup,
)
from roles.permissions import AUDITORS, PORTAL_ADMINS

PASSWORD = "correct horse battery staple"


class UserFactory(factory.django.DjangoModelFactory[User]):
    """A person without any right."""

    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    password = factory.django.Password(PASSWORD)


def portal_admin(username: str = "alice") -> User:
    """Return a portal admin."""
    user: User = UserFactory(username=username, is_staff=True)
    user.groups.add(Group.objects.get(name=PORTAL_ADMINS))
    return user


def auditor(username: str = "audrey") -> User:
    """Return an auditor."""
    user: User = UserFactory(username=username, is_staff=True)
    user.groups.add(Group.objects.get(name=AUDITORS))
    return user


class AwsAccountFactory(factory.django.DjangoModelFactory[AwsAccount]):
    """An ambient account; each call a new id unless given."""

    class Meta:
        model = AwsAccount

    account_id = factory.Sequence(lambda n: f"{300000000000 + n}")
    name = factory.Sequence(lambda n: f"account-{n}")
    access_mode = "ambient"


class IamRoleFactory(factory.django.DjangoModelFactory[IamRole]):
    """A managed role."""

    class Meta:
        model = IamRole

    account = factory.SubFactory(AwsAccountFactory)
    name = factory.Sequence(lambda n: f"Role{n}")


class BucketFactory(factory.django.DjangoModelFactory[Bucket]):
    """A bucket."""

    class Meta:
        model = Bucket

    account = factory.SubFactory(AwsAccountFactory)
    name = factory.Sequence(lambda n: f"example-bucket-{n}")


class AssumeRoleGrantFactory(factory.django.DjangoModelFactory[AssumeRoleGrant]):
    """An open grant."""

    class Meta:
        model = AssumeRoleGrant

    source = factory.SubFactory(IamRoleFactory)
    target = factory.SubFactory(IamRoleFactory)


class BucketGrantFactory(factory.django.DjangoModelFactory[BucketGrant]):
    """An open READWRITE grant on a bucket of the role's account."""

    class Meta:
        model = BucketGrant

    role = factory.SubFactory(IamRoleFactory)
    bucket = factory.SubFactory(BucketFactory, account=factory.SelfAttribute("..role.account"))


class UserGroupFactory(factory.django.DjangoModelFactory[UserGroup]):
    """A group without members."""

    class Meta:
        model = UserGroup

    name = factory.Sequence(lambda n: f"group-{n}")


class MembershipFactory(factory.django.DjangoModelFactory[Membership]):
    """An open membership."""

    class Meta:
        model = Membership

    group = factory.SubFactory(UserGroupFactory)
    user = factory.SubFactory(UserFactory)


class GroupRoleFactory(factory.django.DjangoModelFactory[GroupRole]):
    """An open mapping, not provisioned yet."""

    class Meta:
        model = GroupRole
        skip_postgeneration_save = True

    group = factory.SubFactory(UserGroupFactory)
    role = factory.SubFactory(IamRoleFactory)


class ProvisioningRunFactory(factory.django.DjangoModelFactory[ProvisioningRun]):
    """A queued run."""

    class Meta:
        model = ProvisioningRun

    role = factory.SubFactory(IamRoleFactory)
    trigger = "mapping.added"
    requested_by_name = "alice"
    request_id = "0" * 32


class ProvisioningStepFactory(factory.django.DjangoModelFactory[ProvisioningStep]):
    """A step that found a bucket's policy as it was to be."""

    class Meta:
        model = ProvisioningStep

    run = factory.SubFactory(ProvisioningRunFactory)
    sequence = factory.Sequence(lambda number: number)
    step = 6
    account_id = "222222222222"
    action = "none"
    status = "done"


class Procedure:
    """The procedure's world as rows: two accounts, two roles, the bucket, the grants, a group with Bob in it."""

    def __init__(self, **bucket_grant: Any) -> None:
        self.account_a: AwsAccount = AwsAccountFactory(account_id="111111111111", name="deployment")
        self.account_b: AwsAccount = AwsAccountFactory(
            account_id="222222222222",
            name="bucket-owner",
            access_mode="assume-role",
            provisioner_role_arn="arn:aws:iam::222222222222:role/xacct-provisioner",
            external_id="example-external-id",
        )
        self.role_a: IamRole = IamRoleFactory(account=self.account_a, name="MyRoleA")
        self.role_b: IamRole = IamRoleFactory(account=self.account_b, name="MyRoleB")
        self.bucket: Bucket = BucketFactory(account=self.account_b, name="example-data")
        self.assume_grant: AssumeRoleGrant = AssumeRoleGrantFactory(source=self.role_a, target=self.role_b)
        self.bucket_grant: BucketGrant = BucketGrantFactory(role=self.role_b, bucket=self.bucket, **bucket_grant)
        self.group: UserGroup = UserGroupFactory(name="analysts")
        self.bob: User = UserFactory(username="bob")
        MembershipFactory(group=self.group, user=self.bob)

    def map(self, **mapping: Any) -> GroupRole:
        """Add MyRoleA to the group, without any operation."""
        row: GroupRole = GroupRoleFactory(group=self.group, role=self.role_a, **mapping)
        return row

"""What the portal has to do with in one account: the roles and buckets that its provisioner role is limited to."""

from __future__ import annotations

from roles.models import AssumeRoleGrant, AwsAccount, Bucket, GroupRole, IamRole
from roles.policies.provisioner import ProvisionerScope, scope_of
from roles.values.accounts import AccountId, Partition


def provisioner_scope(account: AwsAccount) -> ProvisionerScope:
    """Return the scope of exactly the roles and buckets that the database has in `account`.

    A role is a source if it ever was one: what its last mapping left is taken out after that has ended. All others are
    targets, also those that nothing is granted to yet.
    """
    sources = [
        *GroupRole.objects.filter(role__account=account).values_list("role", flat=True),
        *AssumeRoleGrant.objects.filter(source__account=account).values_list("source", flat=True),
    ]
    granted = set(AssumeRoleGrant.objects.filter(target__account=account).values_list("target", flat=True))
    roles = list(IamRole.objects.filter(account=account).select_related("account"))
    return scope_of(
        Partition(account.partition),
        AccountId(account.account_id),
        sources=[role.arn for role in roles if role.pk in sources],
        targets=[role.arn for role in roles if role.pk in granted or role.pk not in sources],
        buckets=[bucket.arn for bucket in Bucket.objects.filter(account=account).select_related("account")],
    )

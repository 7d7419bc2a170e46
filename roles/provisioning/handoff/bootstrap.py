"""The provisioner role of an account in mode `assume-role`, for its owner to make: in the same forms as any handoff."""

from __future__ import annotations

from roles.errors import PolicyError
from roles.policies.provisioner import (
    PROVISIONER_ROLE,
    PROVISIONER_SID,
    ProvisionerScope,
    optional_statements,
    provisioner_policy,
    provisioner_trust,
)
from roles.provisioning.handoff.documents import HandoffDocuments, documents_of
from roles.provisioning.handoff.work import InlineItem, RoleItem, Share, Work, too_large_of
from roles.values.accounts import AccessMode, AccountAccess, external_id
from roles.values.arns import RoleArn


def bootstrap_for(
    scope: ProvisionerScope, *, principal: str, external: str, region: str, role_name: str = PROVISIONER_ROLE
) -> HandoffDocuments:
    """Return what the owner has to do so that the portal can do the rest by itself.

    `principal` is the ARN of the portal's provisioning identity; `external` the account's external id, as
    `values.accounts.new_external_id` makes them. The role's policy is `provisioner_policy(scope)` and, in a statement
    of its own, what `optional_statements` has: run the new files again when roles or buckets are added. Raises
    `InputError` for an external id that STS would refuse, and `PolicyError` for a scope that is empty or too long to
    list.
    """
    role = RoleArn(scope.partition, scope.account, role_name)
    policy, trust = provisioner_policy(scope), provisioner_trust(principal, external_id(external))
    if policy.is_empty:
        raise PolicyError(
            f"The portal has no role and no bucket in account {scope.account} yet.",
            hint="Enter the roles and buckets first; the provisioner role is limited to them.",
        )
    items = (
        RoleItem(
            "Create the provisioner role",
            role,
            create=True,
            required=False,
            exists=None,
            trust=Share((PROVISIONER_SID,), trust.statements),
        ),
        InlineItem(
            "Say what the provisioner role may do",
            role,
            role_name,
            Share(("",), (*policy.statements, *optional_statements())),
        ),
    )
    access = AccountAccess(scope.account, scope.partition, region, AccessMode.ASSUME_ROLE, str(role), external)
    for item in items:
        if too_large := too_large_of(item, access):
            raise PolicyError(too_large, hint="Put the roles under one path and name that path instead.")
    return documents_of(Work(access, items), name=f"xacct-provisioner-{scope.account}")

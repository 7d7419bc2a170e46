"""The role by which the portal gets into an account, for its owner to make: in the same forms as any handoff.

In mode `assume-role` it is the provisioner role; in mode `handoff` one with which the portal only reads.
"""

from __future__ import annotations

from roles.errors import PolicyError
from roles.policies.provisioner import (
    PROVISIONER_ROLE,
    PROVISIONER_SID,
    ProvisionerScope,
    optional_statements,
    provisioner_policy,
    provisioner_trust,
    reader_policy,
)
from roles.provisioning.handoff.documents import HandoffDocuments, documents_of
from roles.provisioning.handoff.work import InlineItem, RoleItem, Share, Work, too_large_of
from roles.values.accounts import AccessMode, AccountAccess, external_id
from roles.values.arns import RoleArn


def bootstrap_for(
    scope: ProvisionerScope,
    *,
    principal: str,
    external: str,
    region: str,
    role_name: str = PROVISIONER_ROLE,
    reads_only: bool = False,
) -> HandoffDocuments:
    """Return what the owner has to do so that the portal can do the rest by itself, or, if it `reads_only`, can look.

    `principal` is the ARN of the portal's provisioning identity; `external` the account's external id, as
    `values.accounts.new_external_id` makes them. The role's policy is `provisioner_policy(scope)`, or
    `reader_policy(scope)`, and, in a statement of its own, what `optional_statements` has: run the new files again when
    roles or buckets are added. Raises `InputError` for an external id that STS would refuse, and `PolicyError` for a
    scope that is empty or too long to list.
    """
    role = RoleArn(scope.partition, scope.account, role_name)
    policy = reader_policy(scope) if reads_only else provisioner_policy(scope)
    trust = provisioner_trust(principal, external_id(external))
    if policy.is_empty:
        raise PolicyError(
            f"The portal has no role and no bucket in account {scope.account} yet.",
            hint="Enter the roles and buckets first; the provisioner role is limited to them.",
        )
    items = (
        RoleItem(
            "Create the role with which the portal reads" if reads_only else "Create the provisioner role",
            role,
            create=True,
            required=False,
            exists=None,
            trust=Share((PROVISIONER_SID,), trust.statements),
        ),
        InlineItem(
            "Say what that role may do" if reads_only else "Say what the provisioner role may do",
            role,
            role_name,
            Share(("",), (*policy.statements, *optional_statements())),
        ),
    )
    mode = AccessMode.HANDOFF if reads_only else AccessMode.ASSUME_ROLE
    access = AccountAccess(scope.account, scope.partition, region, mode, str(role), external)
    for item in items:
        if too_large := too_large_of(item, access):
            raise PolicyError(too_large, hint="Put the roles under one path and name that path instead.")
    return documents_of(Work(access, items), name=f"xacct-provisioner-{scope.account}")

"""All roles of an account at once: one stream of pages, however many roles there are.

Reading role by role takes four calls each, and IAM's rate limits are low and shared by the whole account. What is read
here is a snapshot for comparing; who writes reads the one thing again first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from roles.aws.answers import policy_document
from roles.aws.errors import translated
from roles.aws.sessions import AccountSession
from roles.policies.document import PolicyDocument
from roles.values.arns import RoleArn

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import GetAccountAuthorizationDetailsResponseTypeDef, RoleDetailTypeDef

PAGE_ROLES_MAX = 1000  # IAM API, GetAccountAuthorizationDetails: MaxItems; AWS may give fewer and say there is more


@dataclass(frozen=True, slots=True)
class InventoriedRole:
    """A role as IAM has it, with its inline policies by name and the names of the instance profiles that hold it.

    `attached` are the ARNs of the managed policies on it, `boundary` that of its permissions boundary, or empty.
    Policies are kept as AWS gave them and read on use: one that cannot be read is only its own role's problem.
    """

    arn: str
    role_id: str
    path: str
    tags: Mapping[str, str]
    profiles: tuple[str, ...]
    _trust: Any = field(repr=False)
    _inline: Mapping[str, Any] = field(repr=False)
    attached: tuple[str, ...] = ()
    boundary: str = ""

    @property
    def trust(self) -> PolicyDocument:
        """The trust policy. Raises `PolicySyntax`, naming the role."""
        return policy_document(self._trust, owner=f"The trust policy of {self.arn}")

    @property
    def inline_policies(self) -> tuple[str, ...]:
        """The names of the inline policies."""
        return tuple(self._inline)

    def inline_policy(self, name: str) -> PolicyDocument | None:
        """Return the inline policy of that name, or None when there is none. Raises `PolicySyntax`."""
        if name not in self._inline:
            return None
        return policy_document(self._inline[name], owner=f"The policy {name} of {self.arn}")


@dataclass(frozen=True, slots=True)
class AccountInventory:
    """The roles of one account by name. IAM's names are unique whatever their case and path."""

    account_id: str
    _roles: Mapping[str, InventoriedRole]
    _profiles: Mapping[str, tuple[str, ...]]
    _policies: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self._roles)

    def role(self, role: RoleArn) -> InventoriedRole | None:
        """Return the role of this name, or None when the account has none."""
        return self._roles.get(role.name.lower())

    def profile(self, role: RoleArn) -> tuple[str, ...] | None:
        """Return the names of the roles in the instance profile of the role's name.

        None when no role is in such a profile: an empty one is not in the snapshot.
        """
        return self._profiles.get(role.name.lower())

    def managed_policy(self, arn: str) -> PolicyDocument | None:
        """Return the account's own managed policy of this ARN; None when there is none. Raises `PolicySyntax`."""
        return policy_document(self._policies[arn], owner=arn) if arn in self._policies else None


def account_inventory(session: AccountSession) -> AccountInventory:
    """Read all roles of the account: trust, policies, tags, unique ids and instance profiles.

    Raises an `AwsError` when any page cannot be read: half an account is not taken for a whole one.
    """
    roles: dict[str, InventoriedRole] = {}
    profiles: dict[str, tuple[str, ...]] = {}
    policies: dict[str, Any] = {}
    for page in _pages(session):
        for detail in page["RoleDetailList"]:
            role = _role(detail)
            name = detail["RoleName"]
            roles[name.lower()] = role
            for profile in role.profiles:
                profiles[profile.lower()] = (*profiles.get(profile.lower(), ()), name)
        for policy in page.get("Policies", []):
            for version in policy.get("PolicyVersionList", []):
                if version["IsDefaultVersion"]:
                    policies[policy["Arn"]] = version["Document"]
    return AccountInventory(session.access.account_id, roles, profiles, policies)


def _pages(session: AccountSession) -> Iterator[GetAccountAuthorizationDetailsResponseTypeDef]:
    account = session.access.account_id
    with translated(service="iam", operation="GetAccountAuthorizationDetails", account=account):
        pages = session.iam.get_paginator("get_account_authorization_details").paginate(
            Filter=["Role", "LocalManagedPolicy"], PaginationConfig={"PageSize": PAGE_ROLES_MAX}
        )
        yield from pages


def _role(detail: RoleDetailTypeDef) -> InventoriedRole:
    return InventoriedRole(
        arn=detail["Arn"],
        role_id=detail["RoleId"],
        path=detail["Path"],
        tags={tag["Key"]: tag["Value"] for tag in detail.get("Tags", [])},
        attached=tuple(policy["PolicyArn"] for policy in detail.get("AttachedManagedPolicies", [])),
        boundary=detail.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        profiles=tuple(profile["InstanceProfileName"] for profile in detail.get("InstanceProfileList", [])),
        _trust=detail["AssumeRolePolicyDocument"],
        _inline={policy["PolicyName"]: policy["PolicyDocument"] for policy in detail.get("RolePolicyList", [])},
    )

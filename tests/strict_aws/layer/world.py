"""What exists in the emulator, asked as root whenever it matters: roles, users, their policies, buckets."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from tests.strict_aws.layer.propagation import Propagation
from tests.strict_aws.layer.root import RootApi, decoded, parsed
from tests.strict_aws.layer.stored import LAYER_ACCOUNT, concealed_trust, revealed
from tests.strict_aws.rules.normal import normal_text
from tests.strict_aws.rules.principals import ENTITY_ARN, UNIQUE_ID, with_principals


@dataclass(frozen=True, slots=True)
class Entity:
    """A role or user. `trust` and `seconds` (its MaxSessionDuration) are a role's."""

    arn: str
    unique_id: str
    name: str
    account: str
    boundary: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    trust: dict[str, Any] = field(default_factory=dict)
    seconds: int = 3_600


def _entity(kind: str, element: ElementTree.Element, account: str) -> Entity:
    text = {child.tag: child.text or "" for child in element}
    tags = {tag.findtext("Key", ""): tag.findtext("Value", "") for tag in element.findall("Tags/member")}
    boundary = element.findtext("PermissionsBoundary/PermissionsBoundaryArn", "")
    return Entity(
        arn=text["Arn"],
        unique_id=text[f"{kind}Id"],
        name=text[f"{kind}Name"],
        account=account,
        boundary=boundary,
        tags=tags,
        trust=revealed(text.get("AssumeRolePolicyDocument")),
        seconds=int(text.get("MaxSessionDuration") or 3_600),
    )


class World:
    """The emulator's accounts. `conceal`: the emulator judges trusts by itself, so it is not shown the real ones."""

    def __init__(self, root: RootApi, propagation: Propagation, *, conceal: bool) -> None:
        self.root = root
        self.propagation = propagation
        self.conceal = conceal
        self._accounts: set[str] = set()
        self._lock = threading.Lock()

    def saw_account(self, account: str) -> None:
        """Remember an account, so that its roles, users and buckets are looked at too."""
        with self._lock:
            self._accounts.add(account)

    @property
    def accounts(self) -> list[str]:
        """Every account that anybody spoke of."""
        with self._lock:
            return sorted(self._accounts)

    def role(self, account: str, name: str) -> Entity | None:
        """Return a role by its name."""
        return self._get("Role", account, name)

    def user(self, account: str, name: str) -> Entity | None:
        """Return a user by its name."""
        return self._get("User", account, name)

    def _get(self, kind: str, account: str, name: str) -> Entity | None:
        answer = self.root.iam(account, f"Get{kind}", **{f"{kind}Name": name})
        element = answer.find(f".//{kind}") if answer is not None else None
        return _entity(kind, element, account) if element is not None else None

    def roles(self, account: str) -> Iterator[Entity]:
        """Yield every role of an account."""
        yield from self._list("Role", account)

    def _list(self, kind: str, account: str) -> Iterator[Entity]:
        for page in self.root.pages(account, f"List{kind}s"):
            for element in page.findall(f".//{kind}s/member"):
                yield _entity(kind, element, account)

    def knows_arn(self, arn: str) -> bool:
        """Whether a policy may name this role or user by now. A role's path counts."""
        match = ENTITY_ARN.fullmatch(arn)
        if match is None or self.propagation.is_under_way(arn):
            return False
        found = (self.role if match.group(3) == "role" else self.user)(match.group(2), match.group(5))
        return found is not None and found.arn == arn

    def arn_of(self, unique_id: str) -> str | None:
        """Return the ARN of the living role or user of this unique id, in any account."""
        kind = "Role" if unique_id.startswith("AROA") else "User"
        everybody = (entity for account in self.accounts for entity in self._list(kind, account))
        return next((entity.arn for entity in everybody if entity.unique_id == unique_id), None)

    def shown(self, document: Mapping[str, Any]) -> str:
        """Return a document as AWS shows it: normalised, with the ARN in place of each unique id of somebody living."""
        return normal_text(with_principals(document, self._shown_principal))

    def _shown_principal(self, value: str) -> str:
        return (self.arn_of(value) or value) if UNIQUE_ID.fullmatch(value) else value

    def set_trust(self, role: str, account: str, document: dict[str, Any]) -> None:
        """Keep a role's trust policy, as the emulator is to see it."""
        kept = concealed_trust(document) if self.conceal else json.dumps(document)
        self.root.iam(account, "UpdateAssumeRolePolicy", RoleName=role, PolicyDocument=kept)

    def inline_texts(self, kind: str, entity: str, account: str) -> dict[str, dict[str, Any]]:
        """Return the inline policies of a `Role`, `User` or `Group` by name."""
        key = f"{kind}Name"
        names = [
            name.text or ""
            for page in self.root.pages(account, f"List{kind}Policies", **{key: entity})
            for name in page.findall(".//PolicyNames/member")
        ]
        found = {}
        for name in names:
            answer = self.root.iam(account, f"Get{kind}Policy", **{key: entity, "PolicyName": name})
            if answer is not None:
                found[name] = decoded(answer.findtext(".//PolicyDocument"))
        return found

    def attached_arns(self, kind: str, entity: str, account: str) -> list[str]:
        """Return the ARNs of the managed policies of a `Role`, `User` or `Group`."""
        pages = self.root.pages(account, f"ListAttached{kind}Policies", **{f"{kind}Name": entity})
        return [item.text or "" for page in pages for item in page.findall(".//PolicyArn")]

    def managed(self, arn: str, account: str) -> dict[str, Any] | None:
        """Return the document of a managed policy in force, or None when there is no such policy."""
        policy = self.root.iam(account, "GetPolicy", PolicyArn=arn)
        if policy is None:
            return None
        version = policy.findtext(".//DefaultVersionId") or "v1"
        answer = self.root.iam(account, "GetPolicyVersion", PolicyArn=arn, VersionId=version)
        return decoded(answer.findtext(".//Document")) if answer is not None else {}

    def identity(self, kind: str, entity: str, account: str) -> tuple[dict[str, Any], ...]:
        """Return all documents that say what a role or user may do; a user's groups count."""
        groups = []
        if kind == "User":
            answer = self.root.iam(account, "ListGroupsForUser", UserName=entity)
            groups = [item.text or "" for item in answer.findall(".//GroupName")] if answer is not None else []
        owners = [(kind, entity), *(("Group", name) for name in groups)]
        inline = [text for owner in owners for text in self.inline_texts(*owner, account).values()]
        arns = [arn for owner in owners for arn in self.attached_arns(*owner, account)]
        return (*inline, *(document for arn in arns if (document := self.managed(arn, account)) is not None))

    def user_of_key(self, access_key: str) -> Entity | None:
        """Return the user whose access key it is."""
        answer = parsed(self.root.query(LAYER_ACCOUNT, "sts", "GetAccessKeyInfo", AccessKeyId=access_key))
        if answer is not None and (account := answer.findtext(".//Account")):
            self.saw_account(account)
        for account in self.accounts:
            answer = self.root.iam(account, "GetAccessKeyLastUsed", AccessKeyId=access_key)
            name = answer.findtext(".//UserName") if answer is not None else ""
            user = self.user(account, name) if name else None
            if user is not None and self._has_key(user, access_key):
                return user
        return None

    def _has_key(self, user: Entity, access_key: str) -> bool:
        answer = self.root.iam(user.account, "ListAccessKeys", UserName=user.name)
        return answer is not None and access_key in {item.text for item in answer.findall(".//AccessKeyId")}

    def instance_profile_arn(self, account: str, name: str) -> str:
        """Return the ARN of an instance profile, or the one it would have without a path."""
        answer = self.root.iam(account, "GetInstanceProfile", InstanceProfileName=name)
        found = answer.findtext(".//InstanceProfile/Arn") if answer is not None else ""
        return found or f"arn:aws:iam::{account}:instance-profile/{name}"

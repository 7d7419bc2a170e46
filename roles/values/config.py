"""What a configuration file says, as values: what `import_config` reads and `operations.apply_config` applies. Pure.

Each entry carries `where`, its place in the file (`groups[0].roles[1]`), so that whatever is found wrong with it later
can be said where the reader looks for it. A reference to a role is written `account/Role`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from roles.errors import InputError
from roles.values.accounts import TRUST_POLICY_CHARACTERS
from roles.values.arns import AccessLevel


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """An account and the way in. `account_id` is what it is recognised by; `name` is what the file refers to it by.

    An empty `partition` is the one that `region` belongs to.
    """

    where: str
    account_id: str
    name: str
    region: str
    mode: str
    partition: str = ""
    role_arn: str = ""
    external_id: str = ""
    trust_policy_characters: int = TRUST_POLICY_CHARACTERS


@dataclass(frozen=True, slots=True)
class RoleEntry:
    """A role. `path` is IAM's, empty for the one it has, or `/`; `ownership` is managed or adopted."""

    where: str
    account: str
    name: str
    path: str = ""
    ownership: str = "managed"
    attribution: bool = True
    permissions_boundary: str = ""

    @property
    def reference(self) -> str:
        """How the file refers to it: `account/Role`."""
        return f"{self.account}/{self.name}"


@dataclass(frozen=True, slots=True)
class BucketEntry:
    """A bucket. An empty `region` is its account's."""

    where: str
    account: str
    name: str
    region: str = ""
    kms_key_arn: str = ""
    grants_in_identity_policy: bool = False


@dataclass(frozen=True, slots=True)
class AssumeRoleGrantEntry:
    """ "Source role may assume target role"."""

    where: str
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class BucketGrantEntry:
    """What a target role may do in a bucket. `prefix` is a folder prefix, or empty for the whole bucket."""

    where: str
    role: str
    bucket: str
    access: AccessLevel = AccessLevel.READWRITE
    prefix: str = ""
    multipart_cleanup: bool = False


@dataclass(frozen=True, slots=True)
class MappingEntry:
    """A role added to a group, and how it is narrowed. `expires_at` is aware; None is "never"."""

    where: str
    role: str
    access: AccessLevel = AccessLevel.READWRITE
    prefix: str = ""
    buckets: tuple[str, ...] = ()
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A user group: exactly these members (user names) and exactly these mappings."""

    where: str
    name: str
    description: str = ""
    members: tuple[str, ...] = ()
    mappings: tuple[MappingEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """A whole file. `unreadable` names what it lists in entries that are wrong in themselves, so that a reference to
    one of them is not reported as a second problem."""

    accounts: tuple[AccountEntry, ...] = ()
    roles: tuple[RoleEntry, ...] = ()
    buckets: tuple[BucketEntry, ...] = ()
    assume_role_grants: tuple[AssumeRoleGrantEntry, ...] = ()
    bucket_grants: tuple[BucketGrantEntry, ...] = ()
    groups: tuple[GroupEntry, ...] = ()
    unreadable: frozenset[str] = field(default_factory=frozenset)

    def duplicates(self) -> list[str]:
        """Return a line for each entry that says again what an earlier one says."""
        return [
            *_repeated("has the account id of", ((entry.where, entry.account_id) for entry in self.accounts)),
            *_repeated("has the name of", ((entry.where, entry.name) for entry in self.accounts)),
            *_repeated("has the name of", ((entry.where, (entry.account, entry.name.lower())) for entry in self.roles)),
            *_repeated("has the name of", ((entry.where, entry.name) for entry in self.buckets)),
            *_repeated("repeats", ((entry.where, (entry.source, entry.target)) for entry in self.assume_role_grants)),
            *_repeated(
                "repeats", ((entry.where, (entry.role, entry.bucket, entry.prefix)) for entry in self.bucket_grants)
            ),
            *_repeated("has the name of", ((entry.where, entry.name) for entry in self.groups)),
            *(line for group in self.groups for line in _repeated_in_group(group)),
        ]


def split_reference(text: str, *, field: str = "role") -> tuple[str, str]:
    """Split `account/Role`, or raise `InputError`.

    >>> split_reference("deployment/MyRoleA")
    ('deployment', 'MyRoleA')
    """
    account, slash, name = text.partition("/")
    if not (account and slash and name) or "/" in name:
        raise InputError(
            f"'{text}' does not name a role.", field=field, allowed="account/Role, e.g. deployment/MyRoleA"
        )
    return account, name


def _repeated_in_group(group: GroupEntry) -> Iterator[str]:
    members = ((f"{group.where}.members[{index}]", name) for index, name in enumerate(group.members))
    yield from _repeated("repeats", members)
    yield from _repeated("repeats", ((mapping.where, mapping.role) for mapping in group.mappings))


def _repeated(verb: str, keyed: Iterable[tuple[str, Hashable]]) -> Iterator[str]:
    first: dict[Hashable, str] = {}
    for where, key in keyed:
        if key in first:
            yield f"{where}: {verb} {first[key]}"
        first.setdefault(key, where)

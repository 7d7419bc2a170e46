"""A configuration being applied: where it stands, what it changed, what is wrong, and the rows that names stand for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeVar

from django.db import transaction

from roles.errors import Conflict, InputError, NotFound
from roles.models import AwsAccount, Bucket, IamRole
from roles.values.config import Config, split_reference

_T = TypeVar("_T")

# Where the file has a field that the models call otherwise.
FILE_FIELDS = {
    "account_id": "id",
    "access_mode": "access.mode",
    "provisioner_role_arn": "access.role_arn",
    "external_id": "access.external_id",
}


class _AlreadyReported(Exception):
    """What an entry refers to is in the file, and wrong: that was said where it stands."""


@dataclass
class Applying:
    """One configuration being applied by `actor`. `changes` and `problems` are lines for people."""

    actor: Any
    config: Config
    changes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._unusable = set(self.config.unreadable)
        self.accounts = {row.name: row for row in AwsAccount.objects.all()}
        self.roles = {_key(row): row for row in IamRole.objects.select_related("account")}
        self.buckets = {row.name: row for row in Bucket.objects.select_related("account")}

    @contextmanager
    def at(self, where: str, *, fields: Collection[str] = (), defines: Collection[str] = ()) -> Iterator[None]:
        """Report what the `with` block refuses as a problem at `where`, and go on with the next entry.

        `fields` are the model fields that the entry has; `defines` is how other entries refer to this one.
        """
        try:
            with transaction.atomic():
                yield
        except (InputError, Conflict, NotFound) as error:
            named = error.field if isinstance(error, InputError) and error.field in fields else ""
            place = f"{where}.{FILE_FIELDS.get(named, named)}" if named else where
            allowed = getattr(error, "allowed", "")
            more = f" Allowed: {allowed}." if allowed and allowed not in str(error) else ""
            self.problems.append(f"{place}: {error}{more}")
            self._unusable.update(defines)
        except _AlreadyReported:
            self._unusable.update(defines)

    def account(self, name: str) -> AwsAccount:
        """Return the account of that name, or raise `InputError`."""
        return self._found(self.accounts, name, "account", "account")

    def bucket(self, name: str, *, field: str = "bucket") -> Bucket:
        """Return the bucket of that name, or raise `InputError`."""
        return self._found(self.buckets, name, "bucket", field)

    def role(self, reference: str, *, field: str = "role") -> IamRole:
        """Return the role that `account/Role` names, or raise `InputError`. Names are taken as they are written."""
        account, name = split_reference(reference, field=field)
        row = self.roles.get((account, name.lower()))
        known = {f"{row.account.name}/{row.name}": row for row in self.roles.values()} if row is None else {}
        if row is not None and row.name != name:
            raise InputError(f"'{reference}' is called '{account}/{row.name}'.", field=field)
        return self._found(known, reference, "role", field) if row is None else row

    def add_role(self, row: IamRole) -> None:
        """Make a new role known to the entries that follow."""
        self.roles[_key(row)] = row

    def rename_account(self, old_name: str, row: AwsAccount) -> None:
        """Find an account and its roles under its new name only."""
        del self.accounts[old_name]
        for key, role in list(self.roles.items()):
            if role.account_id == row.pk:
                del self.roles[key]
                role.account = row
                self.add_role(role)

    def _found(self, rows: Mapping[str, _T], name: str, kind: str, field: str) -> _T:
        if name in rows:
            return rows[name]
        if name in self._unusable:
            raise _AlreadyReported
        close = get_close_matches(name, list(rows), n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(close)}?" if close else f"List it under '{kind}s'."
        raise InputError(f"There is no {kind} '{name}', neither in the file nor in the portal.", field=field, hint=hint)


def _key(role: IamRole) -> tuple[str, str]:
    """Return what a role is found by: IAM ignores the case of its name."""
    return role.account.name, role.name.lower()

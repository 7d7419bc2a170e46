"""Read a configuration file: its YAML, its shape, its values. What is wrong is said with the path in the file.

Entries are checked one by one, so that one wrong entry does not hide what is wrong with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from roles.errors import InputError
from roles.management.config_yaml import load_document
from roles.values import accounts, arns
from roles.values.arns import AccessLevel
from roles.values.config import (
    AccountEntry,
    AssumeRoleGrantEntry,
    BucketEntry,
    BucketGrantEntry,
    Config,
    GroupEntry,
    MappingEntry,
    RoleEntry,
    split_reference,
)


def _checked(parse: Callable[[str], Any]) -> AfterValidator:
    """Return a validator that says what one of our own parsers found, in its words."""

    def check(text: str) -> Any:
        try:
            return parse(text)
        except InputError as error:
            allowed = f" Allowed: {error.allowed}." if error.allowed and error.allowed not in error.message else ""
            raise PydanticCustomError("input", "{text}", {"text": f"{error.message}{allowed}"}) from error

    return AfterValidator(check)


def _or_empty(parse: Callable[[str], Any]) -> AfterValidator:
    return _checked(lambda text: parse(text) if text else "")


def _reference(text: str) -> str:
    split_reference(text)
    return text


def _moment(value: object) -> datetime:
    """Read ISO 8601 text with a zone."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise PydanticCustomError("moment", "must be a time with its zone, e.g. 2030-12-31T18:00:00Z")
    return moment


AccountIdText = Annotated[str, _checked(accounts.account_id)]
RoleReference = Annotated[str, _checked(_reference)]
PrefixText = Annotated[str, _checked(arns.object_prefix)]
Level = Literal["READ", "WRITE", "READWRITE"]
Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]


class _Model(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AccessModel(_Model):
    """How the portal gets into an account."""

    mode: Literal["ambient", "assume-role", "handoff"]
    role_arn: Annotated[str, _or_empty(arns.role_arn), AfterValidator(str)] = ""
    external_id: Annotated[str, _or_empty(accounts.external_id)] = ""


class AccountModel(_Model):
    """An entry of `accounts`."""

    id: AccountIdText
    name: Name
    partition: Literal["", "aws", "aws-cn", "aws-us-gov"] = ""
    region: Name
    access: AccessModel
    trust_policy_characters: Annotated[
        int, Field(ge=accounts.TRUST_POLICY_CHARACTERS, le=accounts.TRUST_POLICY_CHARACTERS_RAISED)
    ] = accounts.TRUST_POLICY_CHARACTERS

    def entry(self, where: str) -> AccountEntry:
        """Return it as a value."""
        return AccountEntry(
            where,
            account_id=self.id,
            name=self.name,
            partition=self.partition,
            region=self.region,
            mode=self.access.mode,
            role_arn=self.access.role_arn,
            external_id=self.access.external_id,
            trust_policy_characters=self.trust_policy_characters,
        )


class RoleModel(_Model):
    """An entry of `roles`."""

    account: Name
    name: Annotated[str, _checked(arns.role_name)]
    path: Annotated[str, _or_empty(arns.role_path)] = ""
    ownership: Literal["managed", "adopted"] = "managed"
    attribution: bool = True
    permissions_boundary: Annotated[str, _or_empty(arns.policy_arn)] = ""

    def entry(self, where: str) -> RoleEntry:
        """Return it as a value."""
        return RoleEntry(where, **self.model_dump())


class BucketModel(_Model):
    """An entry of `buckets`."""

    account: Name
    name: Annotated[str, _checked(arns.bucket_name)]
    region: str = ""
    kms_key_arn: str = ""
    grants_in_identity_policy: bool = False

    def entry(self, where: str) -> BucketEntry:
        """Return it as a value."""
        return BucketEntry(where, **self.model_dump())


class AssumeRoleGrantModel(_Model):
    """An entry of `assume_role_grants`."""

    source: RoleReference
    target: RoleReference

    def entry(self, where: str) -> AssumeRoleGrantEntry:
        """Return it as a value."""
        return AssumeRoleGrantEntry(where, **self.model_dump())


class BucketGrantModel(_Model):
    """An entry of `bucket_grants`."""

    role: RoleReference
    bucket: Name
    access: Level = "READWRITE"
    prefix: PrefixText = ""
    multipart_cleanup: bool = False

    def entry(self, where: str) -> BucketGrantEntry:
        """Return it as a value."""
        access = AccessLevel(self.access)
        return BucketGrantEntry(where, self.role, self.bucket, access, self.prefix, self.multipart_cleanup)


class MappingModel(_Model):
    """A role of a group, with what narrows it."""

    role: RoleReference
    access: Level = "READWRITE"
    prefix: PrefixText = ""
    buckets: list[Name] = []
    expires_at: Annotated[datetime, BeforeValidator(_moment)] | None = None

    def entry(self, where: str) -> MappingEntry:
        """Return it as a value."""
        return MappingEntry(
            where, self.role, AccessLevel(self.access), self.prefix, tuple(self.buckets), self.expires_at
        )


def _mapping(value: object) -> object:
    """Take the short form, `account/Role`."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("input", "must be account/Role, or a mapping with role and what narrows it")
    try:
        return MappingModel(role=value)
    except ValidationError as error:
        raise PydanticCustomError("input", "{text}", {"text": error.errors()[0]["msg"]}) from error


class GroupModel(_Model):
    """An entry of `groups`."""

    name: Name
    description: str = ""
    members: list[Name] = []
    roles: list[Annotated[MappingModel, BeforeValidator(_mapping)]] = []

    def entry(self, where: str) -> GroupEntry:
        """Return it as a value."""
        mappings = tuple(mapping.entry(f"{where}.roles[{index}]") for index, mapping in enumerate(self.roles))
        return GroupEntry(where, self.name, self.description, tuple(self.members), mappings)


SECTIONS: dict[str, type[Any]] = {
    "accounts": AccountModel,
    "roles": RoleModel,
    "buckets": BucketModel,
    "assume_role_grants": AssumeRoleGrantModel,
    "bucket_grants": BucketGrantModel,
    "groups": GroupModel,
}
_INNER: dict[object, type[BaseModel]] = {"access": AccessModel, "roles": MappingModel}


@dataclass(frozen=True, slots=True)
class Reading:
    """What could be read, and a line for each problem, beginning with the path in the file."""

    config: Config
    problems: tuple[str, ...]


def read_config(text: str) -> Reading:
    """Read a configuration file."""
    document, problems = load_document(text)
    if problems:
        return Reading(Config(), tuple(problems))
    if not isinstance(document, dict) or not document:
        return Reading(Config(), (f"document: must be a mapping with one or more of {', '.join(SECTIONS)}",))
    problems = [f"{key}: is not known; allowed: {', '.join(SECTIONS)}" for key in document if key not in SECTIONS]
    entries: dict[str, tuple[Any, ...]] = {}
    unreadable: set[str] = set()
    for section in SECTIONS:
        raw = document.get(section)
        if raw is not None and not isinstance(raw, list):
            problems.append(f"{section}: must be a list")
            raw = None
        entries[section] = tuple(_read_entries(section, raw or [], problems, unreadable))
    return Reading(Config(**entries, unreadable=frozenset(unreadable)), tuple(problems))


def _read_entries(section: str, raw: list[Any], problems: list[str], unreadable: set[str]) -> Iterator[Any]:
    model = SECTIONS[section]
    for index, item in enumerate(raw):
        where = f"{section}[{index}]"
        try:
            yield model.model_validate(item).entry(where)
        except ValidationError as error:
            problems.extend(_line(where, model, details) for details in error.errors())
            unreadable.update(_names(item))


def _names(item: object) -> Iterator[str]:
    """Yield what other entries may call this one."""
    if isinstance(item, dict) and "name" in item:
        yield str(item["name"])
        yield f"{item.get('account')}/{item['name']}"


def _line(where: str, model: type[BaseModel], details: ErrorDetails) -> str:
    """Say one of pydantic's findings in our words."""
    for part in details["loc"]:
        where += f"[{part}]" if isinstance(part, int) else f".{part}"
        model = _INNER.get(part, model) if model in (AccountModel, GroupModel) else model
    return f"{where}: {_message(model, details)}"


def _message(model: type[BaseModel], details: ErrorDetails) -> str:
    kind, given = details["type"], details["input"]
    if kind == "extra_forbidden":
        return f"is not known; allowed: {', '.join(model.model_fields)}"
    if kind == "string_type" and details["loc"][-1] == "id":
        return (
            'must be quoted, e.g. id: "111111111111": without quotes YAML reads a number, and a number has no leading '
            "zeros"
        )
    if kind == "string_type" and given is not None:
        return f"must be text, but YAML reads {given!r} as {type(given).__name__}; put quotes around it"
    if kind == "literal_error":
        return f"{given!r} is none of {details['ctx']['expected']}"
    return _PLAIN.get(kind, details["msg"])


_PLAIN = {
    "missing": "is missing",
    "invalid_key": "is a key that YAML does not read as text; put quotes around it",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "list_type": "must be a list; [] is none",
    "model_type": "must be a mapping of keys to values",
}

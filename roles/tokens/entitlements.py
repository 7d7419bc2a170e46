"""What the database says that a user's mappings reach, read with one statement.

It is asked for every request for a token, so the statement is written out (`statements.py` says why).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from django.db import connection

from roles.models import AwsAccount, Bucket, GroupRole, IamRole, User, UserGroup
from roles.models.choices import RunPurpose, RunStatus
from roles.models.suspensions import in_words
from roles.tokens.statements import Known, Statement, Tables

_ACCOUNT = ("id", "account_id", "name", "partition", "region")
_ROLE = ("id", "account_id", "name", "path", "ownership", "attribution")
_TABLES = Tables(
    ("mapping", GroupRole, tuple(one.attname for one in GroupRole._meta.concrete_fields)),
    ("grp", UserGroup, ("id", "name")),
    ("source", IamRole, _ROLE),
    ("source_account", AwsAccount, _ACCOUNT),
    ("target", IamRole, _ROLE),
    ("target_account", AwsAccount, _ACCOUNT),
    ("bucket", Bucket, ("id", "account_id", "name", "region", "kms_key_arn")),
    ("bucket_account", AwsAccount, _ACCOUNT),
)


def _why_disabled(column: str, of: str) -> str:
    """Return the SQL of the reason why a group or an account is disabled now; there is at most one, none is NULL."""
    return f"(SELECT stop.reason FROM roles_suspension stop WHERE stop.{column} = {of} AND stop.ended_at IS NULL)"  # noqa: S608  # as below


_RUN = (
    f"SELECT 1 FROM roles_provisioningrun run WHERE run.role_id = target.id AND run.purpose = '{RunPurpose.RECONCILE}'"  # noqa: S608  # as below
)
_SELECT = f"""
SELECT {_TABLES.columns}, opened.access, opened.prefix, opened.multipart_cleanup,
       EXISTS (SELECT 1 FROM roles_assumerolegrant onward
               WHERE onward.source_id = target.id AND (onward.ended_at IS NULL OR (
                   EXISTS ({_RUN}) AND
                   NOT EXISTS ({_RUN} AND run.status = '{RunStatus.IN_SYNC}' AND run.started_at >= onward.ended_at)))),
       EXISTS (SELECT 1 FROM roles_grouprole_buckets named WHERE named.grouprole_id = mapping.id),
       EXISTS (SELECT 1 FROM roles_grouprole_buckets named
               WHERE named.grouprole_id = mapping.id AND named.bucket_id = opened.bucket_id),
       {_why_disabled("group_id", "mapping.group_id")},
       {_why_disabled("account_id", "source.account_id")},
       {_why_disabled("account_id", "target.account_id")},
       {_why_disabled("account_id", "bucket.account_id")}
FROM roles_grouprole mapping
JOIN roles_usergroup grp ON grp.id = mapping.group_id
JOIN roles_iamrole source ON source.id = mapping.role_id
JOIN roles_awsaccount source_account ON source_account.id = source.account_id
LEFT JOIN roles_assumerolegrant chain ON chain.source_id = source.id AND chain.ended_at IS NULL
LEFT JOIN roles_iamrole target ON target.id = chain.target_id
LEFT JOIN roles_awsaccount target_account ON target_account.id = target.account_id
LEFT JOIN roles_bucketgrant opened ON opened.role_id = target.id AND opened.ended_at IS NULL
LEFT JOIN roles_bucket bucket ON bucket.id = opened.bucket_id
LEFT JOIN roles_awsaccount bucket_account ON bucket_account.id = bucket.account_id
WHERE mapping.started_at <= %s AND (mapping.ended_at IS NULL OR mapping.ended_at > %s)
  AND EXISTS (SELECT 1 FROM roles_membership member JOIN roles_user person ON person.id = member.user_id
              WHERE member.group_id = mapping.group_id AND member.user_id = %s AND member.ended_at IS NULL
                AND person.is_active)
"""  # noqa: S608  # made of names of columns, nothing that anybody typed
_ORDER = "ORDER BY mapping.id, target_account.name, target.name, target.id, opened.id"
_ALL = Statement("xacct_entitlements", _SELECT + _ORDER)
_ONE = Statement("xacct_entitlement", f"{_SELECT}  AND mapping.id = %s\n{_ORDER}")


@dataclass(frozen=True, slots=True)
class Opened:
    """A bucket grant of a target role. `is_named`: the mapping names this bucket.

    `disabled` says, in a sentence, what on the way to the bucket an admin disabled: the group, or the account of the
    source role, of the target role, or of the bucket. Empty: nothing.
    """

    bucket: Bucket
    access: str
    prefix: str
    cleans_uploads: bool
    is_named: bool
    disabled: str


class _More(NamedTuple):
    """What a row of the answer says besides the tables' columns. `why_…` are reasons, None for what is enabled."""

    access: str
    prefix: str
    cleans_uploads: bool
    assumes_others: bool
    names_buckets: bool
    is_named: bool
    why_group: str | None
    why_source: str | None
    why_target: str | None
    why_bucket: str | None


@dataclass(frozen=True, slots=True)
class Reached:
    """A target role that a mapping reaches.

    `assumes_others`: it is itself the source role of a grant that is open, or that no run has taken out of AWS since.
    """

    role: IamRole
    assumes_others: bool
    opened: tuple[Opened, ...]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """An open mapping of a group that the user is in, and what its targets' grants open.

    `names_buckets` says that the mapping narrows to the buckets it names.
    """

    mapping: GroupRole
    names_buckets: bool
    targets: list[Reached]


def entitlements_of(user: User, now: datetime, *, mapping_id: int | None = None) -> list[Entitlement]:
    """Return the mappings open at `now` of the groups that `user` is in, oldest first; only one of them if named.

    None if the database says that the user is not active. One query.
    """
    moment = connection.ops.adapt_datetimefield_value(now)
    parameters = [moment, moment, user.pk]
    rows = _ALL.rows(parameters) if mapping_id is None else _ONE.rows([*parameters, mapping_id])
    return [_entitlement(list(group)) for _, group in groupby(rows, key=lambda row: row[0])]


def _entitlement(rows: list[tuple[Any, ...]]) -> Entitlement:
    """Return what the rows of one mapping say."""
    known: Known = {}
    read = [_TABLES.instances(row, known) for row in rows]
    first = read[0]
    mapping: GroupRole = first["mapping"]
    mapping.group, mapping.role = first["grp"], first["source"]
    mapping.role.account = first["source_account"]
    found = Entitlement(mapping, bool(_More(*rows[0][_TABLES.width :]).names_buckets), [])
    opening = [(one, row) for one, row in zip(read, rows, strict=True) if one["bucket"] is not None]
    for _, group in groupby(opening, key=lambda pair: pair[0]["target"].pk):
        of_target = list(group)
        target: IamRole = of_target[0][0]["target"]
        target.account = of_target[0][0]["target_account"]
        assumes_others = bool(_More(*of_target[0][1][_TABLES.width :]).assumes_others)
        found.targets.append(Reached(target, assumes_others, tuple(_opened(of_target))))
    return found


def _opened(rows: Iterable[tuple[dict[str, Any], tuple[Any, ...]]]) -> Iterator[Opened]:
    for one, row in rows:
        more = _More(*row[_TABLES.width :])
        bucket: Bucket = one["bucket"]
        bucket.account = one["bucket_account"]
        yield Opened(
            bucket, more.access, more.prefix, bool(more.cleans_uploads), bool(more.is_named), _disabled(one, more)
        )


def _disabled(one: dict[str, Any], more: _More) -> str:
    """Return what of a row's way is disabled, the first of several from the group on."""
    way = (
        (one["grp"], more.why_group),
        (one["source_account"], more.why_source),
        (one["target_account"], more.why_target),
        (one["bucket_account"], more.why_bucket),
    )
    return next((in_words(subject, reason) for subject, reason in way if reason is not None), "")

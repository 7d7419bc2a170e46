"""Principals: who a statement names, whether they exist, and the unique id that AWS keeps behind each ARN."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from tests.strict_aws.rules.grammar import Statement, as_list, statements_of
from tests.strict_aws.rules.names import ACCOUNT
from tests.strict_aws.rules.refusal import Refusal

UNIQUE_ID = re.compile(r"(AROA|AIDA)[A-Z0-9]+")
ENTITY_ARN = re.compile(r"arn:(aws[a-z-]*):iam::([0-9]{12}):(role|user)/((?:[!-~]+/)?)([A-Za-z0-9_+=,.@-]+)")
SESSION_ARN = re.compile(r"arn:aws[a-z-]*:sts::([0-9]{12}):assumed-role/([A-Za-z0-9_+=,.@-]+)/([A-Za-z0-9_+=,.@-]+)")
FEDERATED_ARN = re.compile(r"arn:aws[a-z-]*:sts::[0-9]{12}:federated-user/[A-Za-z0-9_+=,.@-]+")
ROOT_ARN = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):root")


class Directory(Protocol):
    """Who exists, as far as the services that store policies know by now."""

    def knows_arn(self, arn: str) -> bool:
        """Whether this is the ARN of a role or user that policies may name."""
        ...

    def arn_of(self, unique_id: str) -> str | None:
        """Return the ARN of the living role or user of this unique id."""
        ...


def root_arn(account: str, partition: str = "aws") -> str:
    """Return the principal that stands for a whole account."""
    return f"arn:{partition}:iam::{account}:root"


def aws_principals(statement: Statement) -> Iterator[str]:
    """Yield what a statement names under `AWS`, in `Principal` or `NotPrincipal`."""
    for name in ("Principal", "NotPrincipal"):
        value = statement.get(name)
        if isinstance(value, Mapping):
            yield from as_list(value.get("AWS"))
        elif value is not None:
            yield value


def is_known(value: object, directory: Directory) -> bool:
    """Whether AWS takes `value` as an `AWS` principal. A part of an ARN cannot be a wildcard."""
    if not isinstance(value, str):
        return False
    if value == "*" or any(kind.fullmatch(value) for kind in (ACCOUNT, ROOT_ARN, SESSION_ARN, FEDERATED_ARN)):
        return True
    if UNIQUE_ID.fullmatch(value):
        return directory.arn_of(value) is not None
    return bool(ENTITY_ARN.fullmatch(value)) and directory.knows_arn(value)


def check_known(
    document: Mapping[str, Any], directory: Directory, malformed: Callable[[str], Refusal], *, tell: bool
) -> None:
    """Raise unless AWS knows every principal. IAM tells which it does not (`tell`); S3 keeps it to itself."""
    for statement in statements_of(document):
        for value in aws_principals(statement):
            if not is_known(value, directory):
                raise malformed(
                    f'Invalid principal in policy: "AWS":"{value}"' if tell else "Invalid principal in policy"
                )


def with_principals(document: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Return the document with each `AWS` principal replaced by what `change` makes of it."""
    statements = [_changed(statement, change) for statement in statements_of(document)]
    return {**document, "Statement": statements}


def _changed(statement: Statement, change: Callable[[str], str]) -> dict[str, Any]:
    changed = dict(statement)
    for name in ("Principal", "NotPrincipal"):
        value = statement.get(name)
        if isinstance(value, Mapping) and "AWS" in value:
            named = value["AWS"]
            new = [change(item) for item in named] if isinstance(named, list) else change(named)
            changed[name] = {**value, "AWS": new}
    return changed

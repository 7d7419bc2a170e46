"""IAM and S3 policy documents as values.

A statement keeps the JSON it was read from, so that what others wrote goes back with nothing lost or reordered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from roles.errors import PolicySyntax

VERSION = "2012-10-17"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `body` is its JSON object and is never changed in place."""

    body: Mapping[str, Any]

    @property
    def sid(self) -> str:
        """The statement's id, or empty."""
        return str(self.body.get("Sid", ""))

    def __hash__(self) -> int:
        return hash(json.dumps(self.body, sort_keys=True))


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A policy: `Version` first, then whatever else stands at the top (`Id`), then the statements in order."""

    statements: tuple[Statement, ...] = ()
    version: str = VERSION
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is no statement left; AWS takes no such document, so it has to be deleted instead."""
        return not self.statements

    def with_statements(self, statements: Iterable[Statement]) -> PolicyDocument:
        """Return the same document with other statements."""
        return PolicyDocument(tuple(statements), self.version, self.extra)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON object, `Version` first as AWS wants it."""
        return {"Version": self.version, **self.extra, "Statement": [dict(item.body) for item in self.statements]}

    def as_json(self) -> str:
        """Return compact JSON, as sent to AWS.

        ASCII only: IAM and STS take no character above U+00FF in a policy's text (IAM API, `policyDocumentType`).
        """
        return json.dumps(self.as_dict(), separators=(",", ":"))

    def pretty(self) -> str:
        """Return indented JSON, as shown to people."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False)


def parse(source: str | Mapping[str, Any]) -> PolicyDocument:
    """Read a policy from JSON text or a decoded object, or raise `PolicySyntax`.

    A single statement object is taken as a list of one, as AWS does. A missing Version is AWS's default, 2008-10-17.
    """
    try:
        data = json.loads(source) if isinstance(source, str) else source
    except ValueError as error:
        raise PolicySyntax(f"The policy is not JSON: {error}.", hint="Look at it in the AWS console.") from error
    if not isinstance(data, Mapping):
        raise PolicySyntax("The policy is not a JSON object.")
    listed = data.get("Statement", [])
    items = [listed] if isinstance(listed, Mapping) else listed
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise PolicySyntax("The policy's Statement is neither an object nor a list of objects.")
    extra = {key: value for key, value in data.items() if key not in ("Version", "Statement")}
    return PolicyDocument(tuple(Statement(item) for item in items), str(data.get("Version", "2008-10-17")), extra)

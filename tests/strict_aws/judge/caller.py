"""Who calls: a root, a user, or a session of a role."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.strict_aws.rules.principals import ROOT_ARN

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose policies are known. `arn` is the user's or the session's, `entity_arn` the user's or the role's.

    `limits` narrow what the role or user was given: the permissions boundary, and the session policies. An empty list
    of documents in one of them allows nothing.
    """

    account: str
    arn: str
    entity_arn: str
    entity_id: str
    identity: tuple[Document, ...] = ()
    limits: tuple[tuple[Document, ...], ...] = ()
    context: Mapping[str, str | list[str] | None] = field(default_factory=dict)

    @property
    def is_session(self) -> bool:
        """Whether these are temporary credentials, so that assuming a role with them is role chaining."""
        return self.arn != self.entity_arn


def names_directly(principal: str, caller: Caller) -> bool:
    """Whether a policy names the user or this very session, which no limit narrows (IAM, "Session policies")."""
    return principal == caller.arn


def names_entity(principal: str, caller: Caller) -> bool:
    """Whether a policy names the caller's user or role, by the ARN that still means it or by its unique id."""
    return principal in (caller.arn, caller.entity_arn, caller.entity_id)


def names_account(principal: str, caller: Caller) -> bool:
    """Whether a policy names the caller's account, which leaves the rest to that account's own policies."""
    match = ROOT_ARN.fullmatch(principal)
    return principal == caller.account or (match is not None and match.group(1) == caller.account)

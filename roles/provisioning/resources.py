"""The engine's values: kinds of resource, what is wished of one, what AWS has, and the change between. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from roles.policies.document import PolicyDocument, Statement
from roles.values.accounts import AccountAccess
from roles.values.arns import RoleArn


class Step(StrEnum):
    """The procedure's steps. Several resources may belong to one step (many targets, many buckets)."""

    SOURCE_ROLE = "1"
    ASSUME_POLICY = "2"
    PASS_ROLE_POLICY = "3"  # noqa: S105 (a step's number)
    TARGET_ROLE = "4"
    TARGET_TRUST = "5"
    BUCKET_POLICY = "6"
    VERIFY = "7"


class Action(StrEnum):
    """What has to be done to a resource."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NONE = "none"
    VERIFY = "verify"


STEP_TITLES: dict[Step, str] = {
    Step.SOURCE_ROLE: "Create role in Account A",
    Step.ASSUME_POLICY: "Create policy in Account A",
    Step.PASS_ROLE_POLICY: "Update the policy with iam:PassRole",
    Step.TARGET_ROLE: "Create role in Account B",
    Step.TARGET_TRUST: "Edit trust relationship",
    Step.BUCKET_POLICY: "Create bucket policy",
    Step.VERIFY: "Verify access",
}


@dataclass(frozen=True, slots=True)
class DesiredRole:
    """Steps 1 and 4: a role. `trust` holds our statements it must carry; `profile` asks for the instance profile.

    `wanted` False means: nobody needs it any more. The role stays (deleting is never automatic); `trust` is then what
    a managed role keeps. `managed` False (adopted): the portal never creates it.
    """

    step: Step
    access: AccountAccess
    role: RoleArn
    wanted: bool
    managed: bool
    trust: tuple[Statement, ...]
    profile: bool = False


@dataclass(frozen=True, slots=True)
class DesiredDocument:
    """Steps 2, 3, 5, 6: our statements in a document shared with others.

    `statements` are all of ours that must be there; every other statement whose Sid begins with `owned` goes, all
    others stay. `resource` is the ARN of the role or bucket that carries the document. `region` is the bucket's.
    """

    step: Step
    access: AccountAccess
    resource: str
    owned: str
    statements: tuple[Statement, ...]
    region: str = ""


@dataclass(frozen=True, slots=True)
class DesiredAccess:
    """Step 7: `source` can assume `target` and list `bucket` under `prefix`."""

    access: AccountAccess
    source_access: AccountAccess
    source: RoleArn
    target: RoleArn
    bucket: str
    region: str
    prefix: str
    reads: bool
    wanted: bool = True


Desired = DesiredRole | DesiredDocument | DesiredAccess


@dataclass(frozen=True, slots=True)
class ObservedRole:
    """A role as AWS has it; None elsewhere means there is none. `tags` decide whether it is ours."""

    trust: PolicyDocument
    tags: dict[str, str] = field(default_factory=dict)
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Change:
    """What one step does. `before` and `after` are whole documents (JSON objects) or None for "there is none"."""

    desired: Desired
    action: Action
    resource: str
    title: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    foreign_statements: int = 0
    warnings: tuple[str, ...] = ()

    @property
    def step(self) -> Step:
        """The procedure's step."""
        return Step.VERIFY if isinstance(self.desired, DesiredAccess) else self.desired.step

    @property
    def writes(self) -> bool:
        """Whether AWS is written."""
        return self.action in (Action.CREATE, Action.UPDATE, Action.DELETE)


@dataclass(frozen=True, slots=True)
class Plan:
    """All changes of a run in the procedure's order. `digest` covers what we wish per resource, not the diff."""

    changes: tuple[Change, ...]
    digest: str

    @property
    def writes(self) -> int:
        """How many changes write to AWS."""
        return sum(change.writes for change in self.changes)

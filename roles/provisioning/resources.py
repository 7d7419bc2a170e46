"""The engine's values: kinds of resource, what is wished of one, what AWS has, and the change between. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from roles.policies.document import PolicyDocument, Statement, parse
from roles.policies.equivalence import meaning
from roles.policies.sids import SID_PREFIX
from roles.values.accounts import AccountAccess
from roles.values.arns import BucketArn, RoleArn


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


class Place(StrEnum):
    """The kinds of thing that AWS stores and replaces as a whole. Several steps may change the same one."""

    ROLE = "role"
    WHOLE_ROLE = "whole-role"
    PROFILE = "profile"
    INLINE_POLICY = "inline-policy"
    MANAGED_POLICIES = "managed-policies"
    BUCKET_POLICY = "bucket-policy"
    NONE = "none"


INLINE_POLICY_NAME = "xacct-portal"

# The policy that cuts off credentials hangs on target roles, where step 5 is: beside their trust, and not part of it.
CUT_OFF_POLICY_NAME = "xacct-cut-off"
_CUT_OFF_MARK = f"#{CUT_OFF_POLICY_NAME}"  # '#' is in no ARN of IAM


def cut_off_of(role: RoleArn | str) -> str:
    """Return what stands for the policy of a role that cuts off credentials: AWS has no ARN for inline policies."""
    return f"{role}{_CUT_OFF_MARK}"


def is_cut_off(resource: str) -> bool:
    """Return whether this stands for a policy that cuts off credentials."""
    return resource.endswith(_CUT_OFF_MARK)


def holder_of(resource: str) -> str:
    """Return the ARN of what carries a document: the role for a policy that cuts off, else the resource itself."""
    return resource.removesuffix(_CUT_OFF_MARK)


@dataclass(frozen=True, slots=True)
class DesiredRole:
    """Steps 1 and 4: a role. `wanted` False: nobody needs it any more; it stays, as deleting is never automatic.

    `trust` holds our statements about who may act as it (`sids.ROLE_SIDS`), or is None where that is not this step's
    concern: a target's trust is step 5's. `managed` False (adopted): the portal never creates it. `boundary` is the ARN
    of the policy that limits it from its creation on, or empty.
    """

    step: Step
    access: AccountAccess
    role: RoleArn
    wanted: bool
    managed: bool
    trust: tuple[Statement, ...] | None
    boundary: str = ""

    @property
    def resource(self) -> str:
        """The role's ARN."""
        return str(self.role)


@dataclass(frozen=True, slots=True)
class DesiredProfile:
    """Step 1: the instance profile of the role's name, with the role in it. Never taken away."""

    access: AccountAccess
    role: RoleArn
    wanted: bool

    @property
    def step(self) -> Step:
        """The procedure's step."""
        return Step.SOURCE_ROLE

    @property
    def resource(self) -> str:
        """The profile's ARN."""
        return self.role.instance_profile


@dataclass(frozen=True, slots=True)
class DesiredDocument:
    """Steps 2, 3, 5, 6: our statements in a document shared with others.

    Step 6 is about a bucket's policy, or, where `resource` is a role, about what its own policy gives of buckets.

    `statements` are all of ours that must be there; every other statement whose Sid begins with `owned` goes, all
    others stay. `resource` is the ARN of the role or bucket that carries the document, or `cut_off_of` a role.
    `region` is the bucket's, `heading` what its step is about if not what the procedure says. `others` is how many
    characters others had in inline policies of the role when they were last read; None where nobody else has any.
    """

    step: Step
    access: AccountAccess
    resource: str
    owned: str
    statements: tuple[Statement, ...]
    region: str = ""
    heading: str = ""
    others: int | None = None


@dataclass(frozen=True, slots=True)
class DesiredPolicies:
    """Steps 2 and 6: the customer managed policies of ours on a role, for what its inline policy has no room for.

    The n-th document is the policy `role.managed_policy(n)`. `known` is how many there may be from earlier runs,
    `heading` what the step is about if not that. `is_order`: they are put back, which comes after no other step that
    would have made the role; `notes` are what to know of that.
    """

    access: AccountAccess
    role: RoleArn
    documents: tuple[PolicyDocument, ...]
    known: int = 0
    heading: str = ""
    is_order: bool = False
    notes: tuple[str, ...] = ()

    @property
    def step(self) -> Step:
        """The procedure's step: what they say is what step 2's policy has no room for."""
        return Step.ASSUME_POLICY

    @property
    def resource(self) -> str:
        """What the ARNs of all of them begin with."""
        return self.role.managed_policies


@dataclass(frozen=True, slots=True)
class DesiredAccess:
    """Step 7: `source` can assume `target` and list `bucket` under `prefix` (or, without `reads`, find its region)."""

    access: AccountAccess
    source_access: AccountAccess
    source: RoleArn
    target: RoleArn
    bucket: BucketArn
    region: str
    prefix: str
    reads: bool

    @property
    def step(self) -> Step:
        """The procedure's step."""
        return Step.VERIFY

    @property
    def resource(self) -> str:
        """The bucket's ARN."""
        return str(self.bucket)


@dataclass(frozen=True, slots=True)
class DesiredNoProfile:
    """An order to delete a role: it leaves the instance profile of its name; `made_here`: which then goes too."""

    access: AccountAccess
    role: RoleArn
    made_here: bool

    @property
    def step(self) -> Step:
        """The procedure's step."""
        return Step.SOURCE_ROLE

    @property
    def resource(self) -> str:
        """The profile's ARN."""
        return self.role.instance_profile


@dataclass(frozen=True, slots=True)
class DesiredNoRole:
    """An order to delete a managed role. `looks_only`: this is the look at the whole of it that comes before all."""

    step: Step
    access: AccountAccess
    role: RoleArn
    looks_only: bool = False

    @property
    def resource(self) -> str:
        """The role's ARN."""
        return str(self.role)


@dataclass(frozen=True, slots=True)
class DesiredAsBefore:
    """An order to put a document back: `kept` is what AWS had (None: nothing), `place` the kind of document.

    Of it our statements, whose Sid begins with `owned`, with those of others as they are now; `exactly`: all of it.
    `wished` is what the database wishes for the same document.
    """

    step: Step
    access: AccountAccess
    resource: str
    place: Place
    kept: PolicyDocument | None
    exactly: bool
    wished: tuple[DesiredRole | DesiredDocument, ...] = ()
    region: str = ""
    owned: str = SID_PREFIX

    @property
    def heading(self) -> str:
        """What the step is about."""
        what = {Place.ROLE: "trust policy", Place.BUCKET_POLICY: "bucket policy"}.get(self.place, "policy")
        return f"Put back the {what} of {self.resource.rpartition(':')[2].rpartition('/')[2]}"


# What is written, as against an access, which is used.
DesiredThing = (
    DesiredRole
    | DesiredProfile
    | DesiredDocument
    | DesiredPolicies
    | DesiredNoProfile
    | DesiredNoRole
    | DesiredAsBefore
)
Desired = DesiredThing | DesiredAccess


@dataclass(frozen=True, slots=True)
class ObservedRole:
    """A role as AWS has it. `tags` decide whether the portal made it; `arn` shows the path it really has.

    `boundary` is the ARN of its permissions boundary, or empty.
    """

    trust: PolicyDocument
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str = ""
    boundary: str = ""


@dataclass(frozen=True, slots=True)
class ObservedProfile:
    """An instance profile as AWS has it, with the names of the roles in it. `tags` say whether the portal made it."""

    roles: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ObservedPolicies:
    """The managed policies in the places of ours, by number, and which of them are attached to the role.

    `others` is how many of somebody else's are attached to it; `taken` are those in our places that the portal did not
    make. `has_role`: the role is there.
    """

    documents: Mapping[int, PolicyDocument] = field(default_factory=dict)
    attached: frozenset[int] = frozenset()
    others: int = 0
    taken: frozenset[int] = frozenset()
    has_role: bool = True


@dataclass(frozen=True, slots=True)
class ObservedWhole:
    """A role with all that keeps IAM from deleting it, and what others have in the policies of ours on it.

    `inline` are the names of its inline policies, `attached` the ARNs of its managed ones, `profiles` the names of the
    instance profiles that hold it, `foreign` the Sids of statements of others by the name of the policy.
    """

    role: ObservedRole
    inline: tuple[str, ...]
    attached: tuple[str, ...]
    profiles: tuple[str, ...]
    foreign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


State = ObservedRole | ObservedProfile | ObservedPolicies | ObservedWhole | PolicyDocument | None


@dataclass(frozen=True, slots=True)
class Seen:
    """What a handoff account has in one place, where its owner lets the portal read."""

    state: State


# What AWS has in one place; None: nothing, or in a handoff account: nobody knows. A policy document stands for an
# inline policy or a bucket policy.
Observed = State | Seen


@dataclass(frozen=True, slots=True)
class Change:
    """What one step does. `before` and `after` are whole documents (JSON objects) or None for "there is none".

    `blocked` says why it must not be done (a limit, a role that is not ours), `hint` what to do about that;
    `is_adoptable` that an admin may let the portal use what is there. `others` is how much of AWS's limit is somebody
    else's, in what the limit counts. `unlike` says what is not as wished and no change mends.
    """

    desired: Desired
    action: Action
    resource: str
    title: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    foreign_statements: int = 0
    warnings: tuple[str, ...] = ()
    blocked: str = ""
    hint: str = ""
    is_adoptable: bool = False
    others: int = 0
    unlike: str = ""

    @property
    def step(self) -> Step:
        """The procedure's step."""
        return self.desired.step

    @property
    def writes(self) -> bool:
        """Whether AWS has to be written: by the portal, or in a handoff account by its owner."""
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

    @property
    def seen(self) -> str:
        """64 hex digits that are equal when the same was found in AWS. The digest does not depend on that."""
        found = [[one.step, one.resource, _found(one.before), one.blocked, bool(one.warnings)] for one in self.changes]
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _found(document: dict[str, Any] | None) -> object:
    """Return a document, or several by name, in one form for all spellings: AWS orders lists as it likes."""
    if document is None or "Statement" not in document:
        return document and {name: _found(one) if isinstance(one, dict) else one for name, one in document.items()}
    policy = parse(document)
    statements = [json.dumps([one.sid, meaning(one)], sort_keys=True) for one in policy.statements]
    return [policy.version, policy.extra, sorted(statements)]

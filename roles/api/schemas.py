"""What the REST interface takes and gives. Things are named as in AWS: roles by ARN, buckets and groups by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import AwareDatetime, ConfigDict, Field

from roles.values.arns import AccessLevel

Reason = Annotated[str, Field(max_length=500, description="Why, for the history.")]


class _Asked(Schema):
    """What is sent; a field that is not known is refused, as it may be a misspelt one."""

    model_config = ConfigDict(extra="forbid")


class _Change(_Asked):
    reason: Reason = ""


class _OfMapping(_Change):
    group: str
    role: str = Field(description="ARN of the source role.")


class _Narrowing(_OfMapping):
    access: AccessLevel = AccessLevel.READWRITE
    prefix: str = ""
    buckets: list[str] = Field(default=[], description="Names of buckets; none means all that the role reaches.")
    expires_at: AwareDatetime | None = None


class MapRole(_Narrowing):
    """Add a source role to a group."""

    action: Literal["map_role"]


class ChangeMapping(_Narrowing):
    """Replace a mapping's narrowing and expiry."""

    action: Literal["change_mapping"]


class UnmapRole(_OfMapping):
    """Take a source role out of a group."""

    action: Literal["unmap_role"]


class _OfBucketGrant(_Change):
    role: str = Field(description="ARN of the target role.")
    bucket: str
    prefix: str = ""


class GrantBucket(_OfBucketGrant):
    """Let a target role use a bucket, or a folder in it."""

    action: Literal["grant_bucket"]
    access: AccessLevel = AccessLevel.READWRITE
    multipart_cleanup: bool = False


class EndBucketGrant(_OfBucketGrant):
    """End what a target role has in a bucket, or in a folder in it."""

    action: Literal["end_bucket_grant"]


class _OfAssumeRoleGrant(_Change):
    source: str = Field(description="ARN of the source role.")
    target: str = Field(description="ARN of the target role.")


class GrantAssumeRole(_OfAssumeRoleGrant):
    """Let a source role assume a target role."""

    action: Literal["grant_assume_role"]


class EndAssumeRoleGrant(_OfAssumeRoleGrant):
    """End that a source role may assume a target role."""

    action: Literal["end_assume_role_grant"]


class _OfMember(_Change):
    group: str
    user: str = Field(description="User name.")


class AddMember(_OfMember):
    """Make a person a member of a group."""

    action: Literal["add_member"]


class RemoveMember(_OfMember):
    """Take a person out of a group."""

    action: Literal["remove_member"]


class EndGroup(_Change):
    """End a group's memberships and mappings."""

    action: Literal["end_group"]
    group: str


class RetireRole(_Change):
    """End everything that goes through a role."""

    action: Literal["retire_role"]
    role: str = Field(description="ARN of the role.")


class RetireAccount(_Change):
    """End everything that goes through an account."""

    action: Literal["retire_account"]
    account: str = Field(description="Account id, 12 digits.")


class Order(_Change):
    """Something to be done in AWS by a run of its own. Without a plan of what AWS has it is refused."""


class DeleteRole(Order):
    """Delete a managed role in AWS that nobody uses any more."""

    action: Literal["delete_role"]
    role: str = Field(description="ARN of the role.")
    name: str = Field(default="", description="The role's name once more, to confirm it. A plan takes none.")


class PutBack(Order):
    """Put a document back to what it was before a run. The step is named as the run's answer shows it."""

    action: Literal["put_back"]
    run: int
    number: int = Field(description="The step's number.")
    resource: str = Field(description="What the step is about.")
    exactly: bool = Field(default=False, description="With the statements of others, which may be lost or come back.")
    agrees: bool = Field(default=False, description="You have read in the plan which. A plan takes no such word.")


AnyChange = Annotated[
    MapRole
    | ChangeMapping
    | UnmapRole
    | GrantBucket
    | EndBucketGrant
    | GrantAssumeRole
    | EndAssumeRoleGrant
    | AddMember
    | RemoveMember
    | EndGroup
    | RetireRole
    | RetireAccount
    | DeleteRole
    | PutBack,
    Field(discriminator="action"),
]


class PlanRequest(_Asked):
    """A change to look at. `adopt`: ARNs of managed roles that exist already and are to be used as they are."""

    change: AnyChange
    adopt: list[str] = []


class ChangeRequest(PlanRequest):
    """A change to make as it was seen: `expected_plan` and `seen` are those of the plan."""

    expected_plan: str = Field(min_length=1)
    seen: str


class PlannedChange(Schema):
    """One change to one thing in AWS. Sizes are in `unit`, as AWS counts; `limit` 0 means that there is none."""

    number: int = Field(description="The procedure's step.")
    title: str
    account: str
    resource: str
    action: str
    writes: bool
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    kept: int = Field(description="Statements of others, left as they are.")
    size_before: int
    size_after: int
    limit: int
    unit: str
    warnings: list[str]
    blocked: str = Field(description="Why it must not be made as things are; empty if it may.")
    hint: str
    is_adoptable: bool


class PlanAnswer(Schema):
    """What a change would do. Send `expected_plan` and `seen` back to make it."""

    expected_plan: str
    seen: str
    alters: bool = Field(description="Whether anything in AWS, or anybody's access, changes.")
    said: list[str] = Field(description="What people gain and lose.")
    problem: str = Field(description="Why AWS could not be read; empty if it could.")
    changes: list[PlannedChange]


class ChangeAnswer(Schema):
    """What was changed in the portal, and the runs that bring AWS in line."""

    type: str
    id: int
    name: str
    runs: list[int]


class StepAnswer(Schema):
    """One step of a run."""

    number: int
    title: str
    account: str
    resource: str
    action: str
    status: str
    error: str
    hint: str


class RunAnswer(Schema):
    """A run: `status` is final with `in_sync`, `needs_owner` or `failed`."""

    id: int
    status: str
    role: str
    progress: str
    error: str
    hint: str
    steps: list[StepAnswer]


class Problem(Schema):
    """A refusal (RFC 9457). `plan` is the new one when the plan that was confirmed is not true any more."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""
    field: str = ""
    request_id: str
    errors: list[str] = []
    plan: PlanAnswer | None = None

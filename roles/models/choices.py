"""Closed sets of words, as Django choices. The words are the ones in docs/architecture.md."""

from __future__ import annotations

from django.db import models

from roles.values.accounts import AccessMode, Partition
from roles.values.arns import AccessLevel


class PartitionChoice(models.TextChoices):
    """AWS partitions."""

    AWS = Partition.AWS.value, "AWS (commercial)"
    AWS_CN = Partition.AWS_CN.value, "AWS China"
    AWS_US_GOV = Partition.AWS_US_GOV.value, "AWS GovCloud (US)"


class AccessModeChoice(models.TextChoices):
    """How the portal gets into an account."""

    AMBIENT = AccessMode.AMBIENT.value, "Ambient: the portal's own AWS identity is in this account"
    ASSUME_ROLE = AccessMode.ASSUME_ROLE.value, "Assume role: the portal assumes a provisioner role there"
    HANDOFF = AccessMode.HANDOFF.value, "Handoff: the account's owner applies the documents"


class AccessLevelChoice(models.TextChoices):
    """What a grant allows."""

    READ = AccessLevel.READ.value, "Read"
    WRITE = AccessLevel.WRITE.value, "Write"
    READWRITE = AccessLevel.READWRITE.value, "Read and write"


class RoleOwnership(models.TextChoices):
    """Who made the IAM role."""

    MANAGED = "managed", "Managed: the portal creates it"
    ADOPTED = "adopted", "Adopted: it existed; the portal only adds to it"


class RunStatus(models.TextChoices):
    """State of a run, and of a mapping through its newest run."""

    QUEUED = "queued", "Queued"
    APPLYING = "applying", "Applying"
    WAITING = "waiting", "Waiting for AWS"
    IN_SYNC = "in_sync", "In sync"
    NEEDS_OWNER = "needs_owner", "Needs the owner"
    FAILED = "failed", "Failed"


FINAL_RUN_STATUSES = (RunStatus.IN_SYNC, RunStatus.NEEDS_OWNER, RunStatus.FAILED)


class RunPurpose(models.TextChoices):
    """What a run is for."""

    RECONCILE = "reconcile", "Bring AWS in line"
    DELETE_ROLE = "delete_role", "Delete a role"
    PUT_BACK = "put_back", "Put a document back"


class StepAction(models.TextChoices):
    """What a step did to its resource."""

    CREATE = "create", "Create"
    UPDATE = "update", "Update"
    DELETE = "delete", "Delete"
    NONE = "none", "No change"
    VERIFY = "verify", "Verify"


class StepStatus(models.TextChoices):
    """How a step ended."""

    PLANNED = "planned", "Planned"
    APPLYING = "applying", "Applying"
    WAITING = "waiting", "Waiting for AWS"
    DONE = "done", "Done"
    NEEDS_OWNER = "needs_owner", "Needs the owner"
    FAILED = "failed", "Failed"


class MappingState(models.TextChoices):
    """What a mapping's badge says. The first six are those of its newest run."""

    QUEUED = RunStatus.QUEUED.value, "Queued"
    APPLYING = RunStatus.APPLYING.value, "Applying"
    WAITING = RunStatus.WAITING.value, "Waiting for AWS"
    IN_SYNC = RunStatus.IN_SYNC.value, "In sync"
    NEEDS_OWNER = RunStatus.NEEDS_OWNER.value, "Needs the owner"
    FAILED = RunStatus.FAILED.value, "Failed"
    DRIFTED = "drifted", "Drifted"
    REMOVING = "removing", "Removing"
    REMOVED = "removed", "Removed"


class Outcome(models.TextChoices):
    """How the thing that an event tells about ended."""

    OK = "ok", "Done"
    DENIED = "denied", "Denied"
    FAILED = "failed", "Failed"


class BearerPurpose(models.TextChoices):
    """What a bearer was made for."""

    CONTAINER = "container", "Container credentials"
    PROGRAM = "program", "xacct-credentials"


class DriftKind(models.TextChoices):
    """How AWS differs from the database."""

    MISSING = "missing", "Missing"
    CHANGED = "changed", "Changed"
    EXTRA = "extra", "Not wished for"
    STALE = "stale", "Names a deleted identity"
    FOREIGN_STALE = "foreign_stale", "Others name a deleted identity"
    NOT_OURS = "not_ours", "Not the portal's"
    BOUNDARY = "boundary", "Another permissions boundary"


class DriftResolution(models.TextChoices):
    """How a finding ended."""

    GONE = "gone", "Gone by itself"
    REPAIRED = "repaired", "Repaired"
    ACCEPTED = "accepted", "Accepted"

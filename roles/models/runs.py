"""Runs of the provisioning engine, their steps, and the leases that keep one writer per AWS document."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from roles.models.choices import FINAL_RUN_STATUSES, RunPurpose, RunStatus, StepAction, StepStatus
from roles.models.groups import GroupRole
from roles.models.iam_roles import IamRole


class RunQuerySet(models.QuerySet["ProvisioningRun"]):
    """Runs by what has to happen to them."""

    def unfinished(self) -> RunQuerySet:
        """Return the runs that are not in a final state."""
        return self.exclude(status__in=FINAL_RUN_STATUSES)

    def reconciling(self) -> RunQuerySet:
        """Return the runs that bring AWS in line with the database: what the others did says nothing about that."""
        return self.filter(purpose=RunPurpose.RECONCILE)


class ProvisioningRun(models.Model):
    """One reconciliation of AWS with the database, for one source role and everything it reaches; or one order besides.

    The orders are to delete `role`, or to put back the document that the step `puts_back` replaced: of it the portal's
    own statements, or all of it `exactly`. The row is the truth: a message only says its number. `sent_at` is when the
    broker last took that message, `claimed_until` when another worker may take the run over.
    """

    role = models.ForeignKey(IamRole, on_delete=models.PROTECT, related_name="runs")
    mapping = models.ForeignKey(GroupRole, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    purpose = models.CharField(max_length=12, choices=RunPurpose, default=RunPurpose.RECONCILE)
    puts_back = models.ForeignKey(
        "ProvisioningStep", null=True, blank=True, on_delete=models.PROTECT, related_name="put_back_by"
    )
    exactly = models.BooleanField(default=False, help_text="Put back statements of others too.")
    trigger = models.CharField(max_length=64, help_text="The event code that asked for it, e.g. mapping.added.")
    status = models.CharField(max_length=12, choices=RunStatus, default=RunStatus.QUEUED)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    requested_by_name = models.CharField(max_length=150)
    request_id = models.CharField(max_length=64, db_index=True)
    plan_digest = models.CharField(
        max_length=64, blank=True, help_text="The plan the admin confirmed; empty when none was seen."
    )
    plan_seen = models.CharField(
        max_length=64, blank=True, help_text="What AWS had when an order was confirmed; empty for other runs."
    )
    queued_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    claimed_by = models.CharField(max_length=100, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    progress = models.CharField(max_length=200, blank=True, help_text="What is being done or waited for now.")
    error_code = models.CharField(max_length=64, blank=True)
    error = models.TextField(blank=True)
    hint = models.TextField(blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        verbose_name = "run"
        ordering = ("-id",)
        permissions = (("retry_provisioningrun", "Can retry a run"),)
        constraints = (
            models.CheckConstraint(name="run_status_known", condition=Q(status__in=RunStatus.values)),
            models.CheckConstraint(name="run_purpose_known", condition=Q(purpose__in=RunPurpose.values)),
            models.CheckConstraint(
                name="run_puts_back_a_step",
                condition=Q(purpose=RunPurpose.PUT_BACK, puts_back__isnull=False)
                | (~Q(purpose=RunPurpose.PUT_BACK) & Q(puts_back__isnull=True)),
            ),
        )
        indexes = (
            models.Index(fields=("status", "queued_at"), name="run_by_status"),
            models.Index(fields=("-queued_at",), name="run_newest"),
        )

    def __str__(self) -> str:
        return f"Run {self.pk} of {self.role}"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status in FINAL_RUN_STATUSES


class ProvisioningStep(models.Model):
    """One change, or no change, of a run. `before` and `after` are documents as AWS had and has them, or null.

    `sequence` orders the steps of one attempt; `step` is the procedure's number, 1 to 7.
    """

    run = models.ForeignKey(ProvisioningRun, on_delete=models.PROTECT, related_name="steps")
    attempt = models.PositiveSmallIntegerField(default=1)
    sequence = models.PositiveSmallIntegerField()
    step = models.PositiveSmallIntegerField()
    account_id = models.CharField(max_length=12)
    resource = models.CharField(max_length=700, db_index=True, help_text="ARN of the role, profile or bucket.")
    title = models.CharField(max_length=200)
    action = models.CharField(max_length=8, choices=StepAction)
    status = models.CharField(max_length=12, choices=StepStatus)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    foreign_statements = models.PositiveSmallIntegerField(default=0, help_text="Statements of others that were kept.")
    aws_request_id = models.CharField(max_length=128, blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    duration_ms = models.PositiveIntegerField(default=0)
    error_code = models.CharField(max_length=64, blank=True)
    aws_code = models.CharField(max_length=128, blank=True)
    error = models.TextField(blank=True)
    hint = models.TextField(blank=True)

    class Meta:
        verbose_name = "step"
        ordering = ("run", "attempt", "sequence")
        permissions = (("restore_provisioningstep", "Can put back what a step replaced"),)
        constraints = (
            models.UniqueConstraint(fields=("run", "attempt", "sequence"), name="step_unique_in_attempt"),
            models.CheckConstraint(name="step_is_1_to_7", condition=Q(step__gte=1, step__lte=7)),
            models.CheckConstraint(name="step_action_known", condition=Q(action__in=StepAction.values)),
            models.CheckConstraint(name="step_status_known", condition=Q(status__in=StepStatus.values)),
        )

    def __str__(self) -> str:
        return f"Step {self.step} of run {self.run_id}"


class ResourceLease(models.Model):
    """One writer per AWS document. A dead holder delays others until `expires_at`, no longer."""

    resource = models.CharField(max_length=700, unique=True)
    holder = models.CharField(max_length=100)
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.resource

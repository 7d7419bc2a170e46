"""What AWS was found to have that the database does not wish for, or not to have that it wishes for."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from roles.models.buckets import Bucket
from roles.models.choices import DriftKind, DriftResolution
from roles.models.iam_roles import IamRole


class DriftQuerySet(models.QuerySet["DriftFinding"]):
    """Findings by whether they still hold."""

    def open(self) -> DriftQuerySet:
        """Return the findings that nobody has resolved."""
        return self.filter(resolved_at__isnull=True)

    def of_roles(self) -> DriftQuerySet:
        """Return the findings about a role, its policy or its instance profile."""
        return self.filter(role__isnull=False)

    def of_buckets(self) -> DriftQuerySet:
        """Return the findings about a bucket's policy."""
        return self.filter(bucket__isnull=False)


class DriftFinding(models.Model):
    """One step's part of one resource that is not as wished. `before` is what AWS has, `after` what is wished.

    Both are whole documents, other people's statements included, or null for "there is none". A finding stays after
    it is resolved: it is part of what happened.
    """

    role = models.ForeignKey(
        IamRole, null=True, blank=True, on_delete=models.PROTECT, related_name="drift", help_text="The role it is at."
    )
    bucket = models.ForeignKey(
        Bucket, null=True, blank=True, on_delete=models.PROTECT, related_name="drift", help_text="The bucket it is at."
    )
    account_id = models.CharField(max_length=12)
    resource = models.CharField(max_length=700, help_text="ARN of the role, profile or bucket.")
    step = models.PositiveSmallIntegerField(help_text="The procedure's number, 1 to 6.")
    kind = models.CharField(max_length=16, choices=DriftKind)
    title = models.CharField(max_length=200)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    foreign_statements = models.PositiveSmallIntegerField(default=0, help_text="Statements of others in it.")
    note = models.TextField(blank=True, help_text="What else to know: a dead principal, why it cannot be written.")
    done_by = models.CharField(max_length=300, blank=True, help_text="Who may have done it; empty is unknown.")
    found_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=8, choices=DriftResolution, blank=True)

    objects = DriftQuerySet.as_manager()

    class Meta:
        verbose_name = "drift"
        verbose_name_plural = "drift"
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (("repair_driftfinding", "Can look for drift, repair and accept it"),)
        constraints = (
            models.UniqueConstraint(
                fields=("resource", "step"), condition=Q(resolved_at__isnull=True), name="drift_open_once"
            ),
            models.CheckConstraint(name="drift_step_is_1_to_6", condition=Q(step__gte=1, step__lte=6)),
            models.CheckConstraint(name="drift_kind_known", condition=Q(kind__in=DriftKind.values)),
            models.CheckConstraint(
                name="drift_resolution_known", condition=Q(resolution__in=["", *DriftResolution.values])
            ),
            models.CheckConstraint(
                name="drift_at_a_role_or_a_bucket",
                condition=Q(role__isnull=False, bucket__isnull=True) | Q(role__isnull=True, bucket__isnull=False),
            ),
        )
        indexes = (models.Index(fields=("resolved_at", "-id"), name="drift_open_first"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.title}"

    @property
    def is_open(self) -> bool:
        """Whether it still holds, as far as is known."""
        return self.resolved_at is None

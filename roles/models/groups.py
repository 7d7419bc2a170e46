"""User groups, their members, and the roles added to them."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from roles.models.buckets import Bucket
from roles.models.choices import AccessLevelChoice, MappingState
from roles.models.iam_roles import IamRole
from roles.models.intervals import Interval, IntervalQuerySet, ends_after_start
from roles.models.validators import validate_prefix


class UserGroup(models.Model):
    """Users who share access."""

    name = models.CharField(max_length=150, unique=True)
    description = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (models.CheckConstraint(name="group_has_a_name", condition=~Q(name="")),)

    def __str__(self) -> str:
        return self.name


class Membership(Interval):
    """A user in a group."""

    group = models.ForeignKey(UserGroup, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")

    class Meta:
        ordering = ("-started_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("group", "user"),
                condition=Q(ended_at__isnull=True),
                name="membership_open_once",
                violation_error_message="This user is already a member of the group.",
            ),
            ends_after_start("membership_interval"),
        )

    def __str__(self) -> str:
        return f"{self.user} in {self.group}"


class GroupRoleQuerySet(IntervalQuerySet):
    """Mappings in force."""

    def in_force(self, moment: datetime | None = None) -> Self:
        """Return the mappings that are open and not expired at `moment` (aware; now by default).

        Now, what has an end has ended: it was stamped by whoever ended it, perhaps after this query began to wait for
        the row, or by a clock that is ahead of this one.
        """
        rows = self.open() if moment is None else self.open_at(moment)
        return rows.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=moment or timezone.now()))


class GroupRole(Interval):
    """A mapping: a source role added to a group (step 7). It may narrow what the role's grants give, and may expire.

    `state` is what the newest run of the mapping says; `provisioned_at` is when AWS was last seen in sync with it.
    Both are written by the provisioning engine alone and are not part of the wish.
    """

    group = models.ForeignKey(UserGroup, on_delete=models.PROTECT, related_name="mappings")
    role = models.ForeignKey(IamRole, on_delete=models.PROTECT, related_name="mappings")
    access = models.CharField(
        max_length=9,
        choices=AccessLevelChoice,
        default=AccessLevelChoice.READWRITE,
        help_text="Narrows the role's grants; 'Read and write' leaves them as they are.",
    )
    prefix = models.CharField(
        max_length=1024,
        blank=True,
        default="",
        validators=[validate_prefix],
        help_text="Narrows the role's grants to a folder.",
    )
    buckets = models.ManyToManyField(
        Bucket, blank=True, related_name="+", help_text="Narrows to these buckets; none means all."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=MappingState, default=MappingState.QUEUED, editable=False)
    provisioned_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = GroupRoleQuerySet.as_manager()  # type: ignore[misc]  # narrows the base's manager

    class Meta:
        verbose_name = "mapping"
        ordering = ("-started_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("group", "role"),
                condition=Q(ended_at__isnull=True),
                name="mapping_open_once",
                violation_error_message="This role is already added to the group.",
            ),
            models.CheckConstraint(name="mapping_access_known", condition=Q(access__in=AccessLevelChoice.values)),
            models.CheckConstraint(name="mapping_state_known", condition=Q(state__in=MappingState.values)),
            ends_after_start("mapping_interval"),
        )

    def __str__(self) -> str:
        return f"{self.role} for {self.group}"

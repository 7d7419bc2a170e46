"""Bearers: what a program on somebody's computer shows to get the credentials of one access, for one sign-in."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from roles.models.choices import BearerPurpose
from roles.models.groups import GroupRole
from roles.models.iam_roles import IamRole


class ToolBearerQuerySet(models.QuerySet["ToolBearer"]):
    """Bearers by whether they may still be shown."""

    def live(self) -> Self:
        """Return the bearers that were not revoked and that some program holds. Their session may be over."""
        return self.filter(revoked_at__isnull=True, challenge="")

    def not_revoked(self) -> Self:
        """Return the live ones and those that wait to be collected."""
        return self.filter(revoked_at__isnull=True)


class ToolBearer(models.Model):
    """One bearer, tied to a login session, its user, a mapping and one of the mapping's targets.

    The bearer itself is not kept: `token_hash` is its SHA-256, and `sealed_session` the key of its login session,
    encrypted under the bearer, so that only whoever shows it leads to the session. While `challenge` is set, the row
    waits for a program that was authorised: `token_hash` is then that of a code, good until `collect_until`.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    mapping = models.ForeignKey(GroupRole, on_delete=models.PROTECT, related_name="+")
    target = models.ForeignKey(IamRole, on_delete=models.PROTECT, related_name="+")
    purpose = models.CharField(max_length=16, choices=BearerPurpose)
    name = models.CharField(max_length=64, blank=True, help_text="What the computer calls itself; nobody checked it.")
    token_hash = models.CharField(max_length=64, unique=True)
    sealed_session = models.TextField()
    session_hash = models.CharField(max_length=64, db_index=True)
    challenge = models.CharField(max_length=64, blank=True)
    collect_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_address = models.CharField(max_length=64, blank=True)
    last_user_agent = models.CharField(max_length=300, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ToolBearerQuerySet.as_manager()

    class Meta:
        verbose_name = "signed-in tool"
        default_permissions = ("view",)
        permissions = (("revoke_toolbearer", "Can revoke signed-in tools of others"),)
        ordering = ("-id",)
        indexes = (models.Index(fields=("user", "revoked_at"), name="bearer_by_user"),)
        constraints = (
            models.CheckConstraint(
                name="bearer_waits_until",
                condition=Q(challenge="") | Q(collect_until__isnull=False),
                violation_error_message="A bearer that waits to be collected says until when.",
            ),
        )

    def __str__(self) -> str:
        return self.name or f"{self.get_purpose_display()} {self.pk}"

"""Groups and accounts that an admin disabled: nothing is handed out through them until they are enabled again."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from roles.models.accounts import AwsAccount
from roles.models.groups import UserGroup
from roles.models.intervals import Interval, ends_after_start


def in_words(subject: UserGroup | AwsAccount, reason: str) -> str:
    """Say that `subject` is disabled, and why: for the people whose access it stops."""
    return f"The {subject._meta.verbose_name} {subject} is disabled by an admin: {reason.rstrip('.')}."


class Suspension(Interval):
    """The time in which a user group or an account was disabled; exactly one of both. AWS knows nothing of it."""

    group = models.ForeignKey(
        UserGroup, null=True, blank=True, on_delete=models.PROTECT, related_name="suspensions", editable=False
    )
    account = models.ForeignKey(
        AwsAccount, null=True, blank=True, on_delete=models.PROTECT, related_name="suspensions", editable=False
    )
    reason = models.CharField(
        max_length=200, help_text="Why: shown to everybody whose access it stops, and to auditors."
    )

    class Meta:
        ordering = ("-id",)
        default_permissions = ()
        constraints = (
            models.CheckConstraint(
                name="suspension_of_one_thing",
                condition=Q(group__isnull=True, account__isnull=False) | Q(group__isnull=False, account__isnull=True),
            ),
            models.CheckConstraint(name="suspension_has_a_reason", condition=~Q(reason="")),
            models.UniqueConstraint(
                fields=("group",), condition=Q(ended_at__isnull=True), name="suspension_of_group_open_once"
            ),
            models.UniqueConstraint(
                fields=("account",), condition=Q(ended_at__isnull=True), name="suspension_of_account_open_once"
            ),
            ends_after_start("suspension_interval"),
        )

    def __str__(self) -> str:
        return f"{self.subject} disabled"

    @property
    def subject(self) -> UserGroup | AwsAccount:
        """What is disabled."""
        found = self.group or self.account
        if found is None:
            raise ValueError("Nothing is disabled.")
        return found

    @property
    def sentence(self) -> str:
        """What it says to the people whose access it stops."""
        return in_words(self.subject, self.reason)

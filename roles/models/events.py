"""The history: events that are only ever added, each linked to the one before by a hash."""

from __future__ import annotations

from typing import Any, NoReturn

from django.conf import settings
from django.db import models
from django.utils import timezone

from roles.models.choices import Outcome


class AuditEventQuerySet(models.QuerySet["AuditEvent"]):
    """Events; there is no way to change or delete them through the ORM's bulk calls either."""

    def update(self, **_kwargs: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("History is only ever added to.")

    def delete(self) -> NoReturn:
        """Refuse."""
        raise TypeError("History is only ever added to.")


class AuditEvent(models.Model):
    """Who did what to which thing, from where, with what outcome.

    Names are kept beside ids, because people and things may be renamed or deleted. `details` never holds a secret.
    """

    occurred_at = models.DateTimeField(default=timezone.now)
    code = models.CharField(max_length=64, db_index=True, help_text="Past tense, dotted subject: mapping.added.")
    outcome = models.CharField(max_length=6, choices=Outcome, default=Outcome.OK)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        related_name="+",
    )
    actor_name = models.CharField(max_length=150, db_index=True)
    address = models.CharField(max_length=64, blank=True)
    user_agent = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, db_index=True)
    subject_type = models.CharField(max_length=32, blank=True)
    subject_id = models.CharField(max_length=64, blank=True)
    subject_name = models.CharField(max_length=300, blank=True)
    group_name = models.CharField(max_length=150, blank=True, db_index=True)
    account_id = models.CharField(max_length=12, blank=True, db_index=True)
    resource = models.CharField(max_length=700, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    details = models.JSONField(default=dict, blank=True)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    objects = AuditEventQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (("export_auditevent", "Can export history"),)
        indexes = (models.Index(fields=("-occurred_at", "-id"), name="event_newest"),)

    def __str__(self) -> str:
        return f"{self.code} by {self.actor_name}"

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: history is only ever added to."""
        raise TypeError("History is only ever added to.")


class AuditChain(models.Model):
    """The head of the chain of hashes: one row, locked while an event is added."""

    head = models.CharField(max_length=64)
    length = models.PositiveBigIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.head

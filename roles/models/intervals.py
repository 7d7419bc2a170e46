"""Access is an interval: rows begin and end, and are never deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from roles.values.spans import Span


class IntervalQuerySet(models.QuerySet[Any]):
    """Rows that are, or were at some moment, in force."""

    def open(self) -> Self:
        """Return the rows nobody has ended."""
        return self.filter(ended_at__isnull=True)

    def open_at(self, moment: datetime) -> Self:
        """Return the rows that were in force at `moment` (aware)."""
        return self.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=moment), started_at__lte=moment)

    def open_during(self, span: Span) -> Self:
        """Return the rows that were in force at some moment of `span`."""
        return self.filter(Q(ended_at__isnull=True) | Q(ended_at__gt=span.start), started_at__lt=span.end)

    def delete(self) -> NoReturn:
        """Refuse: intervals end, they are never deleted."""
        raise TypeError("Intervals are ended, never deleted.")


class Interval(models.Model):
    """Who gave this, when and why, and who took it back."""

    started_at = models.DateTimeField(default=timezone.now, editable=False)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    ended_at = models.DateTimeField(null=True, blank=True, editable=False)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    reason = models.CharField(
        max_length=500, blank=True, help_text="Why: a ticket or a sentence that an auditor can follow."
    )

    objects = IntervalQuerySet.as_manager()

    class Meta:
        abstract = True

    def delete(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Refuse: intervals end, they are never deleted."""
        raise TypeError("Intervals are ended, never deleted.")

    @property
    def is_open(self) -> bool:
        """Whether nobody has ended it."""
        return self.ended_at is None


def ends_after_start(name: str) -> models.CheckConstraint:
    """Return the constraint that an interval does not end before it starts."""
    return models.CheckConstraint(
        name=name,
        condition=Q(ended_at__isnull=True) | Q(ended_at__gte=F("started_at")),
        violation_error_message="Ends before it starts.",
    )

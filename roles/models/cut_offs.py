"""Credentials that were handed out and must not work any more."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from roles.models.groups import GroupRole
from roles.models.iam_roles import IamRole
from roles.models.intervals import Interval, IntervalQuerySet, ends_after_start


class CutOffQuerySet(IntervalQuerySet):
    """Cut-offs by whether they are to be lifted."""

    def due(self, moment: datetime) -> Self:
        """Return the open ones that nobody needs any more: the last of their sessions is over at `moment`."""
        return self.open().filter(lifts_at__lte=moment)


class CutOff(Interval):
    """ "AWS refuses sessions of this target role that began before `cut_before`", until it is lifted.

    `names` are the session names of the people it hits; empty is everybody who uses the role. `user` or `mapping` say
    whom or what it was asked for, neither that it was the role. `source` is the source role whose runs bring it to
    AWS. `lifts_at` is when the last of these sessions has expired, by AWS's own word.
    """

    target = models.ForeignKey(IamRole, on_delete=models.PROTECT, related_name="cut_offs")
    source = models.ForeignKey(IamRole, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="cut_offs"
    )
    mapping = models.ForeignKey(GroupRole, null=True, blank=True, on_delete=models.PROTECT, related_name="cut_offs")
    names = models.JSONField(default=list, blank=True)
    cut_before = models.DateTimeField()
    lifts_at = models.DateTimeField()

    objects = CutOffQuerySet.as_manager()  # type: ignore[misc]  # narrows the base's manager

    class Meta:
        verbose_name = "cut-off"
        ordering = ("-id",)
        default_permissions = ("view",)
        permissions = (("start_cutoff", "Can cut off credentials and lift that"),)
        constraints = (
            ends_after_start("cut_off_interval"),
            models.CheckConstraint(name="cut_off_for_one_thing", condition=Q(user=None) | Q(mapping=None)),
            models.CheckConstraint(name="cut_off_between_roles", condition=~Q(source=F("target"))),
        )
        indexes = (models.Index(fields=("ended_at", "lifts_at"), name="cut_off_due"),)

    def __str__(self) -> str:
        return f"{self.whom} at {self.target}"

    @property
    def whom(self) -> str:
        """Whom it hits, in words."""
        return ", ".join(self.names) if self.names else "everybody"

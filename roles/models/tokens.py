"""Tokens handed out: who, for which mapping, until when. Never a secret."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from roles.models.groups import GroupRole
from roles.models.iam_roles import IamRole


class IssuedTokenQuerySet(models.QuerySet["IssuedToken"]):
    """Tokens by whether the cache still holds them."""

    def cached(self) -> IssuedTokenQuerySet:
        """Return the tokens that the cache may still hold: not taken out, and their time in it is not over."""
        in_time = models.Q(cached_until__isnull=True) | models.Q(cached_until__gt=timezone.now())
        return self.live().filter(in_time, evicted_at__isnull=True)

    def live(self) -> IssuedTokenQuerySet:
        """Return the tokens that still work for whoever has them, unless they were cut off."""
        return self.filter(expires_at__gt=timezone.now())


class IssuedToken(models.Model):
    """One answer of AssumeRole, kept so that its cache entry can be found and removed by person, mapping or session.

    `session_hash` is a keyed hash of the session's namespace; `cache_key` is where the encrypted token lies. `target`
    and `session_name` say whose session AWS knows it for; rows from before these were kept have neither. `scope` has a
    `digest` of all that its permissions depend on and its `grants` in words. `cached_until` is when the cache drops it
    by itself. Rows from before these were kept have neither, too.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    mapping = models.ForeignKey(GroupRole, on_delete=models.PROTECT, related_name="+")
    target = models.ForeignKey(IamRole, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    session_name = models.CharField(
        max_length=64, blank=True, db_index=True, help_text="What AWS calls the user in this session."
    )
    session_hash = models.CharField(max_length=64, db_index=True)
    cache_key = models.CharField(max_length=128)
    access_key_id = models.CharField(max_length=128)
    scope = models.JSONField(default=dict, blank=True)
    issued_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    cached_until = models.DateTimeField(null=True, blank=True)
    evicted_at = models.DateTimeField(null=True, blank=True)

    objects = IssuedTokenQuerySet.as_manager()

    class Meta:
        default_permissions = ("view",)
        ordering = ("-id",)
        indexes = (models.Index(fields=("user", "evicted_at"), name="token_by_user"),)

    def __str__(self) -> str:
        return self.access_key_id

    @property
    def is_cached(self) -> bool:
        """Whether `cached()` has it."""
        moments = (self.expires_at, self.cached_until)
        return self.evicted_at is None and all(one is None or one > timezone.now() for one in moments)

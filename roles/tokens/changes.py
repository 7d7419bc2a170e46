"""Which credentials that a session handed out give something else than its user has now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils import timezone

from roles.models import IssuedToken, User
from roles.tokens import cache, scope
from roles.tokens.scope import UsableMapping


def changed_since_issued(user: User, session: Any, usable: Iterable[UsableMapping]) -> set[int]:
    """Return the ids of those mappings whose newest token of this session was made for other permissions. One query.

    The next token has the new ones by itself; what was pasted into tools has the old ones until it expires.
    """
    namespace = cache.namespace_in(session)
    if not namespace:
        return set()
    rows = IssuedToken.objects.filter(
        user=user, session_hash__in=cache.session_hashes(namespace), expires_at__gt=timezone.now()
    )
    newest = dict(rows.order_by("pk").values_list("mapping_id", "cache_key"))
    return {
        item.mapping.pk
        for item in usable
        if item.mapping.pk in newest and newest[item.mapping.pk] not in _keys_now(user, namespace, item)
    }


def _keys_now(user: User, namespace: str, usable: UsableMapping) -> set[str]:
    """Return where the tokens of what the mapping gives now lie, and lay before the secret key was changed."""
    return {
        cache.key_of(
            namespace,
            mapping_id=usable.mapping.pk,
            target_id=target.role.pk,
            fingerprint=scope.fingerprint(user, usable.mapping, target),
            secret_key=secret_key,
        )
        for target in usable.targets
        for secret_key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    }

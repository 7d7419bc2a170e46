"""Which credentials that a session handed out give something else than its user has now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils import timezone

from roles.models import IssuedToken, User
from roles.tokens import cache, scope
from roles.tokens.scope import UsableMapping, UsableTarget


def changed_since_issued(user: User, session: Any, usable: Iterable[UsableMapping]) -> set[tuple[int, int]]:
    """Return the mapping's and the target's id wherever the newest token of this session had other permissions.

    Where the newest token of a mapping is of a target that it does not reach any more, all of its targets are meant.
    The next token has the new permissions by itself; what was pasted into tools has the old ones until it expires. One
    query.
    """
    namespace = cache.namespace_in(session)
    if not namespace:
        return set()
    newest: dict[tuple[int, int | None], str] = {}
    last_target: dict[int, int | None] = {}
    rows = IssuedToken.objects.filter(
        user=user, session_hash__in=cache.session_hashes(namespace), expires_at__gt=timezone.now()
    )
    for mapping_id, target_id, key in rows.order_by("pk").values_list("mapping_id", "target_id", "cache_key"):
        newest[mapping_id, target_id], last_target[mapping_id] = key, target_id
    changed = set()
    for item in usable:
        mapping_id, reached = item.mapping.pk, {target.role.pk for target in item.targets}
        has_lost_its = mapping_id in last_target and last_target[mapping_id] not in reached
        for target in item.targets:
            kept_at = newest.get((mapping_id, target.role.pk))
            if has_lost_its or (kept_at and kept_at not in _keys_now(user, namespace, item, target)):
                changed.add((mapping_id, target.role.pk))
    return changed


def _keys_now(user: User, namespace: str, usable: UsableMapping, target: UsableTarget) -> set[str]:
    """Return where the tokens of what a target gives now lie, and lay before the secret key was changed."""
    return {
        cache.key_of(
            namespace,
            mapping_id=usable.mapping.pk,
            target_id=target.role.pk,
            fingerprint=scope.fingerprint(user, usable.mapping, target),
            secret_key=secret_key,
        )
        for secret_key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    }

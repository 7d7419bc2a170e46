"""Record what happened, inside the caller's transaction: no change without its event, no event without its change."""

from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.utils import timezone

from roles import context
from roles.history import chain
from roles.models import AuditChain, AuditEvent, User
from roles.models.choices import Outcome

_CHAIN_ROW = 1


def content_of(event: AuditEvent) -> dict[str, Any]:
    """Return what the hash of an event covers: everything but its own id and the two hashes."""
    return {
        "occurred_at": event.occurred_at.isoformat(),
        "actor_id": event.actor_id,
        **{
            name: getattr(event, name)
            for name in (
                "code",
                "outcome",
                "actor_name",
                "address",
                "user_agent",
                "request_id",
                "subject_type",
                "subject_id",
                "subject_name",
                "group_name",
                "account_id",
                "resource",
                "before",
                "after",
                "details",
            )
        },
    }


def record(
    code: str,
    *,
    actor: Any,
    subject: models.Model | None = None,
    outcome: Outcome = Outcome.OK,
    group: str = "",
    account_id: str = "",
    resource: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    **details: Any,
) -> AuditEvent:
    """Add an event to the history and return it. Runs in the caller's transaction, or in one of its own.

    Args:
        code: past tense with a dotted subject, e.g. `mapping.added`.
        actor: a `User` or a `context.SystemActor`.
        subject: the row it is about; its type, id and name are kept.
        group: the user group's name, for filtering; `account_id` and `resource` (an ARN) likewise.
        before, after, details: JSON values. Never a secret.
    """
    where = context.current()
    event = AuditEvent(
        occurred_at=timezone.now(),
        code=code,
        outcome=outcome,
        actor_id=actor.pk if isinstance(actor, User) else None,
        actor_name=(actor.get_username() or "anonymous")[:150],
        address=where.address[:64],
        user_agent=where.user_agent[:300],
        request_id=where.request_id[:64],
        subject_type=subject._meta.model_name or "" if subject is not None else "",
        subject_id=str(subject.pk) if subject is not None else "",
        subject_name=str(subject)[:300] if subject is not None else "",
        group_name=group,
        account_id=account_id,
        resource=resource,
        before=before,
        after=after,
        details=details,
    )
    with transaction.atomic():
        AuditChain.objects.get_or_create(pk=_CHAIN_ROW, defaults={"head": chain.GENESIS})
        head = AuditChain.objects.select_for_update().get(pk=_CHAIN_ROW)
        event.previous_hash = head.head
        event.hash = chain.link(head.head, content_of(event))
        event.save(force_insert=True)
        head.head, head.length = event.hash, head.length + 1
        head.save()
    return event


def record_denial(error: Any, *, actor: Any) -> AuditEvent:
    """Record that `actor` was refused. Called by the surface that caught the error, after its transaction is gone."""
    subject = error.subject if isinstance(error.subject, models.Model) else None
    return record(
        "access.denied",
        actor=actor,
        subject=subject,
        outcome=Outcome.DENIED,
        rule=error.rule,
        message=error.message,
        **getattr(error, "facts", {}),
    )

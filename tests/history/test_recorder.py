"""Events are recorded with their change or not at all, and the chain shows tampering."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from roles.history import chain
from roles.history.recorder import content_of, record
from roles.models import AuditChain, AuditEvent, User
from tests.factories import Procedure


def links() -> list[chain.Link]:
    return [chain.Link(e.pk, e.previous_hash, e.hash, content_of(e)) for e in AuditEvent.objects.order_by("id")]


def broken() -> chain.Break | None:
    head = AuditChain.objects.get()
    return chain.first_break(links(), head=head.head, length=head.length)


@pytest.mark.django_db
def test_an_event_disappears_with_the_change_it_tells_of(alice: User, procedure: Procedure) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        record("mapping.added", actor=alice, subject=procedure.group)
        raise RuntimeError
    assert AuditEvent.objects.count() == 0


@pytest.mark.django_db
def test_a_changed_event_breaks_the_chain_where_it_was_changed(alice: User, procedure: Procedure) -> None:
    for number in range(3):
        record("mapping.added", actor=alice, subject=procedure.group, number=number)
    assert broken() is None
    second = AuditEvent.objects.order_by("id")[1]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE roles_auditevent SET actor_name = 'mallory' WHERE id = %s", [second.pk])
    found = broken()
    assert found and found.position == 2 and found.event_id == second.pk


@pytest.mark.django_db
def test_missing_newest_events_are_noticed(alice: User) -> None:
    for number in range(2):
        record("mapping.added", actor=alice, number=number)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM roles_auditevent WHERE id = %s", [AuditEvent.objects.latest("id").pk])
    found = broken()
    assert found and found.position == 2


@pytest.mark.django_db
def test_history_refuses_change_and_deletion(alice: User) -> None:
    event = record("mapping.added", actor=alice)
    with pytest.raises(TypeError):
        event.delete()
    with pytest.raises(TypeError):
        AuditEvent.objects.all().delete()
    with pytest.raises(TypeError):
        AuditEvent.objects.update(code="other")

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from roles.context import SystemActor
from roles.history import recorder
from roles.models import AuditChain, AuditEvent

pytestmark = pytest.mark.django_db
TABLE = AuditEvent._meta.db_table


def verified() -> str:
    out = StringIO()
    call_command("verify_history", stdout=out)
    return out.getvalue()


def broken() -> str:
    with pytest.raises(CommandError) as caught:
        verified()
    assert caught.value.returncode == 1
    return str(caught.value)


def record(count: int) -> list[AuditEvent]:
    return [recorder.record("group.created", actor=SystemActor("test"), number=number) for number in range(count)]


def run_sql(statement: str, *values: object) -> None:
    """Do what somebody with a database client could do."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def test_changed_event_is_found() -> None:
    events = record(3)
    run_sql(f"UPDATE {TABLE} SET actor_name = %s WHERE id = %s", "mallory", events[1].pk)  # noqa: S608
    assert broken() == (
        f"The history does not hold at event {events[1].pk} (number 2): was changed after it was recorded."
    )


def test_removed_event_is_found() -> None:
    events = record(3)
    run_sql(f"DELETE FROM {TABLE} WHERE id = %s", events[1].pk)  # noqa: S608
    assert f"at event {events[2].pk} (number 2): does not follow the event before it" in broken()


def test_removed_newest_events_are_found() -> None:
    events = record(3)
    run_sql(f"DELETE FROM {TABLE} WHERE id = %s", events[2].pk)  # noqa: S608
    assert "the newest events are missing" in broken()


def test_emptied_history_is_found() -> None:
    record(2)
    run_sql(f"DELETE FROM {TABLE}")  # noqa: S608
    assert "the newest events are missing" in broken()


def test_event_that_was_slipped_in_is_found() -> None:
    record(2)
    head = AuditChain.objects.get()
    slipped_in = AuditEvent(code="group.created", actor_name="mallory", request_id="0", previous_hash="0" * 64)
    slipped_in.hash = "1" * 64
    slipped_in.save()
    assert f"at event {slipped_in.pk} (number 3)" in broken()
    assert AuditChain.objects.get().head == head.head


def test_history_that_lost_its_head_is_found() -> None:
    record(1)
    AuditChain.objects.all().delete()
    assert "does not hold" in broken()


def test_empty_history_holds() -> None:
    assert verified().startswith("The history holds: 0 events")


def test_untouched_history_holds() -> None:
    events = record(3)
    assert verified() == f"The history holds: 3 events, head {events[2].hash}.\n"

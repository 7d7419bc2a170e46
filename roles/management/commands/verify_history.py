"""`manage.py verify_history`: check that no event of the history was changed, removed or slipped in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from roles.history import chain
from roles.history.recorder import content_of
from roles.models import AuditChain, AuditEvent

BROKEN = 1
_CHUNK_ROWS = 2_000


class Command(BaseCommand):
    """Follow the chain of hashes from the first event to the last."""

    help = "Check the history's chain of hashes; ends with 1 and names the event where it does not hold."

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify all events that there are now; those that arrive meanwhile are for the next time."""
        head, length, newest = _state()
        broken = chain.first_break(_links(newest), head=head, length=length)
        if broken is not None:
            raise CommandError(
                f"The history does not hold at event {broken.event_id} (number {broken.position}): {broken.problem}.",
                returncode=BROKEN,
            )
        self.stdout.write(f"The history holds: {length} events, head {head}.")


def _state() -> tuple[str, int, int]:
    """Return the chain's head and length and the newest event's id, all of one moment: the lock lets no event in."""
    with transaction.atomic():
        kept = AuditChain.objects.select_for_update().order_by("pk").first()
        newest = AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0
    return (kept.head, kept.length, newest) if kept else (chain.GENESIS, 0, newest)


def _links(newest: int) -> Iterator[chain.Link]:
    for event in AuditEvent.objects.filter(id__lte=newest).order_by("id").iterator(chunk_size=_CHUNK_ROWS):
        yield chain.Link(event.pk, event.previous_hash, event.hash, content_of(event))

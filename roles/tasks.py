"""Celery tasks: thin bodies over the rooms below. Sent by name from `provisioning.outbox`."""

from __future__ import annotations

from celery import shared_task
from django.core.management import call_command

from roles.provisioning import outbox


@shared_task(name="roles.resend_runs")
def resend_runs() -> list[int]:
    """Send again the runs whose message got lost or whose worker died."""
    return outbox.resend_runs()


@shared_task(name="roles.clear_sessions")
def clear_sessions() -> None:
    """Delete the rows of expired sessions."""
    call_command("clearsessions")

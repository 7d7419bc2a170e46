"""What the auditor is told when a program comes again, and when it may no longer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError
from django.urls import reverse
from django.utils import timezone

from roles.models import AuditEvent, GroupRole, User
from roles.operations.disable_group import disable_group
from roles.tokens import events
from tests.api.conftest import AGENT, Tool
from tests.api.test_container_credentials import access_key, is_refused
from tests.tokens.conftest import cache_settings, each_cache

__all__ = ["each_cache"]


def reused() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(code="token.reused").order_by("pk"))


def test_a_token_that_was_just_issued_is_not_reused(tool: Tool) -> None:
    tool.ask()
    assert reused() == []


def test_a_token_from_the_cache_is_told_once_for_each_program_with_all_of_the_first_event(tool: Tool) -> None:
    tool.ask()
    for _ in range(5):
        tool.ask()
    (event,) = reused()
    issued = AuditEvent.objects.get(code="token.issued")
    new = {"replaces", "cached"}
    assert event.details == {name: value for name, value in issued.details.items() if name not in new}
    assert (event.actor, event.subject_id, event.resource) == (issued.actor, issued.subject_id, issued.resource)
    assert (event.group_name, event.account_id) == (issued.group_name, issued.account_id)
    assert (event.address, event.user_agent) == ("127.0.0.1", AGENT)
    tool.ask(**{"User-Agent": "curl/8"})
    assert [event.user_agent for event in reused()] == [AGENT, "curl/8"]


def test_what_could_not_be_told_is_told_by_the_next_request(
    each_cache: str, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool.ask()

    def refused(*_: Any, **__: Any) -> None:
        raise DatabaseError("The history is locked.")

    with monkeypatch.context() as patched, pytest.raises(DatabaseError):
        patched.setattr(events, "_record_of_one", refused)
        tool.ask()
    assert reused() == []
    tool.ask()
    assert len(reused()) == 1


def test_another_process_does_not_tell_it_again(each_cache: str, tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        tool.ask()
        monkeypatch.setattr(events, "_told", {})
    assert len(reused()) == 1


def test_a_process_forgets_what_it_told_before_that_is_too_much(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_told", {})
    monkeypatch.setattr(events, "TOLD_MAX", 2)
    for number in range(5):
        tool.ask(**{"User-Agent": f"program {number}"})
        assert len(events._told) <= 2
    assert len(reused()) == 4


def test_after_a_refresh_the_new_token_is_told_too(tool: Tool, settings: Any) -> None:
    settings.CACHES = cache_settings("locmem")  # Redis expires by its own clock
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for _ in range(2):
            tool.ask()
        clock.shift(timedelta(minutes=36))
        old, new = (access_key(tool.ask()) for _ in range(2))
    assert [event.details["access_key_id"] for event in reused()] == [old, new]


def test_a_program_that_is_not_entitled_any_more_is_on_record_with_what_it_still_holds(
    tool: Tool, alice: User, mapping: GroupRole
) -> None:
    held = access_key(tool.ask())
    disable_group(actor=alice, group=mapping.group, reason="audit")
    assert is_refused(tool.ask(), status=403)
    denied = AuditEvent.objects.get(code="access.denied").details
    issued = AuditEvent.objects.get(code="token.issued").details
    for name in ("user", "session", "session_name", "mapping", "source", "target"):
        assert denied[name] == issued[name], name
    assert denied["holds"] == {name: issued[name] for name in ("access_key_id", "expires_at", "scope", "grants")}
    assert denied["holds"]["access_key_id"] == held


def test_a_page_that_is_not_entitled_says_the_same(tool: Tool, alice: User, mapping: GroupRole) -> None:
    disable_group(actor=alice, group=mapping.group, reason="audit")
    for page in (
        reverse("credentials", args=[mapping.pk]),
        reverse("aws_console", args=[mapping.pk, tool.row.target_id]),
    ):
        assert tool.browser.post(page).status_code == 403
    first, second = AuditEvent.objects.filter(code="access.denied").order_by("pk")
    assert first.details["session"] == second.details["session"] == tool.row.session_hash
    assert first.details["mapping"] == second.details["mapping"] == mapping.pk
    assert (first.details["holds"], second.details["holds"]) == (None, None)

"""The history's pages: filters live in the URL, pages are cut by key, and nothing in them is run."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from roles import context
from roles.history.recorder import record
from roles.models import AuditEvent, User
from roles.models.choices import Outcome
from tests.factories import Procedure, ProvisioningRunFactory
from tests.portal.conftest import signed_in


def page(user: User, view: str = "history", **query: Any) -> str:
    return signed_in(user).get(reverse(view), query).content.decode()


def test_a_member_is_refused_in_words_and_the_attempt_recorded(charlie: User) -> None:
    response = signed_in(charlie).get(reverse("history"))
    assert response.status_code == 403
    assert "for auditors and portal admins" in response.content.decode()
    assert AuditEvent.objects.get(code="access.denied").actor == charlie


def test_an_empty_list_says_so(audrey: User) -> None:
    # The history itself is never empty for whoever looks at it: they signed in.
    assert "yet." in page(audrey, "history_runs")


@pytest.mark.parametrize("view", ["history", "history_runs"])
def test_an_empty_search_offers_all(view: str, audrey: User) -> None:
    searched = page(audrey, view, actor="nobody")
    assert "match." in searched and "Show all" in searched


@pytest.mark.parametrize(
    "query", [{"since": "soon"}, {"before": "x"}, {"after": "-1"}, {"before": "9" * 40}, {"outcome": "'; DROP"}]
)
def test_what_is_no_filter_does_not_break_the_page(query: dict[str, str], audrey: User) -> None:
    record("group.created", actor=audrey)
    for view in ("history", "history_runs"):
        assert signed_in(audrey).get(reverse(view), query).status_code == 200


def test_a_wrong_date_says_so_at_its_field(audrey: User) -> None:
    assert "Enter a valid date" in page(audrey, since="soon")
    assert "before the day in" in page(audrey, since="2026-02-01", until="2026-01-01")


def test_the_filter_in_the_url_is_shown_in_the_form_and_kept_from_page_to_page(audrey: User) -> None:
    for number in range(60):
        record("group.created", actor=audrey, number=number)
    first = signed_in(audrey).get(reverse("history"), {"actor": "audrey", "code": "group"})
    assert 'value="audrey"' in first.content.decode()
    older = first.context["page"].older
    assert f"?actor=audrey&amp;code=group&amp;before={older}" in first.content.decode()
    second = signed_in(audrey).get(reverse("history"), {"actor": "audrey", "code": "group", "before": older})
    assert len(second.context["page"].rows) == 10
    assert "Newer" in second.content.decode()


def test_an_event_shows_who_from_where_and_what_changed(audrey: User, procedure: Procedure) -> None:
    where = context.RequestContext(address="203.0.113.7", user_agent="<script>alert(1)</script>")
    with context.use(where):
        event = record(
            "mapping.changed",
            actor=audrey,
            subject=procedure.group,
            group="analysts",
            account_id="111111111111",
            resource=str(procedure.role_a.arn),
            before={"prefix": ""},
            after={"prefix": "</script><script>alert(2)</script>"},
            note="<img src=x onerror=alert(3)>",
        )
    shown = signed_in(audrey).get(reverse("event", args=[event.pk])).content.decode()
    for text in ("203.0.113.7", "analysts", "111111111111", str(procedure.role_a.arn), event.hash):
        assert text in shown
    assert "<script>alert" not in shown and "<img src=x" not in shown


def test_an_event_leads_to_the_runs_it_set_going(audrey: User, procedure: Procedure) -> None:
    event = record("mapping.added", actor=audrey)
    run = ProvisioningRunFactory(role=procedure.role_a, request_id=event.request_id)
    shown = signed_in(audrey).get(reverse("event", args=[event.pk])).content.decode()
    assert reverse("run", args=[run.pk]) in shown


def test_tokens_and_denials_have_their_own_tabs(audrey: User) -> None:
    record("token.issued", actor=audrey)
    record("access.denied", actor=audrey, outcome=Outcome.DENIED)
    tokens = signed_in(audrey).get(reverse("history"), {"code": "token"})
    assert [event.code for event in tokens.context["page"].rows] == ["token.issued"]
    denied = signed_in(audrey).get(reverse("history"), {"outcome": "denied"})
    assert [event.code for event in denied.context["page"].rows] == ["access.denied"]


def test_a_page_of_events_costs_the_same_for_five_and_for_fifty(audrey: User) -> None:
    def cost() -> int:
        client = signed_in(audrey)
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("history"))
        return len(queries)

    for _ in range(5):
        record("group.created", actor=audrey)
    few = cost()
    for _ in range(45):
        record("group.created", actor=audrey)
    assert cost() == few

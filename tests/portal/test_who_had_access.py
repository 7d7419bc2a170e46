"""The page that says who could reach a bucket on a day: what was typed wrongly is told at its field."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.models import GroupRole, User
from roles.models.choices import RunStatus
from roles.portal.views import history
from tests.factories import MembershipFactory, Procedure, ProvisioningRunFactory
from tests.portal.conftest import signed_in


def page(user: User, **query: Any) -> str:
    return signed_in(user).get(reverse("history_access"), query).content.decode()


@pytest.fixture
def in_force(procedure: Procedure) -> GroupRole:
    """Bob's access, set up in AWS yesterday."""
    long_ago, yesterday = timezone.now() - timedelta(days=9), timezone.now() - timedelta(days=2)
    mapping = procedure.map(started_at=long_ago, reason="OPS-17 <b>")
    for one in (procedure.assume_grant, procedure.bucket_grant, procedure.group.memberships.get()):
        type(one).objects.filter(pk=one.pk).update(started_at=long_ago)
    ProvisioningRunFactory(role=procedure.role_a, status=RunStatus.IN_SYNC, started_at=yesterday, finished_at=yesterday)
    return mapping


def test_at_first_it_says_what_it_answers_and_offers_today(audrey: User) -> None:
    shown = page(audrey)
    assert "Who could reach this bucket on that day?" in shown
    assert f'value="{timezone.localdate()}"' in shown
    assert "xp-field-error" not in shown


def test_who_could_is_named_with_who_allowed_it_and_the_run(in_force: GroupRole, audrey: User) -> None:
    shown = page(audrey, bucket="example-data", day=timezone.localdate())
    assert "bob" in shown and "all of the time" in shown
    assert "OPS-17 &lt;b&gt;" in shown
    assert f'href="{reverse("run", args=[in_force.role.runs.get().pk])}"' in shown


def test_nobody_is_said_in_words(in_force: GroupRole, audrey: User, charlie: User) -> None:
    day = timezone.localdate() - timedelta(days=30)
    assert "Nobody could" in page(audrey, bucket="example-data", day=day)
    assert "charlie could" in page(audrey, person="charlie", day=day)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"bucket": "exampel-data"}, "The portal knows no bucket &#x27;exampel-data&#x27;."),
        ({"person": "bobby"}, "There is no user &#x27;bobby&#x27;."),
        ({"bucket": ""}, "Name a bucket, a person or both."),
        ({"bucket": "example-data", "day": "someday"}, "Enter a valid date."),
        ({"bucket": "example-data", "day": "2999-01-01"}, "This day has not begun yet."),
        ({"bucket": "example-data", "level": "DELETE"}, "Select a valid choice."),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    query: dict[str, str], said: str, in_force: GroupRole, audrey: User
) -> None:
    shown = page(audrey, **query)
    assert said in shown and "all of the time" not in shown


def test_a_name_is_found_in_any_case_unless_two_differ_in_it_alone(in_force: GroupRole, audrey: User) -> None:
    assert "all of the time" in page(audrey, person="BOB")
    User.objects.create(username="Bob")
    assert "There is no user" in page(audrey, person="BOB")
    assert "all of the time" in page(audrey, person="bob")


def test_days_are_the_persons_own(in_force: GroupRole, audrey: User) -> None:
    audrey.time_zone = "Asia/Tokyo"
    audrey.save()
    response = signed_in(audrey).get(reverse("history_access"), {"bucket": "example-data", "day": "2026-03-14"})
    assert response.context["wanted"].during.start.isoformat() in (
        "2026-03-14T00:00:00+09:00",
        "2026-03-13T15:00:00+00:00",
    )


def test_a_large_group_is_cut_and_says_so(in_force: GroupRole, audrey: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SHOWN_PEOPLE", 2)
    for _ in range(3):
        MembershipFactory(group=in_force.group)
    assert "The first 2 of 4." in page(audrey, bucket="example-data")


def test_a_visitor_is_sent_to_sign_in() -> None:
    assert Client().get(reverse("history_access")).status_code == 302

"""My access: what one may use, what one may not use yet and why, and nothing of anybody else's."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from roles.models import GroupRole, Suspension, User
from roles.models.choices import MappingState
from roles.portal.queries import access_cards
from tests import factories
from tests.portal.conftest import signed_in


def page_of(user: User) -> str:
    return signed_in(user).get(reverse("my_access")).content.decode()


def test_a_stranger_sees_an_empty_page_that_says_what_to_do(mapping: GroupRole, charlie: User) -> None:
    page = page_of(charlie)
    assert "You have no access to any bucket yet" in page
    assert "example-data" not in page


def test_somebody_who_left_the_group_sees_nothing_of_it(mapping: GroupRole, bob: User) -> None:
    bob.memberships.update(ended_at=timezone.now())
    assert "example-data" not in page_of(bob)


def test_an_ended_mapping_is_not_shown(mapping: GroupRole, bob: User) -> None:
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now())
    assert "example-data" not in page_of(bob)


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (MappingState.QUEUED, "Waiting to be set up"),
        (MappingState.APPLYING, "Being set up in AWS now"),
        (MappingState.WAITING, "does not show it everywhere yet"),
        (MappingState.NEEDS_OWNER, "has to allow it first"),
        (MappingState.FAILED, "Setting it up in AWS failed"),
    ],
)
def test_what_cannot_be_used_yet_says_why_and_offers_nothing(
    state: MappingState, says: str, procedure: factories.Procedure
) -> None:
    procedure.map(state=state)
    page = page_of(procedure.bob)
    assert "example-data" in page and says in page
    assert "Get credentials" not in page


def test_an_expired_mapping_says_since_when(procedure: factories.Procedure) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    procedure.map(state=MappingState.IN_SYNC, provisioned_at=yesterday, expires_at=yesterday)
    page = page_of(procedure.bob)
    assert "This access ended" in page and "1 day ago" in page
    assert "Get credentials" not in page


@pytest.mark.parametrize("subject", ["group", "account_a", "account_b"])
def test_what_is_disabled_is_shown_with_the_reason_and_offers_nothing(
    subject: str, mapping: GroupRole, procedure: factories.Procedure, charlie: User
) -> None:
    row = getattr(procedure, subject)
    stop = Suspension.objects.create(reason="Audit & <b>", **{"group" if subject == "group" else "account": row})
    page = page_of(procedure.bob)
    assert f"{row} is disabled by an admin: Audit &amp; &lt;b&gt;." in page
    assert "example-data" in page and "Get credentials" not in page and "In sync" not in page
    assert "Audit" not in page_of(charlie)
    Suspension.objects.filter(pk=stop.pk).update(ended_at=timezone.now())
    page = page_of(procedure.bob)
    assert "Get credentials" in page and "disabled by an admin" not in page


def test_of_a_mapping_only_the_part_in_the_disabled_account_is_shown_as_disabled(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    other = factories.BucketFactory(name="third-data")
    factories.BucketGrantFactory(role=procedure.role_b, bucket=other)
    Suspension.objects.create(reason="audit", account=other.account)
    cards = {card.bucket: card for card in access_cards(procedure.bob, {})}
    assert cards[procedure.bucket].why == ""
    assert cards[other].why == "disabled" and str(other.account) in cards[other].disabled
    assert len(cards) == 2


def test_a_role_that_reaches_no_bucket_says_so(procedure: factories.Procedure) -> None:
    lonely = factories.IamRoleFactory(name="Lonely")
    factories.GroupRoleFactory(group=procedure.group, role=lonely, state=MappingState.IN_SYNC)
    assert "does not open any bucket yet" in page_of(procedure.bob)


def test_a_usable_mapping_shows_bucket_level_account_and_ways_in(mapping: GroupRole, bob: User) -> None:
    page = page_of(bob)
    for text in ("example-data", "Read and write", "the whole bucket", "222222222222", "MyRoleA", "In sync"):
        assert text in page
    assert reverse("browse", args=[mapping.pk, "example-data"]) in page
    assert f'action="{reverse("credentials", args=[mapping.pk])}"' in page


def test_a_narrowed_mapping_shows_what_is_left(procedure: factories.Procedure) -> None:
    procedure.map(state=MappingState.QUEUED, access="READ", prefix="team/")
    page = page_of(procedure.bob)
    assert "Read in" in page and "team/" in page and "Read and write" not in page


def test_expiry_is_shown_in_the_persons_own_zone(procedure: factories.Procedure) -> None:
    procedure.bob.time_zone = "Asia/Tokyo"
    procedure.bob.save()
    expires_at = timezone.now() + timedelta(days=2)
    procedure.map(state=MappingState.IN_SYNC, provisioned_at=timezone.now(), expires_at=expires_at)
    assert "JST" in page_of(procedure.bob)


def test_the_page_costs_the_same_for_one_mapping_and_for_twenty(mapping: GroupRole, bob: User) -> None:
    def cost() -> int:
        client = signed_in(bob)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse("my_access")).status_code == 200
        return len(queries)

    def add(number: int, **state: object) -> None:
        for _ in range(number):
            chain = factories.AssumeRoleGrantFactory()
            factories.BucketGrantFactory(role=chain.target)
            factories.GroupRoleFactory(group=mapping.group, role=chain.source, **state)

    add(1, state=MappingState.QUEUED)
    add(1, state=MappingState.IN_SYNC, provisioned_at=timezone.now())
    few = cost()
    add(10, state=MappingState.QUEUED)
    add(10, state=MappingState.IN_SYNC, provisioned_at=timezone.now())
    assert cost() == few

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from roles.errors import GrantEnded, InputError, NotPermitted, PolicyTooLarge
from roles.models import GroupRole, User
from roles.operations.change_mapping import change_mapping
from tests.factories import BucketFactory, BucketGrantFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, runs, traces

UNCHANGED: dict[str, Any] = {"access": "READWRITE", "prefix": "", "buckets": (), "expires_at": None}


def test_who_may_not_map_roles_is_refused(procedure: Procedure, powerless: User) -> None:
    mapping = procedure.map(access="READ")
    with pytest.raises(NotPermitted) as refusal:
        change_mapping(actor=powerless, mapping=mapping, **UNCHANGED)
    assert refusal.value.rule == "mappings.manage"
    assert GroupRole.objects.get().access == "READ"


def test_an_ended_mapping_is_not_changed(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map(ended_at=timezone.now() + timedelta(seconds=1))
    with pytest.raises(GrantEnded):
        change_mapping(actor=alice, mapping=mapping, **{**UNCHANGED, "access": "READ"})


def test_an_expired_mapping_is_not_given_more_time(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(GrantEnded, match="expired"):
        change_mapping(actor=alice, mapping=mapping, **UNCHANGED)
    assert GroupRole.objects.get().expires_at == mapping.expires_at


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"access": "WRITE"}, "access"),
        ({"prefix": "team-secret/"}, "prefix"),
        ({"expires_at": timezone.now() - timedelta(days=1)}, "expires_at"),
        ({"reason": "x" * 501}, "reason"),
    ],
)
def test_a_narrowing_that_could_not_be_mapped_is_refused(given: dict[str, Any], field: str, alice: User) -> None:
    mapping = Procedure(access="READ", prefix="team/").map()
    with pytest.raises(InputError) as refusal:
        change_mapping(actor=alice, mapping=mapping, **{**UNCHANGED, **given})
    assert refusal.value.field == field
    assert traces() == (0, 0)


def test_a_bucket_out_of_reach_is_refused(procedure: Procedure, alice: User) -> None:
    with pytest.raises(InputError, match="does not reach"):
        change_mapping(actor=alice, mapping=procedure.map(), **{**UNCHANGED, "buckets": [BucketFactory()]})


def test_a_narrowing_that_no_session_policy_has_room_for_is_refused(procedure: Procedure, alice: User) -> None:
    folders = [f"{'deep/' * 8}{number}/" for number in range(40)]
    procedure.bucket_grant.ended_at = timezone.now()
    procedure.bucket_grant.save()
    for folder in folders:
        BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix=folder)
    mapping = procedure.map()
    with pytest.raises(PolicyTooLarge):
        change_mapping(actor=alice, mapping=mapping, **{**UNCHANGED, "access": "READ"})
    change_mapping(actor=alice, mapping=mapping, **{**UNCHANGED, "prefix": folders[0]})
    assert GroupRole.objects.get().prefix == folders[0]


def test_a_changed_narrowing_is_stored_recorded_and_takes_the_tokens(procedure: Procedure, alice: User) -> None:
    provisioned = timezone.now()
    mapping = procedure.map(state="in_sync", provisioned_at=provisioned, reason="OPS-12")
    token, until = a_token(procedure.bob, mapping), timezone.now() + timedelta(days=1)
    wish = {"access": "READ", "prefix": "team", "buckets": [procedure.bucket], "expires_at": until}
    change_mapping(actor=alice, mapping=mapping, **wish, reason="less is enough")
    mapping.refresh_from_db()
    assert (mapping.access, mapping.prefix, mapping.expires_at) == ("READ", "team/", until)
    assert [*mapping.buckets.all()] == [procedure.bucket]
    assert mapping.reason == "less is enough"
    assert is_forgotten(token)
    changed = event("mapping.changed")
    assert changed.before is not None and changed.after is not None
    assert (changed.before["access"], changed.after["access"]) == ("READWRITE", "READ")
    assert (changed.before["buckets"], changed.after["buckets"]) == ([], ["example-data"])


def test_aws_is_not_asked_and_the_state_stays(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map(state="in_sync", provisioned_at=timezone.now())
    change_mapping(actor=alice, mapping=mapping, **{**UNCHANGED, "access": "READ"})
    assert runs() == []
    assert GroupRole.objects.get().state == "in_sync"


def test_what_the_engine_wrote_meanwhile_is_kept(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map()
    GroupRole.objects.update(state="in_sync", provisioned_at=timezone.now())
    change_mapping(actor=alice, mapping=mapping, **{**UNCHANGED, "access": "READ"})
    assert GroupRole.objects.get().state == "in_sync"


def test_an_unchanged_mapping_leaves_no_trace_and_keeps_its_tokens_and_reason(
    procedure: Procedure, alice: User
) -> None:
    mapping = procedure.map(reason="OPS-12")
    token = a_token(procedure.bob, mapping)
    change_mapping(actor=alice, mapping=mapping, **UNCHANGED)
    assert traces() == (0, 0)
    assert not is_forgotten(token)
    assert GroupRole.objects.get().reason == "OPS-12"

from __future__ import annotations

import pytest
from django.utils import timezone

from roles.errors import GrantEnded, NotFound, NotPermitted, StalePlan
from roles.models import GroupRole, ProvisioningRun, User
from roles.operations.unmap_role import unmap_role
from roles.provisioning import desired
from tests.factories import GroupRoleFactory, Procedure
from tests.operations.conftest import a_token, event, is_forgotten, traces


def test_who_may_not_map_roles_is_refused(procedure: Procedure, powerless: User) -> None:
    mapping = procedure.map()
    with pytest.raises(NotPermitted) as refusal:
        unmap_role(actor=powerless, mapping=mapping)
    assert refusal.value.rule == "mappings.manage"
    assert GroupRole.objects.get().is_open


def test_a_mapping_does_not_end_twice(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map()
    unmap_role(actor=alice, mapping=mapping)
    with pytest.raises(GrantEnded, match="ended already"):
        unmap_role(actor=alice, mapping=mapping)
    assert ProvisioningRun.objects.count() == 1


def test_a_mapping_that_never_was_is_not_found(procedure: Procedure, alice: User) -> None:
    with pytest.raises(NotFound):
        unmap_role(actor=alice, mapping=GroupRole(id=4711, group=procedure.group, role=procedure.role_a))


def test_a_plan_that_changed_since_it_was_seen_is_refused_and_access_stays(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map()
    token = a_token(procedure.bob, mapping)
    with pytest.raises(StalePlan):
        unmap_role(actor=alice, mapping=mapping, expected_plan="e" * 64)
    assert GroupRole.objects.get().is_open
    assert not is_forgotten(token)
    assert traces() == (0, 0)


def test_a_mapping_ends_its_tokens_go_and_a_run_takes_it_out_of_aws(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map(state="in_sync", provisioned_at=timezone.now())
    token = a_token(procedure.bob, mapping)
    ended = unmap_role(actor=alice, mapping=mapping, reason="project over")
    mapping.refresh_from_db()
    assert (mapping.is_open, mapping.ended_by, mapping.state, ended.state) == (False, alice, "removing", "removing")
    assert is_forgotten(token)
    run = ProvisioningRun.objects.get()
    assert (run.role, run.mapping, run.trigger) == (procedure.role_a, mapping, "mapping.removed")
    removed = event("mapping.removed")
    assert removed.before is not None and removed.before["group"] == "analysts"
    assert (removed.after, removed.details["reason"]) == (None, "project over")


def test_the_run_holds_to_the_plan_that_was_seen(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map()
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=timezone.now())
    seen = desired.digest_for(procedure.role_a)
    GroupRole.objects.filter(pk=mapping.pk).update(ended_at=None)
    unmap_role(actor=alice, mapping=mapping, expected_plan=seen)
    assert ProvisioningRun.objects.get().plan_digest == seen


def test_another_groups_mapping_of_the_role_keeps_its_tokens(procedure: Procedure, alice: User, charlie: User) -> None:
    mapping, other = procedure.map(), GroupRoleFactory(role=procedure.role_a)
    token = a_token(charlie, other)
    unmap_role(actor=alice, mapping=mapping)
    assert not is_forgotten(token)
    assert GroupRole.objects.get(pk=other.pk).is_open


def test_why_the_mapping_was_made_stays_readable_after_its_end(procedure: Procedure, alice: User) -> None:
    mapping = procedure.map(reason="OPS-12")
    unmap_role(actor=alice, mapping=mapping, reason="project over")
    assert GroupRole.objects.get().reason == "OPS-12"

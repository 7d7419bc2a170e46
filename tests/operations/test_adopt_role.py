from __future__ import annotations

import pytest

from roles.errors import Conflict, NotPermitted, StalePlan
from roles.models import User
from roles.operations.adopt_role import adopt_role
from tests.factories import Procedure
from tests.operations.conftest import event, runs, traces

pytestmark = pytest.mark.django_db


def test_who_may_not_manage_roles_adopts_none(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted):
        adopt_role(actor=powerless, role=procedure.role_b)
    procedure.role_b.refresh_from_db()
    assert procedure.role_b.ownership == "managed"


def test_an_adopted_role_is_not_adopted_again(procedure: Procedure, alice: User) -> None:
    adopt_role(actor=alice, role=procedure.role_b)
    with pytest.raises(Conflict, match="adopted already"):
        adopt_role(actor=alice, role=procedure.role_b)


def test_another_plan_than_the_one_that_was_seen_is_refused(procedure: Procedure, alice: User) -> None:
    procedure.map()
    with pytest.raises(StalePlan):
        adopt_role(actor=alice, role=procedure.role_b, expected_plan="e" * 64)
    assert traces() == (0, 0)


def test_the_role_is_adopted_and_the_source_roles_that_use_it_are_provisioned(
    procedure: Procedure, alice: User
) -> None:
    procedure.map()
    assert adopt_role(actor=alice, role=procedure.role_b).ownership == "adopted"
    assert runs() == [("role.changed", "MyRoleA")]
    changed = event("role.changed")
    assert changed.before is not None and changed.after is not None
    assert (changed.before["ownership"], changed.after["ownership"]) == ("managed", "adopted")

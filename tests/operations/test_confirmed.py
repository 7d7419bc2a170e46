from __future__ import annotations

from functools import partial

import pytest

from roles.errors import InputError, NotPermitted, StalePlan
from roles.models import GroupRole, IamRole, User
from roles.operations.confirmed import confirmed
from roles.operations.map_role_to_group import map_role_to_group
from roles.operations.save_role import save_role
from roles.provisioning import preview
from tests.factories import Procedure
from tests.operations.conftest import traces

pytestmark = pytest.mark.django_db


def mapping_it(procedure: Procedure, actor: User) -> partial[GroupRole]:
    return partial(map_role_to_group, actor=actor, group=procedure.group, role=procedure.role_a)


def test_who_may_not_adopt_may_not_adopt_along_with_a_change(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted):
        confirmed(actor=powerless, change=lambda: None, adopt=[str(procedure.role_b.arn)])


def test_what_is_no_role_is_not_adopted(alice: User) -> None:
    with pytest.raises(InputError):
        confirmed(actor=alice, change=lambda: None, adopt=["everything"])


def test_another_plan_than_the_one_that_was_seen_is_refused_and_nothing_is_kept(
    procedure: Procedure, alice: User
) -> None:
    seen = preview.rehearse(mapping_it(procedure, alice)).digest
    with pytest.raises(StalePlan):
        confirmed(
            actor=alice,
            change=mapping_it(procedure, alice),
            expected_plan=seen,
            adopt=[str(procedure.role_b.arn)],
        )
    assert traces() == (0, 0)


def test_the_change_is_made_with_its_roles_adopted(procedure: Procedure, alice: User) -> None:
    change = partial(confirmed, actor=alice, change=mapping_it(procedure, alice), adopt=[str(procedure.role_b.arn)])
    seen = preview.rehearse(change).digest
    mapping = change(expected_plan=seen)
    assert mapping.is_open
    procedure.role_b.refresh_from_db()
    assert procedure.role_b.ownership == "adopted"


def test_a_role_that_the_change_enters_is_adopted_after_it(procedure: Procedure, alice: User) -> None:
    new = IamRole(account=procedure.account_b, name="Theirs")
    confirmed(actor=alice, change=lambda: save_role(actor=alice, role=new), adopt=[str(new.arn)])
    assert IamRole.objects.get(name="Theirs").ownership == "adopted"


def test_what_is_adopted_already_stays_so(procedure: Procedure, alice: User) -> None:
    IamRole.objects.update(ownership="adopted")
    confirmed(actor=alice, change=lambda: None, adopt=[str(procedure.role_b.arn)])
    assert traces() == (0, 0)

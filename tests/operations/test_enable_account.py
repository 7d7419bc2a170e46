from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission

from roles.errors import Conflict, NotPermitted
from roles.models import Suspension, User
from roles.operations.disable_account import disable_account
from roles.operations.enable_account import enable_account
from roles.permissions import PERMISSION_OF, Rule
from tests.factories import Procedure
from tests.operations.conftest import event, runs, traces


@pytest.fixture
def disabled(procedure: Procedure, alice: User) -> Suspension:
    return disable_account(actor=alice, account=procedure.account_b, reason="audit")


def test_who_may_do_nothing_enables_no_account(disabled: Suspension, procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted):
        enable_account(actor=powerless, account=procedure.account_b)
    assert Suspension.objects.open().exists()


@pytest.mark.parametrize("rule", [Rule.MANAGE_ACCOUNTS, Rule.MAP_ROLES])
def test_the_right_to_one_half_of_it_is_not_enough(
    disabled: Suspension, procedure: Procedure, charlie: User, rule: Rule
) -> None:
    charlie.user_permissions.add(Permission.objects.get(codename=PERMISSION_OF[rule].removeprefix("roles.")))
    with pytest.raises(NotPermitted):
        enable_account(actor=User.objects.get(pk=charlie.pk), account=procedure.account_b)
    assert Suspension.objects.open().exists()


def test_what_is_not_disabled_is_a_conflict(procedure: Procedure, alice: User) -> None:
    with pytest.raises(Conflict, match="is not disabled"):
        enable_account(actor=alice, account=procedure.account_b)
    assert traces() == (0, 0)


def test_the_interval_ends_and_stays_and_another_may_begin(
    disabled: Suspension, procedure: Procedure, alice: User
) -> None:
    row = enable_account(actor=alice, account=procedure.account_b, reason="audit is over")
    assert (row, row.is_open, row.ended_by, row.reason) == (disabled, False, alice, "audit")
    told = event("account.enabled")
    assert told.account_id == "222222222222" and told.details["reason"] == "audit is over"
    assert told.before == {"disabled": True, "since": row.started_at.isoformat(), "why": "audit"}
    assert runs() == []
    again = disable_account(actor=alice, account=procedure.account_b, reason="another")
    assert list(Suspension.objects.open()) == [again]
    assert Suspension.objects.count() == 2

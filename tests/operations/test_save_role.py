from __future__ import annotations

from typing import Any

import pytest

from roles.errors import Conflict, InputError, NotFound, NotPermitted
from roles.models import AwsAccount, IamRole, User
from roles.operations import save_role as module
from roles.operations.save_role import save_role
from tests.factories import AwsAccountFactory, IamRoleFactory, Procedure
from tests.operations.conftest import event, runs, traces


def new_role(procedure: Procedure, **given: Any) -> IamRole:
    return IamRole(**{"account": procedure.account_b, "name": "MyRoleC", **given})


def test_who_may_not_manage_roles_is_refused(procedure: Procedure, powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        save_role(actor=powerless, role=new_role(procedure))
    assert refusal.value.rule == "roles.manage"
    assert not IamRole.objects.filter(name="MyRoleC").exists()


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"name": "My Role"}, "name", "1 to 64 letters"),
        ({"path": "team"}, "path", "begins and ends with '/'"),
        ({"ownership": "stolen"}, "ownership", "not a valid choice"),
        ({"name": "myroleb"}, "", "IAM ignores case"),
    ],
)
def test_what_cannot_be_right_is_refused_at_its_field(
    given: dict[str, str], field: str, says: str, procedure: Procedure, alice: User
) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        save_role(actor=alice, role=new_role(procedure, **given))
    assert refusal.value.field == field


@pytest.mark.parametrize("field", ["account", "name", "path"])
def test_what_makes_the_arn_of_a_role_that_exists_never_changes(field: str, procedure: Procedure, alice: User) -> None:
    role = IamRole.objects.get(pk=procedure.role_b.pk)
    setattr(role, field, {"account": AwsAccountFactory(), "name": "Renamed", "path": "/team/"}[field])
    with pytest.raises(InputError, match="never changes") as refusal:
        save_role(actor=alice, role=role)
    assert refusal.value.field == field
    assert IamRole.objects.get(pk=role.pk).arn == procedure.role_b.arn


def test_a_role_that_is_gone_cannot_be_changed(procedure: Procedure, alice: User) -> None:
    with pytest.raises(NotFound):
        save_role(actor=alice, role=new_role(procedure, id=4711))


def test_two_people_adding_the_same_role_is_a_conflict(
    procedure: Procedure, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "validate", lambda _row: IamRoleFactory(account=procedure.account_b, name="MYROLEC"))
    with pytest.raises(Conflict):
        save_role(actor=alice, role=new_role(procedure))


def test_a_new_role_is_saved_and_recorded_under_its_arn(procedure: Procedure, alice: User) -> None:
    role = save_role(actor=alice, role=new_role(procedure))
    created = event("role.created")
    assert (created.resource, created.account_id) == (str(role.arn), "222222222222")
    assert created.after is not None and created.after["attribution"] is True
    assert runs() == []


def test_saving_an_unchanged_role_leaves_no_trace(procedure: Procedure, alice: User) -> None:
    procedure.map()
    save_role(actor=alice, role=IamRole.objects.get(pk=procedure.role_b.pk))
    assert traces() == (0, 0)


@pytest.mark.parametrize(
    ("which", "field", "value"), [("role_b", "attribution", False), ("role_a", "ownership", "adopted")]
)
def test_another_attribution_or_ownership_provisions_the_source_roles_in_use(
    which: str, field: str, value: Any, procedure: Procedure, alice: User
) -> None:
    procedure.map()
    role = getattr(procedure, which)
    setattr(role, field, value)
    save_role(actor=alice, role=role)
    changed = event("role.changed")
    assert changed.before is not None and changed.after is not None
    assert (changed.before[field] != value, changed.after[field]) == (True, value)
    assert runs() == [("role.changed", "MyRoleA")]


def test_a_role_that_nobody_uses_is_changed_without_a_run(procedure: Procedure, alice: User) -> None:
    procedure.role_b.attribution = False
    save_role(actor=alice, role=procedure.role_b)
    assert runs() == []
    assert not IamRole.objects.get(pk=procedure.role_b.pk).attribution


BOUNDARY = "arn:aws:iam::222222222222:policy/limits/PortalRoles"


@pytest.mark.parametrize(
    "boundary", ["not-an-arn", "arn:aws:iam::111111111111:policy/Other", "arn:aws-cn:iam::222222222222:policy/Other"]
)
def test_a_boundary_that_aws_would_refuse_is_refused(boundary: str, procedure: Procedure, alice: User) -> None:
    procedure.role_b.permissions_boundary = boundary
    with pytest.raises(InputError) as refusal:
        save_role(actor=alice, role=procedure.role_b)
    assert refusal.value.field == "permissions_boundary"


@pytest.mark.parametrize("boundary", [BOUNDARY, "arn:aws:iam::aws:policy/PowerUserAccess"])
def test_a_boundary_is_kept_and_told(boundary: str, procedure: Procedure, alice: User) -> None:
    procedure.role_b.permissions_boundary = boundary
    save_role(actor=alice, role=procedure.role_b)
    changed = event("role.changed")
    assert changed.after is not None and changed.after["permissions_boundary"] == boundary


@pytest.mark.parametrize("name", ["provisioner", "Provisioner", "xacct-tokens", "XACCT-provisioner"])
def test_the_portals_own_identities_are_no_roles_to_give_access_with(
    name: str, procedure: Procedure, alice: User
) -> None:
    arn = f"arn:aws:iam::{procedure.account_b.account_id}:role/portal/provisioner"
    AwsAccount.objects.filter(pk=procedure.account_b.pk).update(provisioner_role_arn=arn)
    with pytest.raises(InputError, match="one of the portal's own identities") as refusal:
        save_role(actor=alice, role=new_role(procedure, name=name, ownership="adopted"))
    assert refusal.value.field == "name"
    assert not IamRole.objects.filter(name__iexact=name).exists()


def test_a_role_of_that_name_in_another_account_is_no_identity_of_the_portal(procedure: Procedure, alice: User) -> None:
    arn = f"arn:aws:iam::{procedure.account_b.account_id}:role/provisioner"
    AwsAccount.objects.filter(pk=procedure.account_b.pk).update(provisioner_role_arn=arn)
    role = save_role(actor=alice, role=new_role(procedure, name="provisioner", account=procedure.account_a))
    assert role.pk is not None

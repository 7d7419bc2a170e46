from __future__ import annotations

import pytest

from roles.errors import Conflict, InputError, NotFound, NotPermitted
from roles.models import AwsAccount, User
from roles.operations import save_account as module
from roles.operations.save_account import save_account
from tests.factories import AwsAccountFactory, Procedure
from tests.operations.conftest import event, runs, traces

PROVISIONER = "arn:aws:iam::222222222222:role/xacct-provisioner"


def new_account(**given: str) -> AwsAccount:
    return AwsAccount(**{"account_id": "222222222222", "name": "bucket-owner", "access_mode": "ambient", **given})


def test_who_may_not_manage_accounts_is_refused(powerless: User) -> None:
    with pytest.raises(NotPermitted) as refusal:
        save_account(actor=powerless, account=new_account())
    assert refusal.value.rule == "accounts.manage"
    assert not AwsAccount.objects.exists()


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"account_id": "1234"}, "account_id", "exactly 12 digits"),
        ({"name": "no spaces"}, "name", "slug"),
        ({"region": "somewhere"}, "region", "us-east-1"),
        ({"region": "cn-north-1"}, "region", "partition"),
        ({"partition": "aws-mars"}, "partition", "not a valid choice"),
        ({"access_mode": "assume-role"}, "provisioner_role_arn", "needs the provisioner role's ARN"),
        ({"provisioner_role_arn": "arn:aws:iam::222222222222:user/me"}, "provisioner_role_arn", "not the ARN"),
        ({"provisioner_role_arn": PROVISIONER.replace("222", "333")}, "provisioner_role_arn", "not in account"),
        (
            {"provisioner_role_arn": "arn:aws:iam::333333333333:role/for-222222222222"},
            "provisioner_role_arn",
            "not in account 222222222222",
        ),
        ({"provisioner_role_arn": PROVISIONER.replace("aws", "aws-cn", 1)}, "provisioner_role_arn", "partition 'aws'"),
        ({"external_id": "x"}, "external_id", "2 to 1,224"),
    ],
)
def test_what_cannot_be_right_is_refused_at_its_field(
    given: dict[str, str], field: str, says: str, alice: User
) -> None:
    with pytest.raises(InputError, match=says) as refusal:
        save_account(actor=alice, account=new_account(**given))
    assert refusal.value.field == field
    assert not AwsAccount.objects.exists()


@pytest.mark.parametrize(("field", "value"), [("account_id", "333333333333"), ("partition", "aws-us-gov")])
def test_id_and_partition_of_an_account_that_exists_never_change(field: str, value: str, alice: User) -> None:
    account = AwsAccountFactory(region="us-east-1")
    setattr(account, field, value)
    with pytest.raises(InputError, match="never changes") as refusal:
        save_account(actor=alice, account=account)
    assert refusal.value.field == field
    assert getattr(AwsAccount.objects.get(), field) != value


def test_an_account_that_is_gone_cannot_be_changed(alice: User) -> None:
    with pytest.raises(NotFound):
        save_account(actor=alice, account=new_account(id=4711))  # type: ignore[arg-type]


def test_two_people_adding_the_same_account_is_a_conflict(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "validate", lambda _row: AwsAccountFactory(account_id="222222222222"))
    with pytest.raises(Conflict):
        save_account(actor=alice, account=new_account())


def test_a_new_account_is_saved_and_recorded(alice: User) -> None:
    account = save_account(
        actor=alice, account=new_account(access_mode="assume-role", provisioner_role_arn=PROVISIONER)
    )
    assert AwsAccount.objects.get() == account
    created = event("account.created")
    assert (created.actor, created.account_id, created.before) == (alice, "222222222222", None)
    assert created.after is not None and created.after["provisioner_role_arn"] == PROVISIONER
    assert runs() == []


def test_saving_an_unchanged_account_leaves_no_trace(procedure: Procedure, alice: User) -> None:
    procedure.map()
    save_account(actor=alice, account=AwsAccount.objects.get(pk=procedure.account_b.pk))
    assert traces() == (0, 0)


def test_another_name_is_recorded_and_aws_is_left_alone(procedure: Procedure, alice: User) -> None:
    procedure.map()
    procedure.account_b.name = "owner"
    save_account(actor=alice, account=procedure.account_b)
    changed = event("account.changed")
    assert changed.before is not None and changed.before["name"] == "bucket-owner"
    assert changed.after is not None and changed.after["name"] == "owner"
    assert runs() == []


def test_another_way_in_provisions_the_roles_that_need_it_once(procedure: Procedure, alice: User) -> None:
    procedure.map()
    procedure.account_b.access_mode = "handoff"
    save_account(actor=alice, account=procedure.account_b)
    assert runs() == [("account.changed", "MyRoleA")]


def test_another_way_into_an_account_that_nobody_uses_queues_nothing(procedure: Procedure, alice: User) -> None:
    procedure.account_b.external_id = "another-external-id"
    save_account(actor=alice, account=procedure.account_b)
    assert runs() == []
    assert event("account.changed").subject_id == str(procedure.account_b.pk)


def test_a_role_that_people_are_given_does_not_become_the_provisioner(procedure: Procedure, alice: User) -> None:
    account = AwsAccount.objects.get(pk=procedure.account_b.pk)
    account.provisioner_role_arn = str(procedure.role_b.arn).replace("MyRoleB", "team/myroleb")
    with pytest.raises(InputError, match="gives access with") as refusal:
        save_account(actor=alice, account=account)
    assert refusal.value.field == "provisioner_role_arn"
    assert AwsAccount.objects.get(pk=account.pk).provisioner_role_arn == procedure.account_b.provisioner_role_arn
    account.provisioner_role_arn = PROVISIONER.replace("222222222222", account.account_id)
    assert save_account(actor=alice, account=account).provisioner_role_arn.endswith("xacct-provisioner")


# --- external ids ---


def assumed(**given: str) -> AwsAccount:
    return new_account(access_mode="assume-role", provisioner_role_arn=PROVISIONER, **given)


def test_an_account_to_be_assumed_gets_an_external_id_of_its_own(alice: User) -> None:
    first = save_account(actor=alice, account=assumed())
    other = "arn:aws:iam::333333333333:role/xacct-provisioner"
    second = save_account(
        actor=alice,
        account=AwsAccount(
            account_id="333333333333", name="other", access_mode="assume-role", provisioner_role_arn=other
        ),
    )
    assert len(first.external_id) > 40
    assert first.external_id != second.external_id


def test_an_external_id_that_was_given_is_taken(alice: User) -> None:
    assert save_account(actor=alice, account=assumed(external_id="as-agreed")).external_id == "as-agreed"


@pytest.mark.parametrize("mode", ["ambient", "handoff"])
def test_other_accounts_get_none(mode: str, alice: User) -> None:
    assert save_account(actor=alice, account=new_account(access_mode=mode)).external_id == ""


def test_an_external_id_that_the_owner_was_told_is_not_lost_by_leaving_the_field_empty(alice: User) -> None:
    account = save_account(actor=alice, account=assumed(external_id="as-agreed"))
    account.external_id, account.name = "", "renamed"
    assert save_account(actor=alice, account=account).external_id == "as-agreed"


def test_a_way_in_that_works_without_one_gets_none(alice: User) -> None:
    account = AwsAccountFactory(
        account_id="222222222222", access_mode="assume-role", provisioner_role_arn=PROVISIONER, external_id=""
    )
    account.name = "renamed"
    assert save_account(actor=alice, account=account).external_id == ""


def test_an_account_that_becomes_one_to_be_assumed_gets_one(alice: User) -> None:
    account = save_account(actor=alice, account=new_account(access_mode="handoff"))
    account.access_mode, account.provisioner_role_arn = "assume-role", PROVISIONER
    assert save_account(actor=alice, account=account).external_id.startswith("xacct-")


def test_a_role_to_read_a_handoff_account_with_gets_one(alice: User) -> None:
    account = save_account(actor=alice, account=new_account(access_mode="handoff"))
    account.provisioner_role_arn = PROVISIONER
    assert save_account(actor=alice, account=account).external_id.startswith("xacct-")

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
import yaml
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from roles.models import AuditEvent, AwsAccount, Bucket, BucketGrant, Suspension, User
from roles.models.choices import AccessModeChoice
from roles.operations.disable_account import disable_account
from roles.operations.disable_group import disable_group
from tests import factories
from tests.commands.conftest import Write
from tests.factories import Procedure

pytestmark = pytest.mark.django_db


def exported() -> str:
    out = StringIO()
    call_command("export_config", stdout=out)
    return out.getvalue()


def imported(path: str) -> list[str]:
    out = StringIO()
    call_command("import_config", path, stdout=out)
    return out.getvalue().splitlines()


def test_ended_and_expired_things_are_left_out(procedure: Procedure) -> None:
    now = timezone.now()
    procedure.map(started_at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    for grant in (procedure.assume_grant, procedure.bucket_grant):
        grant.ended_at = timezone.now()
        grant.save()
    document = yaml.safe_load(exported())
    assert (document["assume_role_grants"], document["bucket_grants"]) == ([], [])
    assert document["groups"] == [{"name": "analysts", "members": ["bob"], "roles": []}]


def test_no_password_or_token_is_exported(procedure: Procedure) -> None:
    assert procedure.bob.password not in exported()


def test_empty_portal_exports_every_section_empty() -> None:
    assert yaml.safe_load(exported()) == {
        "accounts": [],
        "roles": [],
        "buckets": [],
        "assume_role_grants": [],
        "bucket_grants": [],
        "groups": [],
    }


def test_example_comes_out_as_it_went_in(example: str) -> None:
    imported(example)
    with open(example, encoding="utf-8") as file:
        wanted = yaml.safe_load(file)
    wanted["accounts"][1]["partition"] = "aws"
    found = yaml.safe_load(exported())
    assert found.keys() == wanted.keys()
    for section, entries in wanted.items():
        assert in_any_order(found[section]) == in_any_order(entries)


def in_any_order(entries: list[object]) -> list[str]:
    return sorted(json.dumps(entry, sort_keys=True) for entry in entries)


def test_account_ids_are_quoted_and_keep_their_zeros() -> None:
    factories.AwsAccountFactory(account_id="000000000089", name="zeros")
    assert '"000000000089"' in exported()


def test_two_exports_are_the_same_text(procedure: Procedure) -> None:
    procedure.map()
    assert exported() == exported()


def everything() -> None:
    """Make a world in which each optional field is used."""
    world = Procedure()
    account = factories.AwsAccountFactory(
        account_id="000000000012", name="china", partition="aws-cn", region="cn-north-1", access_mode="handoff"
    )
    factories.IamRoleFactory(account=account, name="on", path="/team/", ownership="adopted", attribution=False)
    world.bucket.kms_key_arn = "arn:aws:kms:us-east-1:222222222222:key/1234abcd"
    world.bucket.save()
    factories.BucketGrantFactory(role=world.role_b, bucket=world.bucket, access="READ", prefix="raw: data/é/")
    group = factories.UserGroupFactory(name="123", description="yes: all")
    factories.MembershipFactory(group=group, user=factories.UserFactory(username="null"))
    mapping = factories.GroupRoleFactory(
        group=group,
        role=world.role_a,
        access="READ",
        prefix="raw: data/",
        expires_at=timezone.now() + timedelta(days=9),
    )
    mapping.buckets.add(world.bucket)
    world.map()


def test_importing_the_export_changes_nothing(write: Write) -> None:
    everything()
    events = AuditEvent.objects.count()
    assert imported(write(exported())) == ["Nothing to change."]
    assert AuditEvent.objects.count() == events


def test_export_makes_the_same_world_in_an_empty_portal(write: Write) -> None:
    with transaction.atomic():
        everything()
        text = exported()
        transaction.set_rollback(True)
    assert not AwsAccount.objects.exists()
    imported(write(text))
    assert exported() == text
    assert AwsAccount.objects.get(name="china").access_mode == AccessModeChoice.HANDOFF
    assert not User.objects.get(username="bob").has_usable_password()


def test_where_grants_are_placed_and_who_cleans_up_uploads_comes_out_and_goes_in_again(
    procedure: Procedure, write: Write
) -> None:
    assert "grants_in_identity_policy" not in exported() and "multipart_cleanup" not in exported()
    Bucket.objects.update(grants_in_identity_policy=True)
    BucketGrant.objects.update(multipart_cleanup=True)
    text = exported()
    Bucket.objects.update(grants_in_identity_policy=False)
    BucketGrant.objects.update(multipart_cleanup=False)
    assert len(imported(write(text))) == 3
    assert exported() == text
    assert BucketGrant.objects.filter(ended_at__isnull=True).count() == 1


def test_what_is_disabled_is_in_the_export_as_ever_and_importing_that_enables_nothing(
    procedure: Procedure, alice: User, write: Write
) -> None:
    procedure.map()
    text = exported()
    disable_group(actor=alice, group=procedure.group, reason="audit")
    disable_account(actor=alice, account=procedure.account_b, reason="audit")
    assert exported() == text
    assert imported(write(text)) == ["Nothing to change."]
    assert len(imported(write(text.replace("- bob", "- carol")))) > 0
    assert Suspension.objects.open().count() == 2

"""Reading AWS and writing to it: one place each, in the right account, and never more than was asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from roles.aws import sts
from roles.errors import AwsNotFound, Misconfigured
from roles.provisioning.apply import apply
from roles.provisioning.observed import Accounts, bucket_of, observe, observe_all, portal_principals
from roles.provisioning.plan import change_for
from roles.provisioning.resources import ObservedProfile, ObservedRole
from roles.values.arns import MANAGED_TAGS
from tests.provisioning.conftest import PROFILE_A, ROLE_A
from tests.provisioning.test_plan import HANDED_OFF, access, bucket, procedure, profile, source_role, target_role, trust
from tests.strict_aws.watched import PARTNER, PORTAL, WatchedAws


def test_nothing_is_read_of_an_account_in_its_owners_hands(aws: WatchedAws) -> None:
    assert observe(replace(trust(), access=HANDED_OFF), Accounts()) is None
    assert observe(access(), Accounts()) is None
    assert aws.calls == []


def test_a_bucket_that_is_not_there_is_not_an_empty_policy(aws: WatchedAws) -> None:
    aws.delete_bucket("example-data")
    with pytest.raises(AwsNotFound):
        observe(bucket([]), Accounts())


def test_each_thing_is_read_as_what_it_is(aws: WatchedAws) -> None:
    aws.add_role(ROLE_A, **MANAGED_TAGS)
    aws.set_profile(PROFILE_A, "MyRoleA")
    role = observe(source_role(), Accounts())
    assert isinstance(role, ObservedRole) and (role.arn, role.tags) == (ROLE_A, MANAGED_TAGS)
    assert observe(profile(), Accounts()) == ObservedProfile(("MyRoleA",))
    assert observe(target_role(), Accounts()) is None


def test_documents_that_steps_share_are_read_once(aws: WatchedAws) -> None:
    observe_all(procedure([]), Accounts())
    assert [call.name for call in aws.calls] == [
        "get_role",
        "get_instance_profile",
        "get_role_policy",
        "get_role",
        "get_bucket_policy",
    ]


def test_the_way_into_an_account_is_opened_once() -> None:
    accounts = Accounts()
    assert accounts.session(access().access) is accounts.session(access().access)
    assert accounts.session(access().access) is not accounts.session(access().source_access)


def test_something_that_is_no_bucket_has_no_bucket_policy() -> None:
    with pytest.raises(Misconfigured):
        bucket_of(replace(bucket([]), resource=ROLE_A))


def test_who_the_portal_is_is_asked_unless_the_setting_says_it(
    aws: WatchedAws, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert portal_principals("us-east-1") == (PORTAL,)
    settings.XACCT_PORTAL_PRINCIPALS = [PARTNER]
    monkeypatch.setattr(sts, "caller_arn", lambda **_: pytest.fail("asked"))
    assert portal_principals("us-east-1") == (PARTNER,)


def test_a_session_is_named_by_its_role(aws: WatchedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sts, "caller_arn", lambda **_: "arn:aws:sts::111111111111:assumed-role/Portal/i-1")
    assert portal_principals("us-east-1") == ("arn:aws:iam::111111111111:role/Portal",)


# --- apply ---


def test_a_change_that_writes_nothing_is_not_applied(aws: WatchedAws) -> None:
    with pytest.raises(ValueError, match="nothing to write"):
        apply(change_for(profile(wanted=False), None)[0], Accounts())
    assert aws.calls == []


def test_a_half_made_profile_is_completed(aws: WatchedAws) -> None:
    aws.add_role(ROLE_A)
    aws.set_profile(PROFILE_A)
    change, _ = change_for(profile(), ObservedProfile((), MANAGED_TAGS))
    assert apply(change, Accounts())
    assert aws.writes == ["add_role_to_instance_profile"]

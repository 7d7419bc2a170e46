"""What the test of a way in says: identity, permissions, clock, region, each in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from roles.aws.probe import Identity
from roles.aws.sessions import AccountSession
from roles.errors import AwsAccessDenied, AwsError, AwsNotFound, AwsThrottled, AwsUnreachable
from roles.models import AwsAccount
from roles.policies.provisioner import ACTIONS
from roles.provisioning import connection
from roles.provisioning.connection import ConnectionReport, in_words, try_connection
from tests import factories
from tests.provisioning.conftest import BUCKET, ROLE_A, ROLE_B
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db

INSIDE = Identity("arn:aws:sts::222222222222:assumed-role/xacct-provisioner/xacct-portal", "222222222222")
NO = AwsAccessDenied("No.", aws_code="AccessDenied")
AT_PROFILES = {action for action in ACTIONS if action.endswith("InstanceProfile")}
AT_TARGETS = {*ACTIONS} - {"iam:PassRole", *AT_PROFILES}


@dataclass
class FakeProbe:
    """The way in: who one is there or why not, what IAM says, and what the answers say besides."""

    who: Identity | AwsError = INSIDE
    skew: timedelta | None = timedelta(seconds=1)
    bucket_region: str = ""
    region_heard: str = ""
    refused: set[str] = field(default_factory=set)
    simulation: AwsError | None = NO
    details: AwsError | None = None
    quota: int | AwsError = 2_048
    asked: list[tuple[str, str]] = field(default_factory=list)
    session: Any = None

    def identity(self) -> Identity:
        if isinstance(self.who, AwsError):
            raise self.who
        return self.who

    def simulate(self, principal: str, actions: list[str], resource: str) -> dict[str, bool]:
        self.asked.append((principal, resource))
        if self.simulation is not None:
            raise self.simulation
        return {action: action not in self.refused for action in actions}

    def read_roles(self) -> None:
        if self.details is not None:
            raise self.details

    def trust_quota(self) -> int:
        if isinstance(self.quota, AwsError):
            raise self.quota
        return self.quota


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> FakeProbe:
    """The way in of every account."""
    fake = FakeProbe()

    def opened(access: Any) -> FakeProbe:
        fake.session = AccountSession(access)
        return fake

    monkeypatch.setattr(connection, "Probe", opened)
    return fake


@pytest.fixture
def account(procedure: factories.Procedure, aws: WatchedAws) -> AwsAccount:
    """Account B, into which the portal gets by a provisioner role."""
    return procedure.account_b


def refused(code: str = "AccessDenied", message: str = "", **more: Any) -> AwsAccessDenied:
    """Return AWS's refusal of the way in."""
    return AwsAccessDenied("AWS refused.", aws_code=code, aws_message=message, **{"operation": "AssumeRole", **more})


def said(report: ConnectionReport) -> str:
    return " ".join(f"{one.text} {one.advice}" for one in report.remarks)


def codes(report: ConnectionReport) -> list[str]:
    return [one.code for one in report.remarks]


# --- what is wrong with the way in ---


def test_a_handoff_account_is_not_asked(account: AwsAccount, probe: FakeProbe) -> None:
    account.access_mode = "handoff"
    report = try_connection(account)
    assert (codes(report), report.works, probe.session) == (["handoff"], False, None)
    assert "no way in" in said(report)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (refused(), "way_in.refused", "asks for another external id"),
        (refused(message="because no identity-based policy allows it"), "way_in.own_policy", "sts:AssumeRole on arn:"),
        (refused("SignatureDoesNotMatch", "Signature expired: 1 is now earlier"), "clock.refused", "clock is wrong"),
        (refused("RequestTimeTooSkewed"), "clock.refused", "NTP"),
        (refused("InvalidClientTokenId"), "credentials.unknown", "in their own partition only"),
        (AwsUnreachable("Nothing."), "region.no_answer", "STS in region us-east-1 does not answer"),
        (
            AwsAccessDenied("STS is off there.", hint="Switch it on.", aws_code="RegionDisabledException"),
            "way_in.failed",
            "Switch it on",
        ),
        (AwsAccessDenied("The portal has no AWS credentials of its own."), "way_in.failed", "no AWS credentials"),
        (refused(operation="GetCallerIdentity"), "way_in.failed", "AWS refused"),
    ],
)
def test_a_way_in_that_is_shut_says_why_and_what_to_do(
    error: AwsError, code: str, says: str, account: AwsAccount, probe: FakeProbe
) -> None:
    probe.who = error
    report = try_connection(account)
    assert codes(report) == [code]
    assert says in said(report)
    assert (report.works, report.identity, report.permissions) == (False, "", ())
    assert "example-external-id" not in said(report)


def test_a_missing_external_id_is_named_as_a_reason(account: AwsAccount, probe: FakeProbe) -> None:
    account.external_id = ""
    probe.who = refused()
    assert "asks for an external id, and none is entered here" in said(try_connection(account))


@pytest.mark.parametrize(
    ("skew", "found", "says"),
    [
        (timedelta(minutes=23), "bad", "is 23 min 0 s behind AWS's"),
        (timedelta(minutes=-2, seconds=-5), "warning", "is 2 min 5 s ahead of AWS's"),
    ],
)
def test_a_clock_that_is_off_is_told(
    skew: timedelta, found: str, says: str, account: AwsAccount, probe: FakeProbe
) -> None:
    probe.skew = skew
    report = try_connection(account)
    (clock,) = [one for one in report.remarks if one.code == "clock"]
    assert (clock.tone, says in clock.text) == (found, True)
    assert report.works is (found == "warning")


def test_a_clock_is_told_also_when_the_way_in_is_shut(account: AwsAccount, probe: FakeProbe) -> None:
    probe.who, probe.skew = refused("SignatureDoesNotMatch", "Signature expired"), timedelta(minutes=30)
    assert codes(try_connection(account)) == ["clock.refused", "clock"]


@pytest.mark.parametrize("skew", [None, timedelta(seconds=59)])
def test_a_clock_that_is_right_or_unknown_is_not_talked_about(
    skew: timedelta | None, account: AwsAccount, probe: FakeProbe
) -> None:
    probe.skew = skew
    assert "clock" not in codes(try_connection(account))


@pytest.mark.parametrize(("mode", "advice"), [("ambient", "choose 'Assume role'"), ("assume-role", "Correct the")])
def test_a_way_in_that_leads_elsewhere_is_told(mode: str, advice: str, account: AwsAccount, probe: FakeProbe) -> None:
    account.access_mode = mode
    probe.who = Identity("arn:aws:iam::999999999999:user/x", "999999999999")
    report = try_connection(account)
    assert codes(report) == ["identity.other_account"]
    assert advice in said(report)
    assert probe.asked == []


def test_another_partition_is_told(account: AwsAccount, probe: FakeProbe) -> None:
    probe.who = Identity("arn:aws-cn:iam::222222222222:user/x", "222222222222")
    report = try_connection(account)
    assert "identity.other_partition" in codes(report)
    assert not report.works


def test_an_account_without_anything_needs_nothing(probe: FakeProbe, aws: WatchedAws) -> None:
    probe.who = Identity("arn:aws:iam::300000000042:user/x", "300000000042")
    report = try_connection(factories.AwsAccountFactory(account_id="300000000042"))
    assert codes(report) == ["identity.found", "nothing_there"]


# --- permissions, asked of IAM ---


def test_what_iam_denies_is_missing_and_nothing_else(account: AwsAccount, probe: FakeProbe) -> None:
    probe.simulation, probe.refused = None, {"s3:PutBucketPolicy"}
    report = try_connection(account)
    assert [(one.action, one.resource) for one in report.missing] == [("s3:PutBucketPolicy", BUCKET)]
    assert (report.is_simulated, report.unknown, report.works) == (True, (), False)
    assert {principal for principal, _ in probe.asked} == {account.provisioner_role_arn}


def test_with_everything_it_works(account: AwsAccount, probe: FakeProbe) -> None:
    probe.simulation = None
    report = try_connection(account)
    assert report.works
    assert codes(report) == ["identity.found"]
    assert {one.action for one in report.allowed} == AT_TARGETS


def test_every_action_of_the_engine_is_looked_at_for_a_source_role(
    account: AwsAccount, procedure: factories.Procedure, probe: FakeProbe
) -> None:
    procedure.role_a.account = account
    procedure.role_a.save()
    probe.simulation = None
    assert {one.action for one in try_connection(account).permissions} == set(ACTIONS)


def test_a_read_that_is_refused_counts_for_more_than_iams_yes(
    account: AwsAccount, probe: FakeProbe, aws: WatchedAws
) -> None:
    probe.simulation = None
    aws.fail_always["get_bucket_policy"] = NO
    report = try_connection(account)
    assert [one.action for one in report.missing] == ["s3:GetBucketPolicy"]
    assert "bucket.refused" in codes(report)


def test_the_portals_own_identity_is_asked_about_in_its_own_account(
    procedure: factories.Procedure, probe: FakeProbe, aws: WatchedAws
) -> None:
    probe.who = Identity("arn:aws:sts::111111111111:assumed-role/portal/i-01", "111111111111")
    probe.simulation = None
    try_connection(procedure.account_a)
    assert {principal for principal, _ in probe.asked} == {"arn:aws:iam::111111111111:role/portal"}


def test_what_there_was_no_time_for_is_unknown(
    account: AwsAccount, probe: FakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SECONDS_MAX", -1.0)
    probe.simulation = None
    report = try_connection(account)
    assert probe.asked == []
    assert set(report.unknown) == set(report.permissions)
    assert "out_of_time" in codes(report)


# --- permissions, by reading ---


def test_where_iam_may_not_be_asked_reading_shows_some_and_the_rest_is_unknown(
    account: AwsAccount, probe: FakeProbe
) -> None:
    report = try_connection(account)
    of_roles = {"iam:GetRole", "iam:GetRolePolicy", "iam:ListRolePolicies", "iam:ListInstanceProfilesForRole"}
    read = {*of_roles, "iam:GetAccountAuthorizationDetails", "s3:GetBucketPolicy"}
    assert not report.is_simulated
    assert {one.action for one in report.allowed} == read
    assert {one.action for one in report.unknown} == AT_TARGETS - read
    assert "iam:SimulatePrincipalPolicy" in said(report)


@pytest.mark.parametrize(
    ("call", "action"),
    [
        ("get_role", "iam:GetRole"),
        ("get_role_policy", "iam:GetRolePolicy"),
        ("role_policies", "iam:ListRolePolicies"),
        ("instance_profiles_of", "iam:ListInstanceProfilesForRole"),
        ("get_instance_profile", "iam:GetInstanceProfile"),
        ("get_bucket_policy", "s3:GetBucketPolicy"),
    ],
)
def test_each_read_that_is_refused_is_exactly_what_is_missing(
    call: str, action: str, *, account: AwsAccount, procedure: factories.Procedure, probe: FakeProbe, aws: WatchedAws
) -> None:
    procedure.role_a.account = account
    procedure.role_a.save()
    aws.fail_always[call] = NO
    assert {one.action for one in try_connection(account).missing} == {action}


def test_the_search_for_drift_is_tried_too(account: AwsAccount, probe: FakeProbe) -> None:
    probe.details = NO
    assert [one.action for one in try_connection(account).missing] == ["iam:GetAccountAuthorizationDetails"]


def test_what_aws_is_too_busy_to_say_is_unknown_not_missing(
    account: AwsAccount, probe: FakeProbe, aws: WatchedAws
) -> None:
    aws.fail_always["get_role"] = AwsThrottled("Rate exceeded")
    report = try_connection(account)
    assert report.missing == ()
    assert "iam:GetRole" in {one.action for one in report.unknown}


def test_a_bucket_that_is_not_there_is_told(account: AwsAccount, probe: FakeProbe, aws: WatchedAws) -> None:
    aws.fail_always["get_bucket_policy"] = AwsNotFound("No.", aws_code="NoSuchBucket")
    report = try_connection(account)
    assert (report.missing, report.works) == ((), False)
    assert "There is no bucket example-data." in said(report)


def test_a_bucket_in_another_region_is_told(
    account: AwsAccount, probe: FakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heard(*_: Any, **__: Any) -> None:
        probe.bucket_region = "eu-west-1"

    monkeypatch.setattr(connection.s3, "get_bucket_policy", heard)
    assert "is in eu-west-1, the portal has us-east-1" in said(try_connection(account))


def test_a_quota_that_aws_has_raised_is_told(account: AwsAccount, probe: FakeProbe) -> None:
    probe.quota = 4_096
    report = try_connection(account)
    assert "trust_quota.other" in codes(report) and "4,096 characters in this account, the portal has 2,048" in said(
        report
    )


@pytest.mark.parametrize("quota", [2_048, NO])
def test_a_quota_that_is_as_entered_or_may_not_be_read_is_not_spoken_of(
    quota: int | AwsError, account: AwsAccount, probe: FakeProbe
) -> None:
    probe.quota = quota
    report = try_connection(account)
    assert "trust_quota.other" not in codes(report) and report.missing == ()


def test_nothing_is_written(account: AwsAccount, probe: FakeProbe, aws: WatchedAws) -> None:
    try_connection(account)
    assert [call for call in aws.calls if call.is_write] == []
    assert aws.calls


def test_sentences_name_the_action_the_places_and_the_purpose(account: AwsAccount, probe: FakeProbe) -> None:
    factories.IamRoleFactory(account=account, name="Other")
    probe.simulation, probe.refused = None, {"iam:TagRole"}
    (sentence,) = in_words(try_connection(account).missing)
    other = ROLE_B.replace("MyRoleB", "Other")
    assert sentence == f"iam:TagRole on {ROLE_B}, {other}, to mark a role that it creates as its own."
    assert ROLE_A not in sentence

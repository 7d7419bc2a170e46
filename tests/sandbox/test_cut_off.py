"""Credentials that are in people's tools already, cut off at an AWS that enforces: bob's stop, carol's go on."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from django.test import Client
from django.utils import timezone

from roles import tasks
from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET
from roles.models import CutOff, GroupRole, IamRole, Membership, ProvisioningRun, User
from roles.models.choices import RunStatus
from roles.operations.cut_off import Whose, cut_off
from roles.operations.lift_cut_offs import lift_cut_off
from roles.operations.remove_member import remove_member
from roles.policies import builders
from roles.policies.document import parse
from roles.policies.equivalence import same_document
from roles.tokens import broker
from roles.tokens.broker import Token
from tests import factories
from tests.sandbox.proxy import CallLog
from tests.sandbox.world import World

pytestmark = [pytest.mark.sandbox, pytest.mark.django_db]

LIMIT_SECONDS = 5.0
POLICY = "xacct-cut-off"
# What the console's "Revoke sessions" writes.
OLDER = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Deny",
            "Action": ["*"],
            "Resource": ["*"],
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2020-01-01T00:00:00Z"}},
        }
    ],
}


class Person:
    """Somebody with a browser, and with what they have taken out of it into their own tool."""

    def __init__(self, world: World, user: User, mapping: GroupRole) -> None:
        self.world, self.user, self.mapping = world, user, mapping
        self.browser = Client()
        self.browser.force_login(user)
        self.tool = self.tool_with(self.token())

    def token(self) -> Token:
        return broker.get_token(actor=self.user, session=self.browser.session, mapping_id=self.mapping.pk)

    def tool_with(self, token: Token) -> Any:
        return self.world.s3_with(token)

    @property
    def can_read(self) -> bool:
        """Whether the tool reads with the credentials that it holds."""
        return reads(self.tool)


def reads(s3: Any) -> bool:
    try:
        s3.get_object(Bucket=BUCKET, Key="team/notes.md")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
        return False
    return True


def within_limit(is_so: Any, *, since: float) -> None:
    """Wait until it is so, and fail if that takes more than the seconds allowed."""
    while not is_so():
        assert time.monotonic() - since < LIMIT_SECONDS
        time.sleep(0.1)


def reconcile(run: ProvisioningRun) -> float:
    """Do what the worker does with a message and return when it was done."""
    tasks.reconcile_run(run.pk)
    run.refresh_from_db()
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    return time.monotonic()


def next_second() -> None:
    """Let the second be over in which something was cut off: AWS does not tell it from what came before."""
    time.sleep(1.1)


def policies_of(world: World) -> list[str]:
    names: list[str] = world.iam_b.list_role_policies(RoleName=world.target.name)["PolicyNames"]
    return names


@pytest.fixture
def mapping(aws: CallLog, procedure: factories.Procedure) -> GroupRole:
    """The procedure's mapping, provisioned by the portal."""
    row = procedure.map()
    reconcile(factories.ProvisioningRunFactory(role=row.role, mapping=row))
    row.refresh_from_db()
    return row


@pytest.fixture
def held(mapping: GroupRole, procedure: factories.Procedure, sandbox_server: sandbox.SandboxServer) -> World:
    """A look at the accounts from outside the portal."""
    return World(sandbox_server.endpoint_url, procedure)


@pytest.fixture
def bob(held: World, mapping: GroupRole, procedure: factories.Procedure) -> Person:
    return Person(held, procedure.bob, mapping)


@pytest.fixture
def carol(held: World, mapping: GroupRole, procedure: factories.Procedure) -> Person:
    user: User = factories.UserFactory(username="carol")
    factories.MembershipFactory(group=procedure.group, user=user)
    return Person(held, user, mapping)


def test_a_persons_held_credentials_are_refused_and_nobody_elses(
    held: World, bob: Person, carol: Person, alice: User
) -> None:
    next_second()
    assert (bob.can_read, carol.can_read) == (True, True)
    (row,), (run,) = cut_off(actor=alice, whose=Whose(user=bob.user))
    done = reconcile(run)
    within_limit(lambda: not bob.can_read, since=done)
    assert carol.can_read
    assert policies_of(held) == [POLICY]

    next_second()  # bob is still a member: what he gets now works
    fresh = bob.tool_with(bob.token())
    assert reads(fresh)
    assert not bob.can_read

    CutOff.objects.filter(pk=row.pk).update(lifts_at=timezone.now())
    assert tasks.lift_cut_offs() == [row.pk]
    reconcile(ProvisioningRun.objects.latest("pk"))
    assert policies_of(held) == []
    assert carol.can_read


def test_a_member_who_was_taken_out_of_the_group_is_out_at_once(
    held: World, bob: Person, carol: Person, alice: User, procedure: factories.Procedure
) -> None:
    remove_member(actor=alice, group=procedure.group, user=bob.user)
    assert bob.can_read  # what was handed out lives on
    _, (run,) = cut_off(actor=alice, whose=Whose(user=bob.user, group=procedure.group))
    within_limit(lambda: not bob.can_read, since=reconcile(run))
    assert carol.can_read
    assert not Membership.objects.open().filter(user=bob.user).exists()


def test_a_mapping_is_cut_off_for_all_whom_it_gave_something(
    held: World, bob: Person, carol: Person, alice: User, procedure: factories.Procedure
) -> None:
    other = factories.GroupRoleFactory(role=procedure.role_a, state="in_sync", provisioned_at=timezone.now())
    dave: User = factories.UserFactory(username="dave")
    factories.MembershipFactory(group=other.group, user=dave)
    elsewhere = Person(held, dave, other)
    _, (run,) = cut_off(actor=alice, whose=Whose(mapping=bob.mapping))
    done = reconcile(run)
    within_limit(lambda: not (bob.can_read or carol.can_read), since=done)
    assert elsewhere.can_read


def test_a_role_is_cut_off_for_everybody_and_lifted_again(
    held: World, bob: Person, carol: Person, alice: User, procedure: factories.Procedure
) -> None:
    (row,), (run,) = cut_off(actor=alice, whose=Whose(role=procedure.role_b), hits_everybody=True)
    within_limit(lambda: not (bob.can_read or carol.can_read), since=reconcile(run))
    _, run = lift_cut_off(actor=alice, cut_off=row, reason="that was the wrong role")
    within_limit(lambda: bob.can_read and carol.can_read, since=reconcile(run))
    assert policies_of(held) == []


def test_a_trust_that_takes_no_source_identity_still_lets_one_person_be_cut_off(
    held: World, mapping: GroupRole, alice: User, procedure: factories.Procedure
) -> None:
    held.trust(*builders.trust_statements([held.source], attribution=False))
    bob = Person(held, procedure.bob, mapping)
    carol_user: User = factories.UserFactory(username="carol")
    factories.MembershipFactory(group=procedure.group, user=carol_user)
    carol = Person(held, carol_user, mapping)
    assert not bob.token().attributed
    IamRole.objects.filter(pk=procedure.role_b.pk).update(attribution=False)
    _, (run,) = cut_off(actor=alice, whose=Whose(user=procedure.bob))
    within_limit(lambda: not bob.can_read, since=reconcile(run))
    assert carol.can_read


def test_what_the_owner_wrote_about_old_sessions_stays(held: World, bob: Person, alice: User) -> None:
    theirs = {"RoleName": "MyRoleB", "PolicyName": "AWSRevokeOlderSessions"}
    held.iam_b.put_role_policy(**theirs, PolicyDocument=json.dumps(OLDER))
    (row,), (run,) = cut_off(actor=alice, whose=Whose(user=bob.user))
    reconcile(run)
    assert sorted(policies_of(held)) == ["AWSRevokeOlderSessions", POLICY]
    _, run = lift_cut_off(actor=alice, cut_off=row)
    reconcile(run)
    assert policies_of(held) == ["AWSRevokeOlderSessions"]
    assert same_document(parse(held.iam_b.get_role_policy(**theirs)["PolicyDocument"]), parse(OLDER))

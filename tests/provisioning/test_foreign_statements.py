"""What others wrote stays: policies of every shape that AWS takes, provisioned, provisioned again, changed, removed.

AWS here is the rules of the strict layer: they accept each policy that is drawn, and give back normalised what is sent.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from roles.errors import AwsAccessDenied
from roles.policies.builders import bucket_statements, trust_statements
from roles.policies.document import parse
from roles.policies.ownership import BUCKET_SIDS, TRUST_SIDS, is_ours
from roles.provisioning.apply import apply
from roles.provisioning.observed import Accounts, observe
from roles.provisioning.plan import change_for
from roles.provisioning.resources import Action, Change, DesiredDocument, Observed, ObservedRole, Step
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel, RoleArn
from tests.policies.strategies import ACCOUNT_A, ACCOUNT_B, BUCKET, ROLE_B
from tests.provisioning.legal_policies import bucket_policies, trust_policies
from tests.provisioning.test_plan import B
from tests.strict_aws.in_aws import root
from tests.strict_aws.rules.bucket import check_bucket_policy
from tests.strict_aws.rules.normal import normal
from tests.strict_aws.rules.refusal import Refusal
from tests.strict_aws.rules.trust import check_trust_policy
from tests.strict_aws.watched import WatchedAws

UNSAID = {"Version": "2008-10-17"}  # what a policy means that does not say its version
CASES = 5_000  # of each kind
many = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
SOURCES = [RoleArn(Partition.AWS, ACCOUNT_A, name) for name in ("MyRoleA", "OtherA", "ThirdA")]
TARGETS = [RoleArn(Partition.AWS, ACCOUNT_B, name) for name in ("MyRoleB", "OtherB")]
PLACES = [(role, level, prefix) for role in TARGETS for level in AccessLevel for prefix in ("", "team/", "日本/")]


class Everybody:
    """A directory in which every principal exists."""

    def knows_arn(self, arn: str) -> bool:
        return True

    def arn_of(self, unique_id: str) -> str | None:
        return None


def bucket_wish(places: list[tuple[RoleArn, AccessLevel, str]]) -> DesiredDocument:
    ours = [one for role, level, prefix in places for one in bucket_statements(role, BUCKET, level, prefix)]
    return DesiredDocument(Step.BUCKET_POLICY, B, str(BUCKET), BUCKET_SIDS, tuple(ours), "us-east-1")


def trust_wish(sources: list[RoleArn], *, attribution: bool) -> DesiredDocument:
    ours = trust_statements(sources, attribution=attribution)
    return DesiredDocument(Step.TARGET_TRUST, B, str(ROLE_B), TRUST_SIDS, ours)


class Document:
    """One document in AWS: it refuses what AWS refuses, and gives back what AWS gives back."""

    def __init__(self, wish: DesiredDocument, theirs: dict[str, Any]) -> None:
        self.is_trust = wish.step is Step.TARGET_TRUST
        self.stored: dict[str, Any] | None = None
        self.put(theirs)

    def put(self, document: dict[str, Any]) -> None:
        text = parse(document).as_json()
        if self.is_trust:
            self.stored = normal(check_trust_policy(text, Everybody()))
        else:
            self.stored = normal(check_bucket_policy(text, BUCKET.name, Everybody()))

    @property
    def observed(self) -> Observed:
        found = None if self.stored is None else parse(self.stored)
        return ObservedRole(found, {}, str(ROLE_B)) if self.is_trust and found else found

    def reconciled(self, wish: DesiredDocument) -> Change:
        """Plan, and do what the plan says unless it is blocked; return it."""
        change, _ = change_for(wish, self.observed)
        if change.writes and not change.blocked:
            assert change.before == self.stored
            if change.after is None:
                self.stored = None
            else:
                self.put(change.after)
        return change

    @property
    def theirs(self) -> list[dict[str, Any]]:
        found = parse(self.stored or {}).statements
        return [dict(one.body) for one in found if not is_ours(one)]

    @property
    def ours(self) -> list[str]:
        return [one.sid for one in parse(self.stored or {}).statements if is_ours(one)]


BUCKET_WISHES = [bucket_wish([place]) for place in PLACES] + [
    bucket_wish([one, other]) for one in PLACES for other in PLACES if (one[0], one[2]) != (other[0], other[2])
]
TRUST_WISHES = [
    trust_wish(SOURCES[:count], attribution=attribution) for count in (1, 2, 3) for attribution in (True, False)
]


def legal(wish: DesiredDocument, theirs: dict[str, Any]) -> Document:
    """Return the document in AWS, or let Hypothesis draw another one: AWS would not have taken this."""
    try:
        return Document(wish, theirs)
    except Refusal:
        assume(False)
        raise


def assert_nothing_of_others_changes(theirs: dict[str, Any], *wishes: DesiredDocument) -> None:
    """Provision each wish in turn, each twice, and remove: `theirs` must stay, in text and order."""
    there = legal(wishes[0], theirs)
    kept = there.theirs
    for wish in wishes:
        blocked = there.reconciled(wish).blocked
        assert there.theirs == kept
        if not blocked:
            assert sorted(there.ours) == sorted(one.sid for one in wish.statements)
            assert there.reconciled(wish).action is Action.NONE
    removed = replace(wishes[0], statements=())
    assert not there.reconciled(removed).blocked
    assert (there.theirs, there.ours) == (kept, [])
    assert there.reconciled(removed).action is Action.NONE


@many
@given(bucket_policies, st.sampled_from(BUCKET_WISHES), st.sampled_from(BUCKET_WISHES))
def test_bucket_policies_of_others_survive_whatever_their_shape(
    theirs: dict[str, Any], first: DesiredDocument, second: DesiredDocument
) -> None:
    assert_nothing_of_others_changes(theirs, first, second)


@many
@given(trust_policies, st.sampled_from(TRUST_WISHES), st.sampled_from(TRUST_WISHES))
def test_trust_policies_of_others_survive_whatever_their_shape(
    theirs: dict[str, Any], first: DesiredDocument, second: DesiredDocument
) -> None:
    assert_nothing_of_others_changes(theirs, first, second)


# --- through what writes to AWS ---


@pytest.fixture
def everybody(aws: WatchedAws) -> WatchedAws:
    """AWS with everybody in it whom the policies name."""
    for account_id in ("333333333333", "444444444444"):
        aws.add_account(account_id)
    root("iam", "444444444444").create_user(UserName="U")
    for arn in (
        "arn:aws:iam::333333333333:role/team/R",
        *map(str, SOURCES + TARGETS),
    ):
        aws.add_role(arn)
    return aws


@settings(
    many, max_examples=200, suppress_health_check=[*many.suppress_health_check, HealthCheck.function_scoped_fixture]
)
@given(bucket_policies, trust_policies, st.sampled_from(BUCKET_WISHES), st.sampled_from(TRUST_WISHES))
def test_what_is_sent_to_aws_has_the_statements_of_others_as_they_came(
    everybody: WatchedAws,
    policy: dict[str, Any],
    trust: dict[str, Any],
    in_bucket: DesiredDocument,
    in_trust: DesiredDocument,
) -> None:
    target, accounts = everybody.role(str(ROLE_B)), Accounts()
    for wish, theirs in ((in_bucket, policy), (in_trust, trust)):
        kept = legal(wish, theirs).stored or {}
        if wish is in_trust:
            target.trust = theirs
        else:
            everybody.bucket_policies["example-data"] = theirs
        with suppress(AwsAccessDenied):  # statements of others may keep the portal out
            again = [applied(each, accounts) for each in (wish, wish, replace(wish, statements=()))][1]
            assert again is Action.NONE
        sent = target.trust if wish is in_trust else everybody.bucket_policies["example-data"]
        assert {**UNSAID, **sent} == {**UNSAID, **kept}
    assume(any(call.is_write for call in everybody.calls))
    everybody.calls.clear()


def applied(wish: DesiredDocument, accounts: Accounts) -> Action:
    """Read, plan and write as a run does; what is blocked is not written."""
    change, _ = change_for(wish, observe(wish, accounts))
    if change.blocked or not change.writes:
        return Action.NONE
    apply(change, accounts)
    return change.action

"""A plan for a change that is not saved: the plan that would be applied, and nothing written anywhere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, transaction

from roles.context import SystemActor
from roles.errors import AwsAccessDenied, NotPermitted, StalePlan
from roles.models import AuditChain, AuditEvent, GroupRole, User, UserGroup
from roles.operations.adopt_role import adopt_role
from roles.operations.change_mapping import change_mapping
from roles.operations.confirmed import confirmed
from roles.operations.deactivate_user import deactivate_user
from roles.operations.end_assume_role_grant import end_assume_role_grant
from roles.operations.end_bucket_grant import end_bucket_grant
from roles.operations.end_group import end_group
from roles.operations.grant_assume_role import grant_assume_role
from roles.operations.grant_bucket import grant_bucket
from roles.operations.map_role_to_group import map_role_to_group
from roles.operations.remove_member import remove_member
from roles.operations.retire_account import retire_account
from roles.operations.retire_role import retire_role
from roles.operations.save_account import save_account
from roles.operations.save_bucket import save_bucket
from roles.operations.save_role import save_role
from roles.operations.unmap_role import unmap_role
from roles.provisioning import desired, preview
from roles.provisioning.resources import Step
from roles.tokens import cache
from roles.values.arns import AccessLevel
from tests import factories
from tests.operations.conftest import a_token
from tests.policies.strategies import BUCKET as BUCKET_ARN
from tests.policies.strategies import ROLE_A as SOURCE
from tests.policies.strategies import ROLE_B as TARGET
from tests.provisioning.conftest import BUCKET, DENIED, ROLE_B, as_aws_has, reconciled, unmap
from tests.strict_aws.rules.normal import normal
from tests.strict_aws.watched import EXTERNAL_ID, PORTAL, THEIRS, WatchedAws

pytestmark = pytest.mark.django_db
ADMIN = SystemActor("test")


def mapping_it(procedure: factories.Procedure, group: UserGroup | None = None) -> Callable[[], GroupRole]:
    return partial(map_role_to_group, actor=ADMIN, group=group or procedure.group, role=procedure.role_a)


def unmapping(mapping: GroupRole) -> Callable[[], GroupRole]:
    return partial(unmap_role, actor=ADMIN, mapping=mapping)


def test_nothing_is_written_by_asking_what_a_mapping_would_do(aws: WatchedAws, procedure: factories.Procedure) -> None:
    before = aws.state()
    plan = preview.plan_if(mapping_it(procedure))
    assert plan.writes == 7
    assert aws.writes == [] and aws.state() == before
    assert not GroupRole.objects.exists()
    assert UserGroup.objects.count() == 1
    assert not desired.in_use(procedure.role_a)


def test_what_is_applied_is_what_was_seen(aws: WatchedAws, procedure: factories.Procedure) -> None:
    plan = preview.plan_if(mapping_it(procedure))
    mapping = procedure.map()
    assert plan.digest == desired.digest_for(procedure.role_a)
    run = reconciled(mapping)
    seen = [
        (change.step.value, change.resource, change.action.value, *as_aws_has(change.before, change.after))
        for change in plan.changes
    ]
    done = [
        (str(step.step), step.resource, step.action, *as_aws_has(step.before, step.after))
        for step in run.steps.order_by("sequence")
    ]
    assert done == seen


def test_a_plan_for_a_role_that_is_mapped_already_is_the_plan_of_now(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    reconciled(procedure.map())
    plan = preview.plan_if(mapping_it(procedure, group=factories.UserGroupFactory()))
    assert (plan.writes, plan.digest) == (0, preview.plan_now(procedure.role_a).digest)


def test_a_removal_can_be_seen_and_leaves_the_mapping_open(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    aws.calls.clear()
    plan = preview.plan_if(unmapping(mapping))
    assert [(change.step.value, change.action.value) for change in plan.changes if change.writes] == [
        ("1", "update"),
        ("2", "update"),
        ("3", "delete"),
        ("5", "update"),
        ("6", "update"),
    ]
    assert aws.writes == []
    mapping.refresh_from_db()
    assert mapping.ended_at is None
    unmap(mapping)
    assert plan.digest == desired.digest_for(procedure.role_a)


def test_a_removal_that_leaves_another_mapping_changes_nothing(aws: WatchedAws, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    factories.GroupRoleFactory(role=procedure.role_a)
    assert preview.plan_if(unmapping(mapping)).writes == 0


def test_the_plan_shows_the_other_statements_and_reads_each_document_once(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    plan = preview.plan_if(mapping_it(procedure))
    (bucket,) = [change for change in plan.changes if change.resource == BUCKET and change.step is Step.BUCKET_POLICY]
    assert bucket.foreign_statements == 1
    assert bucket.before is not None and bucket.after is not None
    assert bucket.after["Statement"][0] == bucket.before["Statement"][0]
    assert len(aws.calls) == len(set(aws.calls)) == 5


def test_aws_is_not_called_inside_a_transaction_of_the_preview(
    aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = len(connection.atomic_blocks)
    depths: list[int] = []
    aws.before_call = lambda _call: depths.append(len(connection.atomic_blocks))
    preview.plan_if(mapping_it(procedure))
    preview.plan_if(unmapping(procedure.map()))
    assert set(depths) == {depth}


def test_a_preview_does_not_undo_what_its_caller_has_written(aws: WatchedAws, procedure: factories.Procedure) -> None:
    with transaction.atomic():
        factories.UserGroupFactory(name="kept")
        preview.plan_if(mapping_it(procedure))
    assert UserGroup.objects.filter(name="kept").exists()


def test_a_preview_that_cannot_read_raises_and_leaves_nothing(aws: WatchedAws, procedure: factories.Procedure) -> None:
    aws.fail_always["get_bucket_policy"] = DENIED
    with pytest.raises(AwsAccessDenied):
        preview.plan_if(mapping_it(procedure))
    assert not GroupRole.objects.exists()


def test_a_plan_says_what_is_blocked(aws: WatchedAws, procedure: factories.Procedure) -> None:
    aws.add_role(ROLE_B)
    plan = preview.plan_if(mapping_it(procedure))
    assert [change.resource for change in plan.changes if change.blocked] == [ROLE_B]


@pytest.mark.django_db(transaction=True)
def test_a_preview_is_rolled_back_where_no_test_rolls_back(aws: WatchedAws) -> None:
    procedure = factories.Procedure()
    preview.plan_if(mapping_it(procedure))
    mapping = procedure.map()
    preview.plan_if(unmapping(mapping))
    assert list(GroupRole.objects.values_list("pk", "ended_at")) == [(mapping.pk, None)]
    assert list(UserGroup.objects.values_list("name", flat=True)) == ["analysts"]


@pytest.mark.parametrize("kind", ["bucket_grant", "assume_grant"])
def test_the_end_of_a_grant_takes_out_what_it_gave(aws: WatchedAws, procedure: factories.Procedure, kind: str) -> None:
    grant = getattr(procedure, kind)
    end = end_bucket_grant if kind == "bucket_grant" else end_assume_role_grant
    assert preview.plan_if(partial(end, actor=ADMIN, grant=grant)).changes == ()  # nobody uses it
    reconciled(procedure.map())
    plan = preview.plan_if(partial(end, actor=ADMIN, grant=grant))
    bucket = next(change for change in plan.changes if change.step is Step.BUCKET_POLICY)
    assert bucket.after == {"Version": "2012-10-17", "Statement": [THEIRS]}
    grant.refresh_from_db()
    assert grant.ended_at is None


# --- nothing is left of a rehearsal, whatever the operation ---

CHANGES: dict[str, Callable[[factories.Procedure, GroupRole], object]] = {
    "map": lambda world, _: map_role_to_group(actor=ADMIN, group=factories.UserGroupFactory(), role=world.role_a),
    "unmap": lambda _, mapping: unmap_role(actor=ADMIN, mapping=mapping),
    "narrow": lambda _, mapping: change_mapping(
        actor=ADMIN, mapping=mapping, access="READ", prefix="", buckets=(), expires_at=None
    ),
    "begin chain": lambda world, _: grant_assume_role(
        actor=ADMIN, source=world.role_a, target=factories.IamRoleFactory(account=world.account_b, name="MyRoleD")
    ),
    "end chain": lambda world, _: end_assume_role_grant(actor=ADMIN, grant=world.assume_grant),
    "begin grant": lambda world, _: grant_bucket(
        actor=ADMIN, role=world.role_b, bucket=factories.BucketFactory(account=world.account_b, name="more-data")
    ),
    "end grant": lambda world, _: end_bucket_grant(actor=ADMIN, grant=world.bucket_grant),
    "attribution": lambda world, _: save_role(actor=ADMIN, role=with_values(world.role_b, attribution=False)),
    "adopt": lambda world, _: adopt_role(actor=ADMIN, role=world.role_b),
    "way in": lambda world, _: save_account(actor=ADMIN, account=with_values(world.account_b, external_id="other")),
    "region": lambda world, _: save_bucket(actor=ADMIN, bucket=with_values(world.bucket, region="eu-west-1")),
    "leave": lambda world, _: remove_member(actor=ADMIN, group=world.group, user=world.bob),
    "deactivate": lambda world, _: deactivate_user(actor=ADMIN, user=world.bob),
    "end group": lambda world, _: end_group(actor=ADMIN, group=world.group),
    "retire role": lambda world, _: retire_role(actor=ADMIN, role=world.role_b),
    "retire account": lambda world, _: retire_account(actor=ADMIN, account=world.account_b),
}
# What these do to AWS, and to Bob.
AWS_STAYS = {"narrow", "leave", "deactivate"}
NOTHING_CHANGES = {"adopt", "way in", "region"}
LOST = "bob can no longer read or write to example-data."


def with_values(row: Any, **fields: Any) -> Any:
    found = type(row).objects.get(pk=row.pk)
    for name, value in fields.items():
        setattr(found, name, value)
    return found


def footprint() -> list[object]:
    kinds = [model for model in apps.get_app_config("roles").get_models() if model is not AuditChain]
    return [list(kind._default_manager.order_by("pk").values()) for kind in kinds]


@pytest.mark.parametrize("name", CHANGES)
def test_a_rehearsal_leaves_nothing_behind(
    aws: WatchedAws,
    procedure: factories.Procedure,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    mapping.refresh_from_db()
    a_token(procedure.bob, mapping)
    aws.add_bucket("more-data")
    aws.let_in(EXTERNAL_ID, "other")
    removed: list[object] = []
    monkeypatch.setattr(cache, "remove", removed.append)
    before, aws_before = footprint(), aws.state()
    with django_capture_on_commit_callbacks() as messages:
        rehearsal = preview.rehearse(lambda: CHANGES[name](procedure, mapping))
        plan = rehearsal.plan()
    assert footprint() == before
    assert (aws.state(), removed, messages) == (aws_before, [], [])
    assert (not rehearsal.wishes) is (name in AWS_STAYS)
    assert bool(plan.writes) is (name not in AWS_STAYS | NOTHING_CHANGES | {"map"})


@pytest.mark.parametrize("name", CHANGES)
def test_the_digest_of_a_rehearsal_is_the_one_that_the_operation_accepts(
    aws: WatchedAws, procedure: factories.Procedure, name: str
) -> None:
    mapping = procedure.map()
    reconciled(mapping)
    mapping.refresh_from_db()
    digest = preview.rehearse(lambda: CHANGES[name](procedure, mapping)).digest
    with pytest.raises(StalePlan):
        confirmed(actor=ADMIN, change=lambda: CHANGES[name](procedure, mapping), expected_plan="e" * 64)
    confirmed(actor=ADMIN, change=lambda: CHANGES[name](procedure, mapping), expected_plan=digest)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unmap", (LOST,)),
        ("narrow", ("bob can no longer write to example-data.",)),
        ("end chain", (LOST,)),
        ("end grant", (LOST,)),
        ("leave", (LOST,)),
        ("deactivate", (LOST,)),
        ("end group", (LOST,)),
        ("retire role", (LOST,)),
        ("retire account", (LOST,)),
        ("attribution", ()),
        ("way in", ()),
    ],
)
def test_a_rehearsal_says_what_people_lose(procedure: factories.Procedure, name: str, said: tuple[str, ...]) -> None:
    mapping = procedure.map()
    assert preview.rehearse(lambda: CHANGES[name](procedure, mapping)).said == said


def test_a_rehearsal_says_what_people_gain(procedure: factories.Procedure) -> None:
    assert preview.rehearse(mapping_it(procedure)).said == ("bob can now read and write to example-data.",)


def test_what_another_group_gives_as_well_is_not_lost(procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    other = factories.GroupRoleFactory(role=procedure.role_a)
    factories.MembershipFactory(group=other.group, user=procedure.bob)
    assert preview.rehearse(unmapping(mapping)).said == ()


def test_what_the_operation_refuses_the_rehearsal_refuses(procedure: factories.Procedure, charlie: User) -> None:
    with pytest.raises(NotPermitted):
        preview.rehearse(partial(map_role_to_group, actor=charlie, group=procedure.group, role=procedure.role_a))
    assert not AuditEvent.objects.exists()


def test_source_roles_that_come_together_are_planned_as_after_each_other(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    other = factories.IamRoleFactory(account=procedure.account_a, name="MyRoleC")
    factories.AssumeRoleGrantFactory(source=other, target=procedure.role_b)

    def both() -> None:
        for role in (procedure.role_a, other):
            map_role_to_group(actor=ADMIN, group=procedure.group, role=role)

    plan = preview.plan_if(both)
    (trust,) = [change for change in plan.changes if change.step is Step.TARGET_TRUST]
    assert trust.after is not None
    assert trust.after["Statement"][0]["Principal"]["AWS"] == [str(procedure.role_a.arn), str(other.arn)]
    assert len([change for change in plan.changes if change.step is Step.BUCKET_POLICY]) == 1
    both()
    for role in (procedure.role_a, other):
        reconciled(role)
    assert aws.role(ROLE_B).trust == normal(trust.after)


# --- what was found in AWS ---


def test_a_plan_tells_whether_aws_is_as_it_was_and_its_digest_does_not_depend_on_that(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    first, same = preview.plan_if(mapping_it(procedure)), preview.plan_if(mapping_it(procedure))
    aws.bucket_policies.clear()
    moved = preview.plan_if(mapping_it(procedure))
    assert first.seen == same.seen != moved.seen
    assert first.digest == same.digest == moved.digest


def test_what_cannot_be_read_is_shown_as_the_portals_own_part(aws: WatchedAws, procedure: factories.Procedure) -> None:
    aws.fail_always["get_bucket_policy"] = DENIED
    rehearsal = preview.rehearse(mapping_it(procedure))
    with pytest.raises(AwsAccessDenied):
        rehearsal.plan()
    plan = rehearsal.plan(partly=True)
    (bucket,) = [change for change in plan.changes if change.step is Step.BUCKET_POLICY]
    assert bucket.before is None and bucket.after is not None
    assert "cannot be read now: AWS said no." in bucket.warnings[0]
    assert next(change for change in plan.changes if change.step is Step.SOURCE_ROLE).warnings == ()


def test_when_no_account_can_be_read_there_is_no_plan(aws: WatchedAws, procedure: factories.Procedure) -> None:
    for name in ("get_role", "get_bucket_policy"):
        aws.fail_always[name] = DENIED
    with pytest.raises(AwsAccessDenied):
        preview.rehearse(mapping_it(procedure)).plan(partly=True)


def test_a_role_that_exists_waits_for_an_admin_and_adopted_it_is_planned(
    aws: WatchedAws, procedure: factories.Procedure
) -> None:
    aws.add_role(ROLE_B)
    blocked = [change for change in preview.plan_if(mapping_it(procedure)).changes if change.blocked]
    assert [(change.resource, change.is_adoptable) for change in blocked] == [(ROLE_B, True)]
    adopting = partial(confirmed, actor=ADMIN, change=mapping_it(procedure), adopt=[ROLE_B])
    assert not any(change.blocked for change in preview.plan_if(adopting).changes)
    procedure.role_b.refresh_from_db()
    assert procedure.role_b.ownership == "managed"


# --- the documents of a connection that is being typed ---


@pytest.mark.parametrize("attribution", [True, False])
def test_the_documents_of_a_connection_are_those_of_the_run(
    aws: WatchedAws, procedure: factories.Procedure, attribution: bool, settings: object
) -> None:
    settings.XACCT_PORTAL_PRINCIPALS = [PORTAL]  # type: ignore[attr-defined]
    procedure.role_b.attribution = attribution
    procedure.role_b.save()
    aws.bucket_policies.clear()
    shown = preview.documents_if_connected(
        source=SOURCE, target=TARGET, bucket=BUCKET_ARN, level=AccessLevel.READWRITE, prefix="", attribution=attribution
    )
    assert [one.step.value for one in shown] == ["1", "2", "3", "4", "5", "6"]
    assert [one.resource for one in shown] == [str(SOURCE)] * 3 + [str(TARGET)] * 2 + [str(BUCKET_ARN)]
    run = reconciled(procedure.map())
    documents = {step.step: step.after for step in run.steps.exclude(resource__contains="instance-profile")}
    documents[3]["Statement"] = documents[3]["Statement"][len(documents[2]["Statement"]) :]
    assert [one.document for one in shown] == [documents[number] for number in range(1, 7)]


def test_the_portal_is_a_placeholder_while_nobody_said_who_it_is() -> None:
    first, *_ = preview.documents_if_connected(
        source=SOURCE, target=TARGET, bucket=BUCKET_ARN, level=AccessLevel.READ, prefix="team/", attribution=True
    )
    assert first.document["Statement"][1]["Principal"] == {"AWS": [preview.PORTAL_PLACEHOLDER]}

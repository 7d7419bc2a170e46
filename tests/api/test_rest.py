"""The REST interface: the plan first, then the change as it was seen; refused first, then allowed."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from roles.api import schemas
from roles.api.requested import _KNOWN
from roles.errors import AwsAccessDenied
from roles.models import AssumeRoleGrant, AuditEvent, BucketGrant, GroupRole, Membership, ProvisioningRun, User
from roles.models.choices import RunStatus
from roles.provisioning import runner
from tests import factories
from tests.admin.conftest import aws
from tests.operations.conftest import powerless
from tests.provisioning.drifting import with_policy
from tests.strict_aws.watched import WatchedAws

__all__ = ["aws", "powerless"]
pytestmark = pytest.mark.django_db

ROLE_A, ROLE_B = "arn:aws:iam::111111111111:role/MyRoleA", "arn:aws:iam::222222222222:role/MyRoleB"
MAP = {"action": "map_role", "group": "analysts", "role": ROLE_A, "prefix": "team/", "reason": "OPS-7"}
UNMAP = {"action": "unmap_role", "group": "analysts", "role": ROLE_A}


@pytest.fixture
def aws_sts() -> None:
    """Nobody asks for a token here: the STS is that of `aws`."""


def browser(user: User | None, **options: Any) -> Client:
    client = Client(**options)
    if user is not None:
        client.force_login(user)
    return client


def post(user: User | None, name: str, body: Any, **more: Any) -> HttpResponse:
    answer: HttpResponse = browser(user).post(reverse(f"api:{name}"), body, content_type="application/json", **more)
    return answer


def plan(user: User, change: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = post(user, "plans", {"change": change, **more})
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = json.loads(answer.content)
    return found


def make(user: User, change: dict[str, Any], seen: dict[str, Any], **more: Any) -> HttpResponse:
    body = {"change": change, "expected_plan": seen["expected_plan"], "seen": seen["seen"], **more}
    return post(user, "changes", body)


def problem(answer: HttpResponse, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    found: dict[str, Any] = json.loads(answer.content)
    assert found["status"] == status
    assert found["request_id"] == answer["X-Request-ID"]
    return found


# --- who gets in ---


@pytest.mark.parametrize("name", ["plans", "changes"])
def test_who_is_not_signed_in_is_told_so_and_not_sent_to_a_page(name: str) -> None:
    assert problem(post(None, name, {"change": MAP}), 401)["code"] == "session.missing"


def test_a_cookie_without_the_csrf_token_changes_nothing(procedure: factories.Procedure, alice: User) -> None:
    client = browser(alice, enforce_csrf_checks=True)
    body = {"change": MAP, "expected_plan": "x", "seen": ""}
    answer = client.post(reverse("api:changes"), body, content_type="application/json")
    assert problem(answer, 403)["code"] == "access.denied"


@pytest.mark.parametrize("who", ["bob", "audrey"])
@pytest.mark.parametrize("name", ["plans", "changes"])
def test_who_may_not_change_it_may_not_and_learns_nothing(
    who: str, name: str, procedure: factories.Procedure, audrey: User, aws: WatchedAws
) -> None:
    user = {"bob": procedure.bob, "audrey": audrey}[who]
    for group in ("analysts", "no such group"):
        body = {"change": {**MAP, "group": group}}
        body |= {"expected_plan": "x", "seen": ""} if name == "changes" else {}
        refused = problem(post(user, name, body), 403)
        assert refused["code"] == "access.denied"
        assert "no such group" not in refused["detail"]
    assert AuditEvent.objects.filter(code="access.denied", actor=user).count() == 2
    assert not GroupRole.objects.exists()


def test_each_change_asks_for_its_rule_before_it_looks_anything_up(powerless: User) -> None:
    asked = [
        {"action": kind.model_fields["action"].annotation.__args__[0]}
        | {
            name: 1 if field.annotation is int else "x"
            for name, field in kind.model_fields.items()
            if field.is_required() and name != "action"
        }
        for kind in _KNOWN
    ]
    assert len(asked) == len(schemas.PlanRequest.model_fields["change"].annotation.__args__)
    for change in asked:
        assert problem(post(powerless, "plans", {"change": change}), 403)["code"] == "access.denied"


# --- the plan ---


def test_a_plan_shows_documents_sizes_and_people_and_changes_nothing(
    procedure: factories.Procedure, alice: User, aws: WatchedAws
) -> None:
    found = plan(alice, MAP)
    assert found["alters"] and found["problem"] == ""
    bucket = next(one for one in found["changes"] if one["number"] == 6)
    assert bucket["resource"] == "arn:aws:s3:::example-data"
    assert [one["Sid"] for one in bucket["before"]["Statement"]] == ["PartnerReads"]
    assert (bucket["kept"], bucket["limit"], bucket["unit"]) == (1, 20480, "bytes")
    assert 0 < bucket["size_before"] < bucket["size_after"] < bucket["limit"]
    assert any("example-data/team/" in sentence for sentence in found["said"])
    assert not GroupRole.objects.exists()
    assert not ProvisioningRun.objects.exists()
    assert aws.calls and not aws.writes


def test_the_change_is_made_as_seen_and_its_run_can_be_followed(
    procedure: factories.Procedure, alice: User, audrey: User, aws: WatchedAws, django_capture_on_commit_callbacks: Any
) -> None:
    answer = make(alice, MAP, plan(alice, MAP))
    assert answer.status_code == 201, answer.content
    made = json.loads(answer.content)
    mapping = GroupRole.objects.get()
    assert (made["type"], made["id"], mapping.prefix, mapping.reason) == ("grouprole", mapping.pk, "team/", "OPS-7")
    (run,) = made["runs"]
    address = reverse("api:run", args=[run])
    assert json.loads(browser(alice).get(address).content)["status"] == RunStatus.QUEUED
    runner.reconcile(run)
    shown = json.loads(browser(audrey).get(address).content)
    assert (shown["status"], shown["role"]) == (RunStatus.IN_SYNC, ROLE_A)
    assert [step["number"] for step in shown["steps"]] == sorted(step["number"] for step in shown["steps"])
    assert problem(browser(procedure.bob).get(address), 404)["code"] == "not_found"
    assert problem(browser(None).get(address), 401)["code"] == "session.missing"


def test_what_aws_changed_in_between_is_shown_anew_and_nothing_is_done(
    procedure: factories.Procedure, alice: User, aws: WatchedAws
) -> None:
    seen = plan(alice, MAP)
    with_policy(aws, lambda found: [*found, {**found[0], "Sid": "Another"}])
    stale = problem(make(alice, MAP, seen), 409)
    assert stale["code"] == "conflict.stale_plan"
    assert not GroupRole.objects.exists()
    assert stale["plan"] == plan(alice, MAP) != seen
    assert make(alice, MAP, stale["plan"]).status_code == 201


def test_another_wish_than_the_one_that_was_seen_is_not_done(
    procedure: factories.Procedure, alice: User, aws: WatchedAws
) -> None:
    procedure.map()
    seen = plan(alice, UNMAP)
    factories.BucketGrantFactory(role=procedure.role_b, bucket=procedure.bucket, prefix="more/")
    other = problem(make(alice, {**UNMAP, "action": "map_role"}, seen), 409)
    assert other["code"] == "conflict.already_mapped"
    assert GroupRole.objects.open().exists()


def test_an_aws_that_cannot_be_read_is_said_and_is_no_hindrance(
    procedure: factories.Procedure, alice: User, aws: WatchedAws
) -> None:
    refused = AwsAccessDenied("No.", aws_code="AccessDenied", request_id="r")
    aws.fail_always |= dict.fromkeys(("get_role", "get_bucket_policy", "get_role_policy"), refused)
    found = plan(alice, MAP)
    assert found["problem"] and found["changes"] == []
    assert make(alice, MAP, found).status_code == 201


# --- each change ---


def test_mapping_narrowing_and_unmapping(procedure: factories.Procedure, alice: User, aws: WatchedAws) -> None:
    assert make(alice, MAP, plan(alice, MAP)).status_code == 201
    until = timezone.now() + timedelta(days=1)
    narrow = {**MAP, "action": "change_mapping", "access": "READ", "buckets": ["example-data"]}
    narrow["expires_at"] = until.isoformat()
    assert make(alice, narrow, plan(alice, narrow)).status_code == 201
    row = GroupRole.objects.open().get()
    assert (row.access, row.expires_at, list(row.buckets.all())) == ("READ", until, [procedure.bucket])
    assert make(alice, UNMAP, plan(alice, UNMAP)).status_code == 201
    assert not GroupRole.objects.open().exists()


def test_granting_and_ending_a_bucket(procedure: factories.Procedure, alice: User, aws: WatchedAws) -> None:
    place = {"role": ROLE_B, "bucket": "example-data", "prefix": "more/"}
    grant = {"action": "grant_bucket", "access": "WRITE", "multipart_cleanup": True, **place}
    assert make(alice, grant, plan(alice, grant)).status_code == 201
    row = BucketGrant.objects.open().get(prefix="more/")
    assert (row.access, row.multipart_cleanup) == ("WRITE", True)
    end = {"action": "end_bucket_grant", **place}
    assert make(alice, end, plan(alice, end)).status_code == 201
    assert problem(post(alice, "plans", {"change": end}), 404)["code"] == "not_found"


def test_ending_and_giving_the_right_to_assume(procedure: factories.Procedure, alice: User, aws: WatchedAws) -> None:
    for action in ("end_assume_role_grant", "grant_assume_role"):
        change = {"action": action, "source": ROLE_A, "target": ROLE_B}
        assert make(alice, change, plan(alice, change)).status_code == 201
    procedure.assume_grant.refresh_from_db()
    assert not procedure.assume_grant.is_open
    assert AssumeRoleGrant.objects.open().filter(source=procedure.role_a, target=procedure.role_b).count() == 1


def test_members_come_and_go(procedure: factories.Procedure, alice: User, aws: WatchedAws) -> None:
    for action in ("remove_member", "add_member"):
        change = {"action": action, "group": "analysts", "user": "bob"}
        assert make(alice, change, plan(alice, change)).status_code == 201
    assert Membership.objects.filter(user=procedure.bob).count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"action": "end_group", "group": "analysts"},
        {"action": "retire_role", "role": ROLE_A},
        {"action": "retire_account", "account": "111111111111"},
    ],
    ids=lambda change: change["action"],
)
def test_ending_all_of_a_group_a_role_or_an_account(
    change: dict[str, Any], procedure: factories.Procedure, alice: User, aws: WatchedAws
) -> None:
    procedure.map()
    seen = plan(alice, change)
    assert any("can no longer" in sentence for sentence in seen["said"])
    assert make(alice, change, seen).status_code == 201
    assert not GroupRole.objects.open().exists()


def test_a_role_that_exists_already_is_blocked_until_it_is_adopted(
    procedure: factories.Procedure, alice: User, aws: WatchedAws
) -> None:
    aws.add_role(ROLE_A)
    blocked = [one for one in plan(alice, MAP)["changes"] if one["blocked"]]
    assert [(one["resource"], one["is_adoptable"]) for one in blocked] == [(ROLE_A, True)]
    seen = plan(alice, MAP, adopt=[ROLE_A])
    assert not any(one["blocked"] for one in seen["changes"])
    assert make(alice, MAP, seen, adopt=[ROLE_A]).status_code == 201
    procedure.role_a.refresh_from_db()
    assert procedure.role_a.ownership == "adopted"


# --- bad input ---


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"action": "destroy"}, "change"),
        ({**MAP, "acess": "READ"}, "acess"),
        ({**MAP, "access": "ALL"}, "access"),
        ({**MAP, "expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        ({"action": "map_role", "role": ROLE_A}, "group"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(change: dict[str, Any], at: str, alice: User) -> None:
    refused = problem(post(alice, "plans", {"change": change}), 422)
    assert at in " ".join(refused["errors"])


def test_what_is_no_json_is_refused(alice: User) -> None:
    assert problem(post(alice, "plans", "{"), 400)["code"] == "input.invalid"


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({**MAP, "role": "MyRoleA"}, 400, "not the ARN"),
        ({**MAP, "role": ROLE_A.replace("MyRoleA", "Other")}, 404, "no role"),
        ({**MAP, "group": "nobody"}, 404, "no user group"),
        ({**MAP, "buckets": ["nowhere"]}, 404, "no bucket"),
        ({**MAP, "prefix": "/team"}, 400, "prefix"),
        (UNMAP, 404, "not added"),
        ({"action": "add_member", "group": "analysts", "user": "zoe"}, 404, "no user"),
        ({"action": "retire_account", "account": "999999999999"}, 404, "no account"),
        ({"action": "end_assume_role_grant", "source": ROLE_B, "target": ROLE_A}, 404, "no grant"),
    ],
)
def test_what_is_not_there_is_named_to_who_may_know(
    *, change: dict[str, Any], status: int, told: str, procedure: factories.Procedure, alice: User, aws: WatchedAws
) -> None:
    assert told in problem(post(alice, "plans", {"change": change}), status)["detail"]


def test_the_interface_describes_itself(alice: User) -> None:
    found = json.loads(browser(alice).get(reverse("api:openapi-json")).content)
    assert browser(alice).get("/api/v1/").headers["Location"] == reverse("api:openapi-json")
    assert set(found["paths"]) == {"/api/v1/plans", "/api/v1/changes", "/api/v1/runs/{run_id}"}

"""Each address of the admin, asked by an anonymous visitor, a member, an auditor and an admin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse
from django.utils import timezone

from roles.history.recorder import record
from roles.models import (
    AuditEvent,
    CutOff,
    DriftFinding,
    GroupRole,
    IssuedToken,
    Membership,
    ProvisioningRun,
    ToolBearer,
    User,
)
from roles.models.choices import Outcome
from tests import factories
from tests.admin.conftest import SignedIn

ENTERED = ("awsaccount", "iamrole", "bucket", "usergroup", "user", "grouprole")
GRANTS = ("assumerolegrant", "bucketgrant")
READ_ONLY = ("auditevent", "issuedtoken", "toolbearer", "driftfinding", "cutoff")


@dataclass(frozen=True)
class Case:
    """An address and what a GET of it answers to an auditor and to an admin. Others never get in."""

    name: str
    row: str = ""
    auditor: int = 200
    portal_admin: int = 200


def cut_off_cases() -> Iterator[Case]:
    """Yield the pages that ask before credentials are cut off, or a cut-off is lifted."""
    yield Case("roles_user_cut_off", row="user", auditor=403)
    yield Case("roles_grouprole_cut_off", row="grouprole", auditor=403)
    yield Case("roles_iamrole_cut_off", row="target", auditor=403)
    yield Case("roles_cutoff_lift", row="cutoff", auditor=403)


def connect_cases() -> Iterator[Case]:
    """Yield the pages that connect a bucket."""
    yield Case("connect_bucket", auditor=403)
    yield Case("connect_bucket_preview", auditor=403, portal_admin=405)
    yield Case("connect_bucket_provisioner", row="form", auditor=403, portal_admin=405)


def engine_cases() -> Iterator[Case]:
    """Yield the pages that ask before drift is repaired or accepted, a role deleted, or a document put back."""
    yield Case("roles_driftfinding_scan", auditor=405, portal_admin=405)
    yield Case("roles_driftfinding_repair", row="driftfinding", auditor=403)
    # Refused with a message on the page before: no grant says a missing trust, and the role is in use.
    yield Case("roles_driftfinding_accept", row="driftfinding", auditor=403, portal_admin=302)
    yield Case("roles_iamrole_from_aws", row="iamrole", auditor=403, portal_admin=302)
    yield Case("roles_provisioningrun_put_back", row="step", auditor=403)


def disabling_cases() -> Iterator[Case]:
    """Yield the pages that ask before something is disabled or enabled."""
    for model in ("usergroup", "awsaccount"):
        yield Case(f"roles_{model}_disable", row=model, auditor=403)
        yield Case(f"roles_{model}_enable", row=model, auditor=403, portal_admin=302)  # it is not disabled


def cases() -> Iterator[Case]:
    yield from cut_off_cases()
    yield from disabling_cases()
    yield from connect_cases()
    yield from engine_cases()
    yield Case("index")
    yield Case("roles_awsaccount_test", row="awsaccount", auditor=405, portal_admin=405)
    for model in (*ENTERED, *GRANTS, *READ_ONLY, "provisioningrun"):
        writable = model in (*ENTERED, *GRANTS)
        yield Case(f"roles_{model}_changelist")
        yield Case(f"roles_{model}_add", auditor=403, portal_admin=200 if writable else 403)
        yield Case(f"roles_{model}_delete", row=model, auditor=403, portal_admin=403)
        yield Case(f"roles_{model}_history", row=model, auditor=302, portal_admin=302)
    for model in (*ENTERED, *GRANTS, *READ_ONLY):
        yield Case(f"roles_{model}_change", row=model)
    yield Case("roles_provisioningrun_change", row="provisioningrun", auditor=302, portal_admin=302)
    for model in GRANTS:
        yield Case(f"roles_{model}_end", row=model, auditor=403, portal_admin=302)
        yield Case(f"roles_{model}_end_confirm", row=model, auditor=403)
    yield Case("roles_usergroup_add_member", row="usergroup", auditor=403, portal_admin=405)
    yield Case("roles_usergroup_remove_member", row="membership", auditor=403)
    yield Case("roles_usergroup_map_role", row="usergroup", auditor=403)
    yield Case("roles_usergroup_mapped_roles", row="usergroup")
    yield Case("roles_usergroup_end", row="usergroup", auditor=403)
    yield Case("roles_iamrole_adopt", row="iamrole", auditor=403)
    yield Case("roles_iamrole_retire", row="iamrole", auditor=403)
    yield Case("roles_awsaccount_retire", row="awsaccount", auditor=403)
    yield Case("roles_grouprole_remove", row="grouprole", auditor=403)
    yield Case("roles_grouprole_state", row="grouprole")
    yield Case("roles_user_deactivate", row="user", auditor=403)
    yield Case("roles_toolbearer_revoke", row="toolbearer", auditor=403)
    yield Case("roles_user_sign_out", row="user", auditor=403)


CASES = list(cases())
NOT_OURS = {"login", "logout", "password_change", "password_change_done", "jsi18n", "view_on_site", "app_list"}
ELSEWHERE = {"autocomplete", "search"}


@pytest.fixture
def addresses(db: None) -> dict[str, str]:
    """The address of every case, in the procedure's world with MyRoleA mapped."""
    world = factories.Procedure()
    mapping: GroupRole = world.map()
    run: ProvisioningRun = factories.ProvisioningRunFactory(role=world.role_a, mapping=mapping)
    before = {"Version": "2012-10-17", "Statement": []}
    step = factories.ProvisioningStepFactory(
        run=run, action="update", resource=str(world.bucket.arn), before=before, after=before
    )
    token = IssuedToken.objects.create(
        user=world.bob, mapping=mapping, access_key_id="ASIAEXAMPLE", expires_at="2099-01-01T00:00:00Z"
    )
    tool = ToolBearer.objects.create(user=world.bob, mapping=mapping, target=world.role_b, purpose="container")
    drift = DriftFinding.objects.create(
        role=world.role_b, account_id="2" * 12, resource=str(world.role_b.arn), step=5, kind="missing", title="Trust"
    )
    membership = Membership.objects.get(user=world.bob)
    cut = CutOff.objects.create(
        target=world.role_b, source=world.role_a, names=["bob"], cut_before=timezone.now(), lifts_at=timezone.now()
    )
    ids: dict[str, list[Any]] = {
        "": [],
        "form": ["cli"],
        "awsaccount": [world.account_a.pk],
        "iamrole": [world.role_a.pk],
        "bucket": [world.bucket.pk],
        "target": [world.role_b.pk],
        "cutoff": [cut.pk],
        "usergroup": [world.group.pk],
        "user": [world.bob.pk],
        "grouprole": [mapping.pk],
        "assumerolegrant": [world.assume_grant.pk],
        "bucketgrant": [world.bucket_grant.pk],
        "provisioningrun": [run.pk],
        "step": [step.pk],
        "issuedtoken": [token.pk],
        "toolbearer": [tool.pk],
        "driftfinding": [drift.pk],
        "auditevent": [record("mapping.added", actor=world.bob, subject=mapping).pk],
        "membership": [world.group.pk, membership.pk],
    }
    return {case.name: reverse(f"admin:{case.name}", args=ids[case.row]) for case in CASES}


def denials() -> int:
    return AuditEvent.objects.filter(outcome=Outcome.DENIED).count()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_anonymous_visitors_are_sent_to_sign_in(case: Case, addresses: dict[str, str], client: Client) -> None:
    response = client.get(addresses[case.name])
    assert response.status_code == 302
    assert "/login/" in response["Location"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_members_are_refused_and_it_is_recorded(
    case: Case, addresses: dict[str, str], signed_in: SignedIn, charlie: User
) -> None:
    response = signed_in(charlie).get(addresses[case.name])
    assert response.status_code == 403
    assert denials() == 1
    assert AuditEvent.objects.latest("id").actor_name == "charlie"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_auditors_see_everything_and_change_nothing(
    case: Case, addresses: dict[str, str], signed_in: SignedIn, audrey: User
) -> None:
    response = signed_in(audrey).get(addresses[case.name])
    assert response.status_code == case.auditor
    assert denials() == (1 if case.auditor == 403 else 0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_admins_get_every_page_that_is_theirs(
    case: Case, addresses: dict[str, str], signed_in: SignedIn, alice: User
) -> None:
    assert signed_in(alice).get(addresses[case.name]).status_code == case.portal_admin


@pytest.mark.parametrize("case", [case for case in CASES if case.auditor == 200], ids=lambda case: case.name)
def test_an_auditors_post_changes_nothing(
    case: Case, addresses: dict[str, str], signed_in: SignedIn, audrey: User
) -> None:
    before = _rows()
    response = signed_in(audrey).post(addresses[case.name], {"name": "taken-over", "reason": "none"})
    assert response.status_code in (200, 403, 405)
    assert _rows() == before


def _rows() -> list[object]:
    models = [model for model in admin.site._registry if model is not AuditEvent]
    return [list(model._default_manager.order_by("pk").values()) for model in models if model is not User]


def test_every_address_of_the_admin_is_in_the_table() -> None:
    named = {pattern.name for pattern in _patterns(admin.site.get_urls()) if pattern.name}
    assert named - {case.name for case in CASES} - NOT_OURS - ELSEWHERE == set()


def _patterns(urls: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for item in urls:
        if isinstance(item, URLResolver):
            yield from _patterns(item.url_patterns)
        else:
            yield item


def test_permission_groups_and_sign_in_attempts_are_not_editable_by_hand() -> None:
    names = {model._meta.label_lower for model in admin.site._registry}
    assert names == {f"roles.{name}" for name in (*ENTERED, *GRANTS, *READ_ONLY, "provisioningrun")}


@pytest.mark.parametrize("who", ["charlie", "audrey", "alice"])
def test_autocomplete_asks_for_the_right_to_view(who: str, signed_in: SignedIn, request: pytest.FixtureRequest) -> None:
    query = {"app_label": "roles", "model_name": "grouprole", "field_name": "role"}
    response = signed_in(request.getfixturevalue(who)).get(reverse("admin:autocomplete"), query)
    assert response.status_code == (403 if who == "charlie" else 200)


def test_search_finds_things_by_name(signed_in: SignedIn, alice: User, procedure: factories.Procedure) -> None:
    response = signed_in(alice).get(reverse("admin:search"), {"s": "analysts", "extended": "1"})
    assert "analysts" in response.content.decode()
    assert reverse("admin:roles_usergroup_change", args=[procedure.group.pk]) in response.content.decode()


@pytest.mark.parametrize("lookup", ["password__startswith", "password", "password__regex"])
def test_no_address_asks_for_a_password_hash_letter_by_letter(
    lookup: str, signed_in: SignedIn, audrey: User, charlie: User
) -> None:
    address = reverse("admin:roles_user_changelist")
    answer = signed_in(audrey).get(address, {lookup: charlie.password})
    assert answer.status_code == 400
    assert "charlie" not in answer.content.decode()


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("toolbearer", "token_hash__startswith"),
        ("toolbearer", "sealed_session__startswith"),
        ("issuedtoken", "cache_key__startswith"),
        ("auditevent", "actor__password__startswith"),
    ],
)
def test_no_list_is_filtered_by_what_no_page_shows(model: str, lookup: str, signed_in: SignedIn, audrey: User) -> None:
    assert signed_in(audrey).get(reverse(f"admin:roles_{model}_changelist"), {lookup: "a"}).status_code == 400


def test_lists_are_filtered_by_what_they_show(signed_in: SignedIn, audrey: User, charlie: User) -> None:
    answer = signed_in(audrey).get(reverse("admin:roles_user_changelist"), {"username": "charlie"})
    assert (answer.status_code, "charlie" in answer.content.decode()) == (200, True)

"""Ways to keep credentials fresh, the AWS console, and the list of what is signed in."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.urls import reverse

from roles.aws import console
from roles.models import AuditEvent, GroupRole, ToolBearer, User
from roles.models.choices import MappingState
from tests import factories
from tests.portal.conftest import SECRET, SESSION_TOKEN, signed_in


@pytest.fixture
def target(procedure: factories.Procedure) -> int:
    return int(procedure.role_b.pk)


def bearer_in(page: str) -> str:
    found = re.findall(r"xacct_[\w-]{43}", page)
    assert len(set(found)) == 1
    return str(found[0])


# --- keeps itself fresh ---


def test_nothing_is_set_up_for_an_access_that_cannot_be_used(procedure: factories.Procedure, target: int) -> None:
    waiting = procedure.map(state=MappingState.APPLYING)
    address = reverse("credentials_fresh", args=[waiting.pk, target])
    assert signed_in(procedure.bob).post(address).status_code == 403
    assert ToolBearer.objects.count() == 0


def test_a_get_sets_nothing_up(mapping: GroupRole, bob: User, target: int) -> None:
    assert signed_in(bob).get(reverse("credentials_fresh", args=[mapping.pk, target])).status_code == 405
    assert ToolBearer.objects.count() == 0


def test_getting_credentials_alone_signs_no_tool_in(mapping: GroupRole, bob: User) -> None:
    page = signed_in(bob).post(reverse("credentials", args=[mapping.pk])).content.decode()
    assert "Keeps itself fresh" in page and "A copy that expires" in page
    assert "xacct_" not in page
    assert ToolBearer.objects.count() == 0


def test_each_shell_gets_a_block_hidden_until_shown_and_never_stored(
    mapping: GroupRole, bob: User, target: int
) -> None:
    answer = signed_in(bob).post(reverse("credentials_fresh", args=[mapping.pk, target]))
    page = html.unescape(answer.content.decode())
    assert "no-store" in answer["Cache-Control"]
    for label in ("bash, zsh", "fish", "PowerShell", "cmd"):
        assert f'data-tab="{label}"' in page
    assert page.count("<details>") == page.count(bearer_in(page)) == 4
    assert f"http://testserver{reverse('container_credentials', args=[mapping.pk, target])}" in page
    assert SECRET not in page and SESSION_TOKEN not in page
    assert ToolBearer.objects.get().user == bob


def test_htmx_gets_the_blocks_alone(mapping: GroupRole, bob: User, target: int) -> None:
    address = reverse("credentials_fresh", args=[mapping.pk, target])
    page = signed_in(bob).post(address, headers={"HX-Request": "true"}).content.decode()
    assert bearer_in(page)
    assert "<html" not in page


def test_where_tools_will_refuse_the_portals_address_the_page_says_so(mapping: GroupRole, bob: User) -> None:
    address = reverse("credentials", args=[mapping.pk])
    warning = "AWS tools ask only https addresses"
    assert warning in signed_in(bob).post(address).content.decode()
    assert warning not in signed_in(bob).post(address, headers={"Host": "127.0.0.1"}).content.decode()
    assert warning not in signed_in(bob).post(address, secure=True).content.decode()


def test_the_profile_and_the_commands_are_for_this_access(mapping: GroupRole, bob: User, target: int) -> None:
    page = signed_in(bob).post(reverse("credentials", args=[mapping.pk])).content.decode()
    assert f"xacct-credentials sign-in {mapping.pk}/{target}" in page
    assert f"xacct-credentials get {mapping.pk}/{target}" in page
    assert f"http://testserver{reverse('xacct_credentials')}" in page


# --- the console ---


def test_in_a_sandbox_the_page_says_that_there_is_no_console(mapping: GroupRole, bob: User, settings: Any) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = "http://127.0.0.1:4566"
    page = signed_in(bob).post(reverse("credentials", args=[mapping.pk])).content.decode()
    assert "Open AWS console" not in page
    assert "which has no console" in page


def test_a_get_never_opens_the_console(mapping: GroupRole, bob: User, target: int, tokens: list[Any]) -> None:
    assert signed_in(bob).get(reverse("aws_console", args=[mapping.pk, target])).status_code == 405
    assert tokens == []


def test_the_console_opens_by_an_address_without_the_secret(
    mapping: GroupRole, bob: User, target: int, tokens: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "_sign_in_token", lambda _console, _credentials: "sign-in-token")
    answer = signed_in(bob).post(reverse("aws_console", args=[mapping.pk, target]))
    page = html.unescape(answer.content.decode())
    assert "https://signin.aws.amazon.com/federation?Action=login" in page
    assert "SigninToken=sign-in-token" in page and "example-data" in page
    assert SECRET not in page and SESSION_TOKEN not in page
    assert "no-store" in answer["Cache-Control"]
    assert [asked["purpose"] for asked in tokens] == ["console"]


# --- signed-in tools ---


@pytest.fixture
def tool(mapping: GroupRole, bob: User, target: int) -> ToolBearer:
    bearer: ToolBearer = ToolBearer.objects.create(
        user=bob, mapping=mapping, target_id=target, purpose="program", name="laptop", token_hash="a" * 64
    )
    return bearer


def test_others_neither_see_nor_sign_out_a_persons_tools(tool: ToolBearer, alice: User, charlie: User) -> None:
    for person in (charlie, alice):
        client = signed_in(person)
        assert "laptop" not in client.get(reverse("signed_in_tools")).content.decode()
        assert client.post(reverse("tool_sign_out", args=[tool.pk])).status_code == 404
    tool.refresh_from_db()
    assert tool.revoked_at is None


def test_a_get_signs_nothing_out(tool: ToolBearer, bob: User) -> None:
    assert signed_in(bob).get(reverse("tool_sign_out", args=[tool.pk])).status_code == 405
    tool.refresh_from_db()
    assert tool.revoked_at is None


def test_a_person_sees_their_tools_and_signs_one_out(tool: ToolBearer, bob: User) -> None:
    client = signed_in(bob)
    page = client.get(reverse("signed_in_tools")).content.decode()
    assert "laptop" in page and "MyRoleA → MyRoleB" in page and "not yet" in page
    after = client.post(reverse("tool_sign_out", args=[tool.pk]), follow=True).content.decode()
    assert "laptop is signed out" in after
    assert "No tool is signed in" in after
    assert AuditEvent.objects.get(code="bearer.revoked").actor == bob


def test_the_list_costs_the_same_however_long_it_is(
    tool: ToolBearer, bob: User, django_assert_max_num_queries: Any
) -> None:
    client = signed_in(bob)
    client.get(reverse("signed_in_tools"))
    for number in range(20):
        tool.pk, tool.token_hash = None, f"{number:064}"
        tool.save(force_insert=True)
    with django_assert_max_num_queries(8):
        assert client.get(reverse("signed_in_tools")).content.decode().count("laptop</td>") == 21

"""Programs are told in plain words that an admin disabled the group or an account; enabled, it works again."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from roles.models import AuditEvent, GroupRole, ToolBearer, User
from roles.operations.disable_account import disable_account
from roles.operations.disable_group import disable_group
from roles.operations.enable_account import enable_account
from roles.operations.enable_group import enable_group
from tests import factories
from tests.api.computer import Computer
from tests.api.conftest import Tool
from tests.tokens.conftest import SECRET_MARK, FakeSts, in_sync, signed_in

OPERATIONS: dict[str, tuple[Any, Any]] = {
    "group": (disable_group, enable_group),
    "account_a": (disable_account, enable_account),
    "account_b": (disable_account, enable_account),
}


@pytest.fixture(params=OPERATIONS)
def subject(request: pytest.FixtureRequest, procedure: factories.Procedure) -> tuple[dict[str, Any], Any, Any]:
    """What is disabled, and the operations that disable and enable it."""
    row = getattr(procedure, request.param)
    kind = "group" if request.param == "group" else "account"
    return {kind: row}, *OPERATIONS[request.param]


def test_the_container_endpoint_refuses_what_is_disabled_and_its_bearer_works_again_afterwards(
    subject: tuple[dict[str, Any], Any, Any], tool: Tool, alice: User, aws_sts: FakeSts
) -> None:
    which, disable, enable = subject
    assert tool.ask().status_code == 200
    calls = len(aws_sts.requests)
    disable(actor=alice, **which, reason="audit of 2026")
    answer = tool.ask()
    assert answer.status_code == 403
    said = answer.json()  # type: ignore[attr-defined]
    assert said["code"] == "token.not_entitled"
    assert "is disabled by an admin: audit of 2026. It works again once a portal admin enables it." in said["message"]
    assert SECRET_MARK not in answer.content.decode() and len(aws_sts.requests) == calls
    denied = AuditEvent.objects.get(code="access.denied")
    assert (denied.actor_name, denied.details["rule"]) == ("bob", "token.not_disabled")
    assert ToolBearer.objects.live().count() == 1
    enable(actor=alice, **which)
    assert tool.ask().status_code == 200


def test_no_bearer_is_made_for_what_is_disabled(
    subject: tuple[dict[str, Any], Any, Any], mapping: GroupRole, procedure: factories.Procedure, alice: User
) -> None:
    which, disable, _ = subject
    disable(actor=alice, **which, reason="audit of 2026")
    browser = signed_in(procedure.bob)
    for name, arguments in (("credentials", [mapping.pk]), ("credentials_fresh", [mapping.pk, procedure.role_b.pk])):
        answer = browser.post(reverse(name, args=arguments), headers={"HX-Request": "true"})
        assert answer.status_code == 403
        assert "is disabled by an admin: audit of 2026." in answer.content.decode()
    assert not ToolBearer.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_program_prints_why(tmp_path: Any, live_server: Any, aws_sts: FakeSts) -> None:
    world, alice = factories.Procedure(), factories.portal_admin()
    access = f"{in_sync(world).pk}/{world.role_b.pk}"
    computer = Computer.with_program(tmp_path, portal=live_server.url)
    assert computer.sign_in(signed_in(world.bob), access).returncode == 0
    disable_group(actor=alice, group=world.group, reason="audit of 2026")
    refused = computer.run("get", access)
    assert refused.returncode != 0 and refused.stdout == ""
    assert "The user group analysts is disabled by an admin: audit of 2026." in refused.stderr
    enable_group(actor=alice, group=world.group)
    assert "AccessKeyId" in computer.run("get", access).stdout

"""New keys sign nobody out: neither those that encrypt tokens nor the one that signs sessions."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.urls import reverse

from roles.models import GroupRole
from tests import factories
from tests.tokens.conftest import FakeSts, ask, signed_in

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


def test_a_key_that_was_retired_costs_a_call_and_signs_nobody_out(
    mapping: GroupRole, procedure: factories.Procedure, settings: Any, aws_sts: FakeSts
) -> None:
    settings.XACCT_TOKEN_KEYS = [OLD]
    browser = signed_in(procedure.bob)
    first = ask(procedure.bob, mapping, browser.session)
    settings.XACCT_TOKEN_KEYS = [NEW]
    second = ask(procedure.bob, mapping, browser.session)
    assert second.credentials != first.credentials
    assert len(aws_sts.assumed("MyRoleB")) == 2
    assert browser.get(reverse("my_access")).status_code == 200


def test_a_new_encryption_key_signs_nobody_out_and_costs_no_call(
    mapping: GroupRole, procedure: factories.Procedure, settings: Any, aws_sts: FakeSts
) -> None:
    settings.XACCT_TOKEN_KEYS = [OLD]
    browser = signed_in(procedure.bob)
    first = ask(procedure.bob, mapping, browser.session)
    settings.XACCT_TOKEN_KEYS = [NEW, OLD]
    assert ask(procedure.bob, mapping, browser.session) == first
    assert len(aws_sts.assumed("MyRoleB")) == 1
    assert browser.get(reverse("my_access")).status_code == 200


def test_a_new_secret_key_signs_nobody_out_while_the_old_one_is_accepted(
    mapping: GroupRole, procedure: factories.Procedure, settings: Any
) -> None:
    browser = signed_in(procedure.bob)
    ask(procedure.bob, mapping, browser.session)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-for-this-test-only-0123456789"
    assert browser.get(reverse("my_access")).status_code == 200
    assert ask(procedure.bob, mapping, browser.session).credentials

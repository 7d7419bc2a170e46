"""What AWS SDKs get from the portal by showing a bearer: refusals first."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from roles.models import AuditEvent, GroupRole, IssuedToken, Membership, ToolBearer, User
from roles.operations.change_mapping import change_mapping
from roles.operations.deactivate_user import deactivate_user
from roles.operations.remove_member import remove_member
from roles.operations.revoke_bearer import revoke_bearer
from roles.operations.unmap_role import unmap_role
from roles.tokens import bearers, broker
from tests import factories
from tests.api.conftest import AGENT, Tool, set_up
from tests.tokens.conftest import SECRET_MARK, FakeSts, cache_settings, signed_in


def is_refused(response: Any, *, status: int = 401) -> bool:
    """Whether the answer is one that SDKs show, and holds no credentials."""
    said = response.json()
    assert set(said) == {"code", "message", "request_id"} and said["message"]
    assert SECRET_MARK not in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert not response.cookies
    return bool(response.status_code == status)


def access_key(response: Any) -> str:
    assert response.status_code == 200, response.content
    return str(response.json()["AccessKeyId"])


# --- refused ---


def test_without_a_bearer_nothing_is_given(tool: Tool, aws_sts: FakeSts) -> None:
    assert is_refused(tool.ask(bearer=""))
    assert aws_sts.requests == []


@pytest.mark.parametrize("bearer", ["x", "xacct_", "xacct_" + "A" * 43, "xacct_" + "A" * 5000, "Basic Ym9iOmJvYg=="])
def test_a_wrong_bearer_is_refused(tool: Tool, bearer: str) -> None:
    assert is_refused(tool.ask(bearer=bearer))


def test_what_the_database_holds_of_a_bearer_is_no_bearer(tool: Tool) -> None:
    assert is_refused(tool.ask(bearer=tool.row.token_hash))
    assert is_refused(tool.ask(bearer=f"xacct_{tool.row.token_hash}"))


def test_a_cookie_alone_is_refused_and_makes_no_token(tool: Tool) -> None:
    assert is_refused(tool.browser.get(tool.address))
    assert IssuedToken.objects.count() == 0


def test_the_bearer_of_another_mapping_is_refused(tool: Tool, procedure: factories.Procedure) -> None:
    other = factories.GroupRoleFactory(group=procedure.group, state="in_sync", provisioned_at=timezone.now())
    address = reverse("container_credentials", args=[other.pk, procedure.role_b.pk])
    answer = tool.ask(address=address)
    assert is_refused(answer)
    assert "another access" in answer.json()["message"]


def test_the_bearer_of_another_target_is_refused(tool: Tool, mapping: GroupRole) -> None:
    other = factories.AssumeRoleGrantFactory(source=mapping.role).target
    factories.BucketGrantFactory(role=other)
    assert is_refused(tool.ask(address=reverse("container_credentials", args=[mapping.pk, other.pk])))


def test_a_revoked_bearer_is_refused_and_another_of_the_same_session_is_not(
    tool: Tool, mapping: GroupRole, bob: User
) -> None:
    other = set_up(tool.browser, bob, mapping, tool.row.target_id)
    revoke_bearer(actor=bob, bearer=tool.row)
    assert is_refused(tool.ask())
    assert access_key(other.ask())


def test_after_signing_out_it_is_refused_but_not_in_another_session(tool: Tool, mapping: GroupRole, bob: User) -> None:
    other = set_up(signed_in(bob), bob, mapping, tool.row.target_id)
    assert access_key(tool.ask())
    tool.browser.post(reverse("logout"))
    assert is_refused(tool.ask())
    assert access_key(other.ask())
    tool.row.refresh_from_db()
    assert tool.row.revoked_at is not None


def test_after_the_sessions_row_is_deleted_by_hand_it_is_refused(tool: Tool) -> None:
    with connection.cursor() as cursor:  # no signal of Django's, and none of ours
        cursor.execute("DELETE FROM django_session")
    answer = tool.ask()
    assert is_refused(answer)
    assert "sign-in" in answer.json()["message"]
    assert ToolBearer.objects.get().revoked_at is None


def test_a_session_that_expired_is_refused_before_and_after_it_is_cleared(tool: Tool) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert is_refused(tool.ask())
    call_command("clearsessions")
    assert is_refused(tool.ask())
    assert ToolBearer.objects.get().revoked_at is not None


def test_somebody_elses_sign_in_with_the_same_browser_ends_it(tool: Tool, charlie: User) -> None:
    tool.browser.force_login(charlie)
    assert is_refused(tool.ask())


def test_signing_in_again_in_the_same_session_ends_it(tool: Tool, bob: User) -> None:
    tool.browser.force_login(bob)
    assert is_refused(tool.ask())


def test_a_password_changed_elsewhere_ends_it_though_the_sessions_row_lives(tool: Tool, bob: User) -> None:
    bob.set_password("another correct horse battery")
    bob.save()
    assert Session.objects.count() == 1
    assert is_refused(tool.ask())


def test_changing_ones_password_signs_tools_out(tool: Tool) -> None:
    new = "another correct horse battery"
    form = {"old_password": factories.PASSWORD, "new_password1": new, "new_password2": new}
    assert tool.browser.post(reverse("password_change"), form).status_code == 302
    assert is_refused(tool.ask())
    assert ToolBearer.objects.get().revoked_at is not None


def test_a_user_who_was_deactivated_gets_nothing(tool: Tool, alice: User, bob: User) -> None:
    deactivate_user(actor=alice, user=bob)
    assert is_refused(tool.ask())


def test_after_unmapping_it_is_refused(tool: Tool, alice: User, mapping: GroupRole) -> None:
    assert access_key(tool.ask())
    unmap_role(actor=alice, mapping=mapping)
    assert is_refused(tool.ask())


def test_after_leaving_the_group_it_is_refused_and_coming_back_does_not_revive_it(
    tool: Tool, alice: User, bob: User, procedure: factories.Procedure
) -> None:
    remove_member(actor=alice, group=procedure.group, user=bob)
    assert is_refused(tool.ask())
    factories.MembershipFactory(group=procedure.group, user=bob)
    assert is_refused(tool.ask())


def test_a_membership_that_ended_without_any_signal_is_refused_by_the_database(tool: Tool) -> None:
    assert access_key(tool.ask())
    Membership.objects.update(ended_at=timezone.now())
    answer = tool.ask()
    assert is_refused(answer, status=404)
    assert answer.json()["code"] == "not_found"


def test_a_mapping_that_expired_is_refused(tool: Tool, mapping: GroupRole) -> None:
    GroupRole.objects.filter(pk=mapping.pk).update(expires_at=timezone.now())
    assert is_refused(tool.ask(), status=403)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_only_a_get_is_answered(tool: Tool, method: str) -> None:
    answer = getattr(Client(), method)(tool.address, headers={"Authorization": tool.bearer})
    assert answer.status_code == 405
    assert SECRET_MARK not in answer.content.decode()


def test_a_bearer_opens_no_page(tool: Tool) -> None:
    for name in ("my_access", "signed_in_tools", "admin:index"):
        answer = Client().get(reverse(name), headers={"Authorization": f"Bearer {tool.bearer}"})
        assert answer.status_code == 302 and "/login/" in answer["Location"]


# --- given ---


def test_the_answer_is_what_sdks_expect(tool: Tool) -> None:
    answer = tool.ask()
    assert answer.status_code == 200
    held = answer.json()
    assert set(held) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", held["Expiration"])
    assert datetime.fromisoformat(held["Expiration"]) > datetime.now(UTC) + timedelta(minutes=30)
    assert "no-store" in answer["Cache-Control"]
    assert not answer.cookies


def test_a_bearer_may_be_called_bearer(tool: Tool) -> None:
    assert access_key(tool.ask(bearer=f"Bearer {tool.bearer}"))


def test_the_tools_token_is_the_one_of_the_browsers_session(tool: Tool, mapping: GroupRole, aws_sts: FakeSts) -> None:
    in_browser = broker.get_token(actor=tool.user, session=tool.browser.session, mapping_id=mapping.pk)
    assert access_key(tool.ask()) == in_browser.credentials.access_key_id
    assert len(aws_sts.assumed("MyRoleB")) == 1


def test_asking_makes_no_session_and_lengthens_none(tool: Tool) -> None:
    before = list(Session.objects.values())
    assert access_key(tool.ask())
    assert list(Session.objects.values()) == before


def test_a_changed_mapping_gives_the_tool_a_new_token_by_itself(tool: Tool, alice: User, mapping: GroupRole) -> None:
    first = access_key(tool.ask())
    change_mapping(actor=alice, mapping=mapping, access="READ", prefix="team/", buckets=(), expires_at=None)
    assert access_key(tool.ask()) != first


def test_a_token_in_its_last_minutes_is_replaced(tool: Tool) -> None:
    first = access_key(tool.ask())
    with time_machine.travel(timezone.now() + timedelta(minutes=41)):
        assert access_key(tool.ask()) != first


def test_a_warm_answer_costs_three_queries(tool: Tool, settings: Any) -> None:
    for _ in range(2):  # the first time that it comes from the cache is told
        tool.ask()
    with CaptureQueriesContext(connection) as queries:
        assert access_key(tool.ask())
    asked = [query["sql"] for query in queries if "xacct_cache" not in query["sql"]]
    assert len(asked) == 3, asked


# --- kept ---


def test_of_a_bearer_only_a_hash_and_what_it_alone_opens_is_kept(tool: Tool) -> None:
    stored = str(list(ToolBearer.objects.values())) + str(list(AuditEvent.objects.values()))
    assert tool.bearer not in stored
    assert tool.browser.session.session_key not in stored
    assert tool.bearer not in repr(bearers.Issued(tool.bearer, tool.row))


def test_the_encryption_keys_of_the_portal_do_not_open_a_bearers_session(tool: Tool) -> None:
    keys = [Fernet(key) for key in django_settings.XACCT_TOKEN_KEYS]
    with pytest.raises(InvalidToken):
        MultiFernet(keys).decrypt(tool.row.sealed_session)


def test_a_new_secret_key_signs_no_tool_out(tool: Tool, settings: Any) -> None:
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 60, [settings.SECRET_KEY]
    assert access_key(tool.ask())


def test_making_one_is_in_the_history(tool: Tool) -> None:
    event = AuditEvent.objects.get(code="bearer.created")
    assert (event.actor, event.group_name, event.account_id) == (tool.user, "analysts", "222222222222")
    assert event.details["purpose"] == "container"


def test_where_and_by_what_it_was_used_is_kept_and_in_the_history_once(tool: Tool) -> None:
    tool.ask()
    tool.ask()
    tool.row.refresh_from_db()
    assert (tool.row.last_address, tool.row.last_user_agent) == ("127.0.0.1", AGENT)
    assert tool.row.last_used_at is not None
    assert AuditEvent.objects.filter(code="bearer.used").count() == 1
    tool.ask(**{"User-Agent": "curl/8"})
    assert AuditEvent.objects.filter(code="bearer.used").count() == 2


def test_the_tokens_event_says_what_it_was_for(tool: Tool) -> None:
    tool.ask()
    event = AuditEvent.objects.get(code="token.issued")
    assert event.details["purpose"] == "container"
    assert (event.address, event.user_agent) == ("127.0.0.1", AGENT)


def test_a_looping_program_is_refused_each_time_but_recorded_once(tool: Tool, bob: User) -> None:
    revoke_bearer(actor=bob, bearer=tool.row)
    for _ in range(20):
        assert is_refused(tool.ask())
    denied = AuditEvent.objects.get(code="access.denied")
    assert (denied.actor, denied.subject_id) == (bob, str(tool.row.pk))
    assert (denied.address, denied.user_agent, denied.details["rule"]) == ("127.0.0.1", AGENT, "bearer.revoked")


def test_a_stranger_who_tries_many_is_recorded_once(tool: Tool) -> None:
    for number in range(10):
        tool.ask(bearer=f"xacct_{number:043}", address=reverse("container_credentials", args=[number, number]))
    denied = AuditEvent.objects.get(code="access.denied")
    assert denied.actor_name == "anonymous"
    assert "xacct_" not in str(denied.details)


def test_a_program_that_loops_after_its_access_ended_is_recorded_once(tool: Tool, settings: Any) -> None:
    settings.CACHES = cache_settings("locmem")  # Redis expires by its own clock
    Membership.objects.update(ended_at=timezone.now())
    for _ in range(5):
        assert is_refused(tool.ask(), status=404)
    assert AuditEvent.objects.filter(code="token.refused").count() == 1
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        tool.ask()
    assert AuditEvent.objects.filter(code="token.refused").count() == 2

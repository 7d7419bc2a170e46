"""Every address of the portal's pages, for each kind of person: from one table, refusals first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from roles.history.recorder import record
from roles.models import AuditEvent, GroupRole, ProvisioningRun, ProvisioningStep, ToolBearer, User
from roles.models.choices import RunStatus
from roles.portal.urls import urlpatterns
from roles.provisioning import for_owners
from tests.factories import (
    AssumeRoleGrantFactory,
    AwsAccountFactory,
    IamRoleFactory,
    Procedure,
    ProvisioningRunFactory,
    UserFactory,
)
from tests.portal.conftest import FakeBucket, signed_in

SIGN_IN = 302  # to the sign-in page
PEOPLE = ("anonymous", "stranger", "member", "auditor", "admin")
# name: (method, what each of PEOPLE gets). 404 where even the existence is none of their business.
TABLE: dict[str, tuple[str, tuple[int, int, int, int, int]]] = {
    "home": ("get", (SIGN_IN, 302, 302, 302, 302)),
    "healthz": ("get", (200, 200, 200, 200, 200)),
    "login": ("get", (200, 200, 200, 200, 200)),
    "logout": ("post", (SIGN_IN, 302, 302, 302, 302)),
    "sign_out_everywhere": ("post", (SIGN_IN, 302, 302, 302, 302)),
    "password_change": ("get", (SIGN_IN, 200, 200, 200, 200)),
    "password_change_done": ("get", (SIGN_IN, 200, 200, 200, 200)),
    "my_access": ("get", (SIGN_IN, 200, 200, 200, 200)),
    "credentials": ("post", (SIGN_IN, 404, 200, 404, 404)),
    "credentials_fresh": ("post", (SIGN_IN, 404, 200, 404, 404)),
    "aws_console": ("post", (SIGN_IN, 404, 503, 404, 404)),  # 503: here as in a sandbox
    "signed_in_tools": ("get", (SIGN_IN, 200, 200, 200, 200)),
    "authorise_tool": ("get", (SIGN_IN, 404, 200, 404, 404)),
    "tool_sign_out": ("post", (SIGN_IN, 404, 302, 404, 404)),
    "browse": ("get", (SIGN_IN, 404, 200, 404, 404)),
    "browse_upload": ("post", (SIGN_IN, 404, 400, 404, 404)),  # 400: the member sent no file
    "browse_download": ("get", (SIGN_IN, 404, 200, 404, 404)),
    "browse_delete": ("get", (SIGN_IN, 404, 200, 404, 404)),
    "history": ("get", (SIGN_IN, 403, 403, 200, 200)),
    "history_runs": ("get", (SIGN_IN, 403, 403, 200, 200)),
    "history_access": ("get", (SIGN_IN, 403, 403, 200, 200)),
    "event": ("get", (SIGN_IN, 404, 404, 200, 200)),
    "run": ("get", (SIGN_IN, 404, 404, 200, 200)),
    "run_steps": ("get", (SIGN_IN, 404, 404, 200, 200)),
    "run_retry": ("post", (SIGN_IN, 404, 404, 403, 302)),
    "run_documents": ("get", (SIGN_IN, 404, 404, 200, 200)),
    "run_document": ("get", (SIGN_IN, 404, 404, 200, 200)),
    "account_documents": ("get", (SIGN_IN, 404, 404, 200, 200)),
    "account_document": ("get", (SIGN_IN, 404, 404, 200, 200)),
    "provisioner_documents": ("get", (SIGN_IN, 404, 404, 403, 200)),
    "provisioner_document": ("get", (SIGN_IN, 404, 404, 403, 200)),
}
CASES = [
    (name, method, person, status)
    for name, (method, statuses) in TABLE.items()
    for person, status in sorted(zip(PEOPLE, statuses, strict=True), key=lambda pair: pair[1] < 400)
]


@pytest.fixture
def address_of(
    *,
    mapping: GroupRole,
    procedure: Procedure,
    alice: User,
    bob: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], str]:
    """What gives the address of a page about Bob's mapping, a failed run of it, its event, and a tool of Bob's."""
    settings.XACCT_AWS_ENDPOINT_URL = "http://127.0.0.1:1"  # as with a sandbox: there is no console
    monkeypatch.setattr(for_owners.sts, "caller_arn", lambda **_: "arn:aws:iam::111111111111:user/xacct-portal")
    target = procedure.role_b.pk
    tool = ToolBearer.objects.create(user=bob, mapping=mapping, target_id=target, purpose="container")
    event: AuditEvent = record("mapping.added", actor=alice, subject=mapping)
    run: ProvisioningRun = ProvisioningRunFactory(role=mapping.role, mapping=mapping, status=RunStatus.FAILED)
    handed_off = "333333333333"
    away = AwsAccountFactory(account_id=handed_off, name="handed-off", access_mode="handoff")
    AssumeRoleGrantFactory(source=mapping.role, target=IamRoleFactory(account=away, name="Away"))
    waiting: ProvisioningRun = ProvisioningRunFactory(role=mapping.role, mapping=mapping, status=RunStatus.NEEDS_OWNER)
    ProvisioningStep.objects.create(
        run=waiting,
        sequence=1,
        step=4,
        account_id=handed_off,
        resource="r",
        title="t",
        action="none",
        status="needs_owner",
    )
    arguments: dict[str, list[Any]] = {
        "run_documents": [waiting.pk, handed_off],
        "run_document": [waiting.pk, handed_off, "cli"],
        "account_documents": [handed_off],
        "account_document": [handed_off, "cli"],
        "provisioner_documents": ["222222222222"],
        "provisioner_document": ["222222222222", "cli"],
        "credentials": [mapping.pk],
        **{name: [mapping.pk, target] for name in ("credentials_fresh", "aws_console", "authorise_tool")},
        "tool_sign_out": [tool.pk],
        "event": [event.pk],
        **{name: [run.pk] for name in ("run", "run_steps", "run_retry")},
        **{name: [mapping.pk, "example-data"] for name in TABLE if name.startswith("browse")},
    }
    query = {
        "authorise_tool": f"?name=laptop&challenge={'A' * 43}",
        "browse_download": "?key=a.txt",
        "browse_delete": "?key=a.txt",
    }
    return lambda name: reverse(name, args=arguments.get(name, [])) + query.get(name, "")


@pytest.fixture
def person_of(alice: User, audrey: User, charlie: User, bob: User) -> dict[str, User | None]:
    return {"anonymous": None, "stranger": charlie, "member": bob, "auditor": audrey, "admin": alice}


@pytest.mark.parametrize(("name", "method", "person", "status"), CASES)
def test_each_page_answers_each_kind_of_person_as_the_table_says(
    name: str,
    method: str,
    person: str,
    status: int,
    *,
    address_of: Callable[[str], str],
    person_of: dict[str, User | None],
    bucket: FakeBucket,
) -> None:
    bucket.objects["a.txt"] = b"x"
    client = signed_in(person_of[person])
    response = getattr(client, method)(address_of(name))
    assert response.status_code == status
    if person == "anonymous" and status == SIGN_IN:
        assert response["Location"].startswith(reverse("login"))


def test_the_table_has_every_address_of_the_portals_pages() -> None:
    assert {pattern.name for pattern in urlpatterns} == set(TABLE)


def test_a_member_of_another_group_gets_nothing_of_a_mapping_not_theirs(
    mapping: GroupRole, address_of: Callable[[str], str], bucket: FakeBucket
) -> None:
    other = UserFactory(username="olga")
    client = signed_in(other)
    for name in ("browse", "browse_download", "browse_delete"):
        assert client.get(address_of(name)).status_code == 404
    for name in ("credentials", "browse_upload", "browse_delete"):
        assert client.post(address_of(name), {"key": "a.txt"}).status_code == 404
    assert bucket.calls == []

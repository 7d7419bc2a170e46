"""What an event was about is linked for whoever may be let in there, and named for everybody else."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission
from django.template import Context
from django.urls import reverse

from roles.history.recorder import record
from roles.models import AuditEvent, User
from roles.templatetags.xacct_format import code_in_words
from roles.templatetags.xacct_things import address_of, kind_in_words, thing_link
from tests import factories
from tests.portal.conftest import signed_in


def test_a_reader_who_is_no_staff_gets_the_name_without_a_link(charlie: User, procedure: factories.Procedure) -> None:
    charlie.user_permissions.add(Permission.objects.get(codename="view_auditevent"))
    record("group.created", actor=charlie, subject=procedure.group)
    page = signed_in(charlie).get(reverse("history"), {"code": "group"}).content.decode()
    assert "analysts" in page
    assert reverse("admin:roles_usergroup_change", args=[procedure.group.pk]) not in page


def test_an_auditor_gets_a_link_to_the_thing(audrey: User, procedure: factories.Procedure) -> None:
    record("group.created", actor=audrey, subject=procedure.group)
    address = reverse("admin:roles_usergroup_change", args=[procedure.group.pk])
    for page in (
        signed_in(audrey).get(reverse("history"), {"code": "group"}),
        signed_in(audrey).get(reverse("event", args=[AuditEvent.objects.get(code="group.created").pk])),
    ):
        assert f'href="{address}"' in page.content.decode()


def test_a_run_links_to_its_role_group_and_mapping_for_staff_only(audrey: User, procedure: factories.Procedure) -> None:
    mapping = procedure.map()
    run = factories.ProvisioningRunFactory(role=mapping.role, mapping=mapping)
    page = signed_in(audrey).get(reverse("run", args=[run.pk])).content.decode()
    for name, row in (("usergroup", mapping.group), ("grouprole", mapping), ("iamrole", mapping.role)):
        assert reverse(f"admin:roles_{name}_change", args=[row.pk]) in page


@pytest.mark.parametrize(("kind", "key"), [("", ""), ("usergroup", ""), ("no_such_kind", "1"), ("../x", "1")])
def test_what_has_no_page_has_no_address(kind: str, key: str) -> None:
    assert address_of(kind, key) == ""


def test_a_run_has_the_portals_own_page() -> None:
    assert address_of("provisioningrun", "7") == reverse("run", args=[7])


def test_a_name_is_never_taken_for_html(db: None, audrey: User) -> None:
    event = AuditEvent(subject_type="usergroup", subject_id="1", subject_name="<b>x</b>")
    assert "&lt;b&gt;x" in thing_link(Context({"user": audrey}), event)


def test_kinds_and_codes_are_said_in_words() -> None:
    assert kind_in_words("grouprole") == "mapping"
    assert kind_in_words("gone") == "gone"
    assert code_in_words("assume_role_grant.ended") == "assume role grant ended"

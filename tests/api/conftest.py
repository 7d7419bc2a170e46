"""A person with an access, a tool of theirs, and an STS in memory: what a program shows is real, AWS is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from roles.models import GroupRole, ToolBearer, User
from roles.tokens import bearers
from tests import factories
from tests.tokens.conftest import aws_sts, mapping, signed_in

__all__ = ["aws_sts", "mapping"]

AGENT = "Boto3/1.44.5 md/Botocore#1.44.5"


@dataclass
class Tool:
    """A program that has an address and a bearer, as somebody pasted them."""

    browser: Client
    user: User
    address: str
    row: ToolBearer
    bearer: str = field(repr=False)

    def ask(self, *, bearer: str | None = None, address: str = "", **extra: Any) -> HttpResponse:
        """Ask as an AWS SDK does: no cookie, the bearer as it is."""
        shown = self.bearer if bearer is None else bearer
        headers = {"Authorization": shown, "Accept": "application/json", "User-Agent": AGENT} | extra
        answer: HttpResponse = Client().get(address or self.address, headers={k: v for k, v in headers.items() if v})
        return answer


def set_up(browser: Client, user: User, mapping: GroupRole, target_id: int) -> Tool:
    """Return a tool that was set up in the browser's session."""
    made = bearers.issue(actor=user, session=browser.session, mapping_id=mapping.pk, target_id=target_id)
    return Tool(browser, user, reverse("container_credentials", args=[mapping.pk, target_id]), made.row, made.text)


@pytest.fixture
def bob(procedure: factories.Procedure) -> User:
    """A member of the group."""
    return procedure.bob


@pytest.fixture
def tool(procedure: factories.Procedure, mapping: GroupRole) -> Tool:
    """Bob's tool, set up in a browser in which he is signed in."""
    return set_up(signed_in(procedure.bob), procedure.bob, mapping, procedure.role_b.pk)

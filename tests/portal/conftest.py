"""A group with one usable mapping, signed-in clients, and a bucket in memory in the place of S3."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from roles.aws.objects import FolderPage, OpenedObject, S3Object
from roles.models import GroupRole, User
from roles.models.choices import MappingState
from roles.portal import storage
from roles.portal.views import credentials as credentials_view
from roles.tokens import scope
from roles.tokens.broker import Token
from roles.values.credentials import Credentials
from tests import factories

SECRET = "wJalrXUtnFEMI-never-in-a-page-unasked"
SESSION_TOKEN = "FwoGZXIvYXdzEXAMPLE-session-token"


@dataclass
class FakeBucket:
    """What S3 has, and what was asked of it. `refusal` is raised by the next call instead of an answer."""

    objects: dict[str, bytes] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    opened_as: list[dict[str, Any]] = field(default_factory=list)
    refusal: Exception | None = None

    def asked(self, verb: str, key: str) -> None:
        self.calls.append((verb, key))
        if self.refusal is not None:
            raise self.refusal


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeBucket:
    """A bucket with nothing in it, in the place of S3."""
    fake = FakeBucket()

    class FakeStore:
        def __init__(self, credentials: Credentials, **where: Any) -> None:
            fake.opened_as.append({"access_key_id": credentials.access_key_id, **where})

        def list_folder(self, prefix: str, *, token: str = "", limit: int = 200) -> FolderPage:
            fake.asked("list", prefix)
            inside = [key[len(prefix) :] for key in sorted(fake.objects) if key.startswith(prefix)]
            folders = sorted({f"{prefix}{rest.split('/')[0]}/" for rest in inside if "/" in rest})
            keys = [f"{prefix}{rest}" for rest in inside if "/" not in rest]
            start = int(token or 0)
            more = str(start + limit) if len(keys) > start + limit else ""
            objects = [S3Object(key, len(fake.objects[key]), timezone.now()) for key in keys[start : start + limit]]
            return FolderPage(() if start else tuple(folders), tuple(objects), more)

        def open(self, key: str) -> OpenedObject:
            fake.asked("open", key)
            return OpenedObject(iter([fake.objects[key]]), len(fake.objects[key]), "text/html")

        def put(self, key: str, fileobj: Any, content_type: str) -> None:
            fake.asked("put", key)
            fake.objects[key] = fileobj.read()

        def delete(self, key: str) -> None:
            fake.asked("delete", key)
            fake.objects.pop(key, None)

    monkeypatch.setattr(storage, "ObjectStore", FakeStore)
    return fake


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Tokens without STS, authorised by the real scope; the list holds what was asked for."""
    asked: list[dict[str, Any]] = []

    def get_token(
        *, actor: User, session: Any, mapping_id: int, target_id: int | None = None, purpose: str = "portal"
    ) -> Token:
        usable = scope.mapping_for(actor, mapping_id)
        target = next(one for one in usable.targets if target_id in (None, one.role.pk))
        asked.append({"actor": actor.username, "mapping": mapping_id, "target": target.role.pk, "purpose": purpose})
        return Token(
            credentials=Credentials("ASIAEXAMPLE", SECRET, SESSION_TOKEN, datetime.now(UTC) + timedelta(minutes=59)),
            mapping=usable.mapping,
            source=str(usable.mapping.role.arn),
            target=str(target.role.arn),
            target_id=target.role.pk,
            region="us-east-1",
            grants=target.grants,
            session_name=actor.username,
            attributed=True,
        )

    monkeypatch.setattr(storage.broker, "get_token", get_token)
    monkeypatch.setattr(credentials_view.broker, "get_token", get_token)
    return asked


@pytest.fixture
def mapping(procedure: factories.Procedure) -> GroupRole:
    """MyRoleA in Bob's group, in sync."""
    return procedure.map(state=MappingState.IN_SYNC, provisioned_at=timezone.now())


@pytest.fixture
def bob(procedure: factories.Procedure) -> User:
    """A member of the group."""
    return procedure.bob


def signed_in(user: User | None) -> Client:
    """Return a client signed in as `user`, or as nobody."""
    client = Client()
    if user is not None:
        client.force_login(user)
    return client

"""Who calls: the layer knows every session that it saw being made, and asks the emulator for the rest."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.strict_aws.judge.caller import Caller
from tests.strict_aws.layer.message import Request
from tests.strict_aws.layer.world import Entity, World
from tests.strict_aws.rules.names import ACCOUNT
from tests.strict_aws.rules.principals import root_arn
from tests.strict_aws.rules.refusal import Refusal

EVERYTHING: Mapping[str, Any] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a role, as AssumeRole made it. Holds no secret."""

    role_account: str
    role_name: str
    role_id: str
    arn: str
    user_id: str
    policies: tuple[Mapping[str, Any], ...] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    transitive: frozenset[str] = frozenset()
    source_identity: str = ""
    issued: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: int = 3_600


class Callers:
    """Finds the caller of a request. Credentials are checked by the emulator, not here."""

    def __init__(self, world: World, default_account: str) -> None:
        self._world = world
        self._default_account = default_account
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def remember(self, access_key: str, session: Session) -> None:
        """Note whose the credentials of this access key id are."""
        with self._lock:
            self._sessions[access_key] = session

    def session(self, access_key: str) -> Session | None:
        """Return the session of an access key id, when this layer saw it being made."""
        with self._lock:
            return self._sessions.get(access_key)

    def forget(self) -> None:
        """Begin again, as the emulator did."""
        with self._lock:
            self._sessions.clear()

    def identify(self, request: Request) -> Caller | None:
        """Return the caller, or None when it is not known here. Raises `Refusal` for a session of a role that is gone.

        Roles that were deleted and made again are other roles: old sessions do not become sessions of the new one.
        """
        key = request.access_key
        if ACCOUNT.fullmatch(key):
            return self._root(key)
        session = self.session(key)
        if session is not None:
            return self._of_session(session, request)
        user = self._world.user_of_key(key) if key.startswith(("AKIA", "LKIA")) else None
        if user is not None:
            return self._of_user(user)
        return self._root(self._default_account) if self._default_account else None

    def _root(self, account: str) -> Caller:
        self._world.saw_account(account)
        arn = root_arn(account)
        return Caller(
            account, arn, arn, account, (EVERYTHING,), context=_principal_keys(arn, account, account, "Account")
        )

    def _of_user(self, user: Entity) -> Caller:
        context = _principal_keys(user.arn, user.account, user.unique_id, "User")
        context |= {"aws:username": user.name, **_tag_keys(user.tags)}
        identity = self._world.identity("User", user.name, user.account)
        return Caller(user.account, user.arn, user.arn, user.unique_id, identity, self._limits(user), context)

    def _of_session(self, session: Session, request: Request) -> Caller:
        if datetime.now(UTC) >= session.issued + timedelta(seconds=session.seconds):
            message = "The provided token has expired."
            raise Refusal("ExpiredToken", message, 400 if request.service == "s3" else 403)
        role = self._world.role(session.role_account, session.role_name)
        if role is None or role.unique_id != session.role_id:
            raise _gone(request)
        context = _principal_keys(role.arn, role.account, session.user_id, "AssumedRole")
        context |= {
            "aws:tokenissuetime": session.issued.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:multifactorauthpresent": "false",
            **_tag_keys({**role.tags, **session.tags}),
        }
        if session.source_identity:
            context["aws:sourceidentity"] = session.source_identity
        limits = self._limits(role)
        if session.policies is not None:
            limits = (*limits, session.policies)
        identity = self._world.identity("Role", role.name, role.account)
        return Caller(role.account, session.arn, role.arn, role.unique_id, identity, limits, context)

    def _limits(self, entity: Entity) -> tuple[tuple[Mapping[str, Any], ...], ...]:
        if not entity.boundary:
            return ()
        document = self._world.managed(entity.boundary, entity.account)
        return ((document,) if document else (),)


def _principal_keys(entity_arn: str, account: str, user_id: str, kind: str) -> dict[str, Any]:
    """Return the context keys about the caller. `aws:PrincipalArn` of a session is its role's ARN."""
    return {
        "aws:principalarn": entity_arn,
        "aws:principalaccount": account,
        "aws:principaltype": kind,
        "aws:userid": user_id,
        "aws:principalisawsservice": "false",
    }


def _tag_keys(tags: Mapping[str, str]) -> dict[str, str]:
    return {f"aws:principaltag/{key}".lower(): value for key, value in tags.items()}


def _gone(request: Request) -> Refusal:
    if request.service == "s3":
        return Refusal("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
    return Refusal("InvalidClientTokenId", "The security token included in the request is invalid.", 403)

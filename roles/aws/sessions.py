"""boto3 sessions and clients: by purpose, by account, by credentials; always with our time-outs and the endpoint."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader
from django.conf import settings

from roles.aws.errors import translated
from roles.aws.pacing import paced
from roles.errors import Misconfigured
from roles.values.accounts import AccessMode, AccountAccess
from roles.values.credentials import Credentials

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

PROVISIONER_SESSION_NAME = "xacct-portal"
REFRESH_BEFORE = timedelta(minutes=10)
KEPT_MAX = 64  # ways into accounts that a process keeps open; a way has up to three clients

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=20,
    retries={"mode": "standard", "max_attempts": 4},
    max_pool_connections=32,  # the threads of a worker share the clients of an account
    s3={"addressing_style": "path"},
    user_agent_extra="xacct-portal",
)
# For somebody who waits for a page: an answer that takes longer is told as none.
_BRIEF_CONFIG = _CONFIG.merge(
    Config(connect_timeout=3, read_timeout=6, retries={"mode": "standard", "max_attempts": 2})
)
# For one call of STS that hands out a token. `total_max_attempts` counts the first one too; between the two botocore
# waits up to a second.
_TOKEN_CONFIG = _CONFIG.merge(
    Config(connect_timeout=2, read_timeout=4, retries={"mode": "standard", "total_max_attempts": 2})
)
TOKEN_CALL_SECONDS = 2 * (2 + 4) + 1
_local = threading.local()
_descriptions = create_loader()
_making = threading.Lock()


class Purpose(StrEnum):
    """Which of the portal's own identities speaks: the one that changes AWS, or the one that hands out tokens."""

    PROVISIONING = "provisioning"
    TOKENS = "tokens"


def _config(purpose: Purpose, *, is_brief: bool) -> Config:
    if purpose is Purpose.TOKENS:
        return _TOKEN_CONFIG
    return _BRIEF_CONFIG if is_brief else _CONFIG


def _profile(purpose: Purpose) -> str | None:
    name = (
        settings.XACCT_PROVISIONING_AWS_PROFILE
        if purpose is Purpose.PROVISIONING
        else settings.XACCT_TOKENS_AWS_PROFILE
    )
    return name or None


def _session(profile: str | None) -> boto3.Session:
    """Return this thread's session of `profile`; boto3 sessions are not thread-safe, and slow to make."""
    sessions: dict[str | None, boto3.Session] = _local.__dict__.setdefault("sessions", {})
    if profile not in sessions:
        sessions[profile] = _new_session(profile)
    return sessions[profile]


def _new_session(profile: str | None) -> boto3.Session:
    """Return a session that shares AWS's service descriptions with all others: reading them takes most of the time.

    They are only read once they are loaded. Measured for a thread's first STS, IAM and S3 clients: 40 instead of
    200 ms and more.
    """
    core = botocore.session.Session()
    core.register_component("data_loader", _descriptions)
    with _making:
        session = boto3.Session(profile_name=profile, botocore_session=core)
        paths = _descriptions.search_paths  # to which boto3 adds its own, each time
        paths[:] = dict.fromkeys(paths)
    return session


def forget_sessions() -> None:
    """Drop this thread's sessions and all kept ways, so that changed credentials or profiles are read again."""
    _local.__dict__.clear()
    with _keeping:
        _kept.clear()


def base_client(service: str, *, region: str, purpose: Purpose, is_brief: bool = False) -> Any:
    """Return a client of the portal's own identity. STS goes to the region's own endpoint.

    `is_brief`: give up after seconds, for a page that somebody waits for. A call that hands out a token ends within
    `TOKEN_CALL_SECONDS`.
    """
    session: Any = _session(_profile(purpose))
    return session.client(
        service,
        region_name=region,
        endpoint_url=settings.XACCT_AWS_ENDPOINT_URL or None,
        config=_config(purpose, is_brief=is_brief),
    )


def client_with(
    credentials: Credentials,
    service: str,
    *,
    region: str,
    purpose: Purpose = Purpose.PROVISIONING,
    is_brief: bool = False,
) -> Any:
    """Return a client that acts with `credentials`. `purpose` is what is done with it; the rest as in `base_client`."""
    session: Any = _session(None)
    return session.client(
        service,
        region_name=region,
        endpoint_url=settings.XACCT_AWS_ENDPOINT_URL or None,
        config=_config(purpose, is_brief=is_brief),
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
    )


@dataclass
class AccountSession:
    """A way into one account for provisioning. Clients are made on first use; assumed credentials renew themselves.

    `is_brief` as in `base_client`; `is_page`: somebody waits for a page, though not for that few seconds. `on_client`
    is given each client before its first call, e.g. to listen to it. All calls count for the account's rate, the one
    that assumes its provisioner role too. `opened_at` is when its credentials were assumed, None while there are none.
    Threads may share it.
    """

    access: AccountAccess
    is_brief: bool = False
    is_page: bool = False
    on_client: Callable[[Any], None] | None = None
    opened_at: datetime | None = None
    _credentials: Credentials | None = field(default=None, repr=False)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def iam(self) -> IAMClient:
        """IAM of this account."""
        client: IAMClient = self._client("iam", self.access.region)
        return client

    @property
    def sts(self) -> STSClient:
        """STS of this account, at its region's endpoint."""
        client: STSClient = self._client("sts", self.access.region)
        return client

    def s3(self, region: str) -> S3Client:
        """S3 of this account in `region`."""
        client: S3Client = self._client("s3", region)
        return client

    def _client(self, service: str, region: str) -> Any:
        if self.access.mode is AccessMode.HANDOFF:
            raise Misconfigured(
                f"Account {self.access.account_id} is a handoff account: the portal has no way in.",
                hint="Its owner applies the documents, or give the portal a provisioner role.",
            )
        with self._lock:
            if self._credentials and self._credentials.expires_at - datetime.now(UTC) < REFRESH_BEFORE:
                self._credentials = None
                self._clients.clear()
            key = (service, region)
            if key not in self._clients:
                self._clients[key] = self._make_client(service, region)
            return self._clients[key]

    def _make_client(self, service: str, region: str) -> Any:
        if self.access.mode is AccessMode.AMBIENT:
            return self._own_client(service, region)
        if self._credentials is None:
            self._credentials, self.opened_at = self._assume_provisioner(), datetime.now(UTC)
        return self._heard(client_with(self._credentials, service, region=region, is_brief=self.is_brief))

    def _own_client(self, service: str, region: str) -> Any:
        return self._heard(base_client(service, region=region, purpose=Purpose.PROVISIONING, is_brief=self.is_brief))

    def _heard(self, client: Any) -> Any:
        if self.on_client is not None:
            self.on_client(client)
        return paced(client, self.access.account_id, is_page=self.is_page or self.is_brief)

    def _assume_provisioner(self) -> Credentials:
        sts = self._own_client("sts", self.access.region)
        wanted: dict[str, Any] = {"RoleArn": self.access.role_arn, "RoleSessionName": PROVISIONER_SESSION_NAME}
        if self.access.external_id:
            wanted["ExternalId"] = self.access.external_id
        with translated(
            account=self.access.account_id, operation="AssumeRole", service="sts", arn=self.access.role_arn
        ):
            answer = sts.assume_role(**wanted)["Credentials"]
        return Credentials(
            answer["AccessKeyId"],
            answer["SecretAccessKey"],
            answer["SessionToken"],
            answer["Expiration"].astimezone(UTC),
        )


_kept: OrderedDict[AccountAccess, AccountSession] = OrderedDict()
_keeping = threading.Lock()


def kept_session(access: AccountAccess) -> AccountSession:
    """Return the way into an account that this process keeps open: assumed once an hour, its clients made once.

    What is kept may be refused although a new way would not be, as when a provisioner role was made anew. Who is
    refused calls `forget_way` and tries again.
    """
    with _keeping:
        session = _kept.setdefault(access, AccountSession(access))
        _kept.move_to_end(access)
        if len(_kept) > KEPT_MAX:
            _kept.popitem(last=False)
    return session


def forget_way(session: AccountSession) -> None:
    """Let the next who asks for a kept way into this account have a new one."""
    with _keeping:
        if _kept.get(session.access) is session:
            del _kept[session.access]

"""boto3 sessions and clients: by purpose, by account, by credentials; always with our time-outs and the endpoint."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader
from django.conf import settings

from roles.aws.errors import translated
from roles.aws.pacing import paced
from roles.aws.timeouts import CONNECT_SECONDS, READ_SECONDS
from roles.errors import Misconfigured
from roles.policies.provisioner import reading_session_policy
from roles.values.accounts import AccessMode, AccountAccess
from roles.values.credentials import Credentials

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

PROVISIONER_SESSION_NAME = "xacct-portal"
REFRESH_BEFORE = timedelta(minutes=10)
READS = ("Get", "List", "Head", "Describe", "Lookup")  # what AWS's operations that change nothing begin with
KEPT_MAX = 64  # ways into accounts that a process keeps open; a way has up to three clients


class CloudTrailReader(Protocol):
    """What is used of boto3's client of CloudTrail."""

    def lookup_events(self, **asked: Any) -> dict[str, Any]:
        """Return one page of events, newest first."""


_CONFIG = Config(
    connect_timeout=CONNECT_SECONDS,
    read_timeout=READ_SECONDS,
    retries={"mode": "standard", "max_attempts": 4},
    max_pool_connections=32,  # the threads of a worker share the clients of an account
    s3={"addressing_style": "path"},
    user_agent_extra="xacct-portal",
)
# For somebody who waits for a page: an answer that takes longer is told as none.
_BRIEF_CONFIG = _CONFIG.merge(
    Config(connect_timeout=3, read_timeout=6, retries={"mode": "standard", "max_attempts": 2})
)
# For who writes: botocore would send the whole document again as it was, over what others wrote meanwhile.
_ONCE_CONFIG = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
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


def _config(purpose: Purpose, *, is_brief: bool, tries_once: bool) -> Config:
    if purpose is Purpose.TOKENS:
        return _TOKEN_CONFIG
    if tries_once:
        return _ONCE_CONFIG
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


def base_client(
    service: str, *, region: str, purpose: Purpose, is_brief: bool = False, tries_once: bool = False
) -> Any:
    """Return a client of the portal's own identity. STS goes to the region's own endpoint.

    `is_brief`: give up after seconds, for a page that somebody waits for. `tries_once`: send each call once, for who
    repeats it from the beginning, by reading again what is to be written. A call that hands out a token ends within
    `TOKEN_CALL_SECONDS`.
    """
    session: Any = _session(_profile(purpose))
    return session.client(
        service,
        region_name=region,
        endpoint_url=settings.XACCT_AWS_ENDPOINT_URL or None,
        config=_config(purpose, is_brief=is_brief, tries_once=tries_once),
    )


def client_with(
    credentials: Credentials,
    service: str,
    *,
    region: str,
    purpose: Purpose = Purpose.PROVISIONING,
    is_brief: bool = False,
    tries_once: bool = False,
) -> Any:
    """Return a client that acts with `credentials`. `purpose` is what is done with it; the rest as in `base_client`."""
    session: Any = _session(None)
    return session.client(
        service,
        region_name=region,
        endpoint_url=settings.XACCT_AWS_ENDPOINT_URL or None,
        config=_config(purpose, is_brief=is_brief, tries_once=tries_once),
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
    )


def own_arn(*, region: str, purpose: Purpose, is_brief: bool = False) -> str:
    """Return the ARN of the portal's own identity. Each thread asks once, until its sessions are forgotten.

    Raises an `AwsError`. `is_brief` as in `base_client`.
    """
    known: dict[tuple[str | None, str], str] = _local.__dict__.setdefault("arns", {})
    key = (_profile(purpose), region)
    if key not in known:
        with translated(service="sts", operation="GetCallerIdentity"):
            client = base_client("sts", region=region, purpose=purpose, is_brief=is_brief)
            known[key] = str(client.get_caller_identity()["Arn"])
    return known[key]


@dataclass
class AccountSession:
    """A way into one account for provisioning, into a handoff account for reading alone.

    Clients are made on first use; assumed credentials renew themselves.

    `is_brief` and `tries_once` as in `base_client`; `is_page`: somebody waits for a page, though not for that few
    seconds. `on_client` is given each client before its first call, e.g. to listen to it. All calls count for the
    account's rate, the one that assumes its provisioner role too. `opened_at` is when its credentials were assumed,
    None while there are none.
    Threads may share it.
    """

    access: AccountAccess
    is_brief: bool = False
    is_page: bool = False
    tries_once: bool = False
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

    def cloudtrail(self, region: str) -> CloudTrailReader:
        """CloudTrail of this account in `region`."""
        client: CloudTrailReader = self._client("cloudtrail", region)
        return client

    def _client(self, service: str, region: str) -> Any:
        if not self.access.is_readable:
            raise Misconfigured(
                f"Account {self.access.account_id} is a handoff account: the portal has no way in.",
                hint="Its owner applies the documents, or give the portal a role to read with.",
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
            if service != "sts":  # with STS one asks who one is
                self._require_own_account()
            return self._own_client(service, region)
        if self._credentials is None:
            self._credentials, self.opened_at = self._assume_provisioner(), datetime.now(UTC)
        credentials, is_brief, tries_once = self._credentials, self.is_brief, self.tries_once
        client = client_with(credentials, service, region=region, is_brief=is_brief, tries_once=tries_once)
        if self.access.mode is AccessMode.HANDOFF:
            client.meta.events.register("before-call", self._refuse_to_write)
        return self._heard(client)

    def _refuse_to_write(self, model: Any, **_: Any) -> None:
        """Stop a call that changes something before it is sent. AWS would refuse it too, by the session policy."""
        if not model.name.startswith(READS):
            raise Misconfigured(
                f"The portal was about to call {model.name} in handoff account {self.access.account_id}, and did not.",
                hint="It only reads there. This is a mistake of the portal's: report it.",
            )

    def _require_own_account(self) -> None:
        """Raise `Misconfigured` unless the portal's own identity is of this account: a wrong profile must not write."""
        found = own_arn(region=self.access.region, purpose=Purpose.PROVISIONING, is_brief=self.is_brief)
        self._require(found.split(":")[4], f"The portal's own identity {found}")

    def _require(self, found: str, what: str) -> None:
        if found != self.access.account_id:
            raise Misconfigured(
                f"{what} is in account {found}, not in {self.access.account_id}. Nothing was read or written there.",
                hint="Correct XACCT_PROVISIONING_AWS_PROFILE, or the account's way in: choose 'Assume role'.",
            )

    def _own_client(self, service: str, region: str) -> Any:
        purpose, is_brief, tries_once = Purpose.PROVISIONING, self.is_brief, self.tries_once
        return self._heard(
            base_client(service, region=region, purpose=purpose, is_brief=is_brief, tries_once=tries_once)
        )

    def _heard(self, client: Any) -> Any:
        if self.on_client is not None:
            self.on_client(client)
        return paced(client, self.access.account_id, is_page=self.is_page or self.is_brief)

    def _assume_provisioner(self) -> Credentials:
        self._require(self.access.role_arn.split(":")[4], f"The provisioner role {self.access.role_arn}")
        sts = self._own_client("sts", self.access.region)
        wanted: dict[str, Any] = {"RoleArn": self.access.role_arn, "RoleSessionName": PROVISIONER_SESSION_NAME}
        if self.access.external_id:
            wanted["ExternalId"] = self.access.external_id
        if self.access.mode is AccessMode.HANDOFF:
            wanted["Policy"] = reading_session_policy().as_json()
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

    It is for who writes: each call is sent once, the one that assumes the provisioner role too, so that one after
    which a document is written takes no longer than `roles.aws.timeouts` says. The caller repeats what did not work,
    and begins by reading.

    What is kept may be refused although a new way would not be, as when a provisioner role was made anew. Who is
    refused calls `forget_way` and tries again.
    """
    with _keeping:
        session = _kept.setdefault(access, AccountSession(access, tries_once=True))
        _kept.move_to_end(access)
        if len(_kept) > KEPT_MAX:
            _kept.popitem(last=False)
    return session


def forget_way(session: AccountSession) -> None:
    """Let the next who asks for a kept way into this account have a new one."""
    with _keeping:
        if _kept.get(session.access) is session:
            del _kept[session.access]

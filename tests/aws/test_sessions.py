"""Sessions and clients: whose identity, which endpoint, and for how long."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import botocore.endpoint
import pytest
from botocore.exceptions import EndpointConnectionError

from roles.aws import sessions, sts
from roles.aws.sessions import AccountSession, Purpose, base_client, client_with
from roles.aws.timeouts import CONNECT_SECONDS, READ_SECONDS
from roles.errors import AwsAccessDenied, Misconfigured
from roles.values.accounts import AccessMode, AccountId
from roles.values.credentials import Credentials
from tests.aws.conftest import ACCOUNT, REGION, Sent, access, refusing

PROVISIONER = f"arn:aws:iam::{ACCOUNT}:role/xacct-provisioner"


def key_of(client: Any) -> str:
    """Return the access key id that `client` signs with."""
    url = client.generate_presigned_url("get_caller_identity")
    credential: str = parse_qs(urlsplit(url).query)["X-Amz-Credential"][0]
    return credential.split("/", maxsplit=1)[0]


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Two identities of the portal, as profiles of the host."""
    file = tmp_path / "credentials"
    file.write_text(
        "[provisioning]\naws_access_key_id = AKIAPROVISIONING\naws_secret_access_key = x\n"
        "[tokens]\naws_access_key_id = AKIATOKENS\naws_secret_access_key = x\n"
    )
    monkeypatch.setitem(os.environ, "AWS_SHARED_CREDENTIALS_FILE", str(file))
    settings.XACCT_PROVISIONING_AWS_PROFILE = "provisioning"
    settings.XACCT_TOKENS_AWS_PROFILE = "tokens"


@pytest.fixture
def assuming(aws: None) -> AccountSession:
    """A way in through a provisioner role, which moto lets anybody assume."""
    trust = {"Version": "2012-10-17", "Statement": []}
    boto3.client("iam").create_role(RoleName="xacct-provisioner", AssumeRolePolicyDocument=json.dumps(trust))
    return AccountSession(access(AccessMode.ASSUME_ROLE, role_arn=PROVISIONER, external_id="external-1"))


# --- refused ---


def test_an_account_that_is_handed_off_has_no_way_in() -> None:
    session = AccountSession(access(AccessMode.HANDOFF))
    for way in (lambda: session.iam, lambda: session.sts, lambda: session.s3(REGION)):
        with pytest.raises(Misconfigured, match="no way in") as refused:
            way()
        assert "owner" in refused.value.hint


def test_a_provisioner_role_that_cannot_be_assumed_is_named(
    assuming: AccountSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("sts", region_name=REGION)
    monkeypatch.setattr(sessions, "base_client", lambda *_args, **_options: client)
    with refusing(client, "assume_role", "AccessDenied"), pytest.raises(AwsAccessDenied) as raised:
        _ = assuming.iam
    assert (raised.value.arn, raised.value.account, raised.value.operation) == (PROVISIONER, ACCOUNT, "AssumeRole")


OTHER = AccountId("999999999999")


@pytest.mark.parametrize("service", ["iam", "s3"])
def test_an_identity_of_another_account_gets_no_client_for_this_one(aws: None, sent: Sent, service: str) -> None:
    foreign = AccountSession(replace(access(), account_id=OTHER))
    with pytest.raises(Misconfigured) as refused:
        _ = foreign.iam if service == "iam" else foreign.s3(REGION)
    assert ACCOUNT in refused.value.message and OTHER in refused.value.message
    assert [name for name, _ in sent] == ["GetCallerIdentity"]


def test_an_identity_of_this_account_is_asked_for_once_for_all_its_ways(aws: None, sent: Sent) -> None:
    for way in (AccountSession(access()), AccountSession(access(), is_page=True), sessions.kept_session(access())):
        assert way.iam and way.s3(REGION)
    assert sts.caller_arn(region=REGION, purpose=Purpose.PROVISIONING).split(":")[4] == ACCOUNT
    assert [name for name, _ in sent] == ["GetCallerIdentity"]


def test_a_provisioner_role_of_another_account_is_not_assumed(aws: None, sent: Sent) -> None:
    role = PROVISIONER.replace(ACCOUNT, OTHER)
    with pytest.raises(Misconfigured, match=f"{role} is in account {OTHER}, not in {ACCOUNT}"):
        _ = AccountSession(access(AccessMode.ASSUME_ROLE, role_arn=role)).iam
    assert sent == []


# --- endpoints ---


def test_without_a_setting_clients_speak_to_aws_at_the_regions_own_endpoint(settings: Any) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = ""
    for region, host in (
        ("us-east-1", "sts.us-east-1.amazonaws.com"),
        ("eu-west-1", "sts.eu-west-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
    ):
        client = base_client("sts", region=region, purpose=Purpose.TOKENS)
        assert client.meta.endpoint_url == f"https://{host}"


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize("service", ["iam", "s3", "sts"])
def test_the_endpoint_setting_holds_for_every_client(service: str, settings: Any, credentials: Credentials) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = "http://127.0.0.1:4566"
    session = AccountSession(access())
    made = [
        base_client(service, region=REGION, purpose=Purpose.TOKENS),
        client_with(credentials, service, region=REGION),
        {"iam": session.iam, "s3": session.s3(REGION), "sts": session.sts}[service],
    ]
    assert [client.meta.endpoint_url for client in made] == ["http://127.0.0.1:4566"] * 3


def test_every_client_gives_up_in_time_and_says_who_it_is(credentials: Credentials) -> None:
    for client in (
        base_client("iam", region=REGION, purpose=Purpose.PROVISIONING),
        client_with(credentials, "s3", region=REGION),
        sessions.kept_session(access())._own_client("iam", REGION),
    ):
        config = client.meta.config
        assert (config.connect_timeout, config.read_timeout) == (5, 20) == (CONNECT_SECONDS, READ_SECONDS)
        assert config.retries["mode"] == "standard"
        assert "xacct-portal" in config.user_agent


def tries_of(client: Any, operation: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how often a call leaves while nobody answers."""
    tries: list[str] = []

    def drop(**_event: Any) -> None:
        tries.append(operation)
        raise EndpointConnectionError(endpoint_url="https://nobody.invalid")

    monkeypatch.setattr(botocore.endpoint.time, "sleep", lambda _seconds: None)
    client.meta.events.register_first("before-send", drop)
    with pytest.raises(EndpointConnectionError):
        getattr(client, operation)()
    return len(tries)


def test_a_kept_way_sends_each_call_once_and_others_repeat_it(
    assuming: AccountSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = sessions.kept_session(assuming.access)
    assert tries_of(kept.iam, "list_roles", monkeypatch) == tries_of(kept.s3(REGION), "list_buckets", monkeypatch) == 1
    assert tries_of(assuming.iam, "list_roles", monkeypatch) == 5


def test_a_kept_way_assumes_its_role_with_one_call(assuming: AccountSession, monkeypatch: pytest.MonkeyPatch) -> None:
    client = sessions.kept_session(access())._own_client("sts", REGION)
    assert tries_of(client, "get_caller_identity", monkeypatch) == 1
    assert tries_of(assuming._own_client("sts", REGION), "get_caller_identity", monkeypatch) == 5


# --- identities ---


@pytest.mark.usefixtures("profiles")
def test_changing_aws_and_handing_out_tokens_are_two_identities() -> None:
    assert key_of(base_client("sts", region=REGION, purpose=Purpose.PROVISIONING)) == "AKIAPROVISIONING"
    assert key_of(base_client("sts", region=REGION, purpose=Purpose.TOKENS)) == "AKIATOKENS"
    assert key_of(AccountSession(access()).sts) == "AKIAPROVISIONING"


def test_given_credentials_are_used_and_never_the_portals_own(credentials: Credentials) -> None:
    assert key_of(client_with(credentials, "sts", region=REGION)) == credentials.access_key_id


@pytest.mark.usefixtures("profiles")
def test_each_thread_has_its_own_session_and_keeps_it() -> None:
    found: list[Any] = []

    def look() -> None:
        found.extend(sessions._session("tokens") for _ in range(2))

    look()
    other = threading.Thread(target=look)
    other.start()
    other.join()
    assert found[0] is found[1]
    assert found[2] is found[3]
    assert found[0] is not found[2]


@pytest.mark.usefixtures("profiles")
def test_changed_credentials_are_read_again_once_sessions_are_forgotten(settings: Any) -> None:
    base_client("sts", region=REGION, purpose=Purpose.TOKENS)
    Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"]).write_text(
        "[tokens]\naws_access_key_id = AKIARENEWED\naws_secret_access_key = x\n"
    )
    sessions.forget_sessions()
    assert key_of(base_client("sts", region=REGION, purpose=Purpose.TOKENS)) == "AKIARENEWED"


# --- ways into an account ---


def test_clients_are_made_once(account: AccountSession) -> None:
    assert account.iam is account.iam
    assert account.s3(REGION) is account.s3(REGION)
    assert account.s3(REGION) is not account.s3("eu-west-1")


def test_a_provisioner_role_is_assumed_once_with_its_external_id(assuming: AccountSession, sent: Sent) -> None:
    assert {key_of(assuming.sts), key_of(assuming.sts)} != {"testing"}
    assert assuming.iam.list_roles()["Roles"]
    assumed = [parameters for name, parameters in sent if name == "AssumeRole"]
    assert assumed == [
        {"RoleArn": PROVISIONER, "RoleSessionName": "xacct-portal", "ExternalId": "external-1"},
    ]


def test_a_provisioner_role_without_an_external_id_is_assumed_without_one(aws: None, sent: Sent) -> None:
    assert AccountSession(access(AccessMode.ASSUME_ROLE, role_arn=PROVISIONER)).iam
    assert [sorted(parameters) for name, parameters in sent if name == "AssumeRole"] == [["RoleArn", "RoleSessionName"]]


def test_assumed_credentials_renew_themselves_before_they_end(
    assuming: AccountSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = assuming.iam
    assert assuming.iam is first
    monkeypatch.setattr(sessions, "REFRESH_BEFORE", timedelta(hours=2))
    second = assuming.iam
    assert second is not first
    assert second.list_roles()["Roles"]


def test_a_way_in_shows_no_secret(assuming: AccountSession) -> None:
    assert assuming.iam
    assert assuming._credentials is not None
    assert assuming._credentials.secret_access_key not in repr(assuming)
    assert assuming._credentials.session_token not in repr(assuming)


# --- kept ways ---


def test_a_kept_way_is_assumed_once_for_all_threads_of_the_process(assuming: AccountSession, sent: Sent) -> None:
    ways: list[Any] = []

    def use() -> None:
        way = sessions.kept_session(assuming.access)
        ways.append((way, way.iam))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(way) for way, _ in ways}) == len({id(client) for _, client in ways}) == 1
    assert [name for name, _ in sent] == ["AssumeRole"]


def test_a_way_with_another_role_or_external_id_is_another_one(assuming: AccountSession) -> None:
    first = sessions.kept_session(assuming.access)
    other = access(AccessMode.ASSUME_ROLE, role_arn=PROVISIONER, external_id="external-2")
    assert sessions.kept_session(other) is not first
    assert sessions.kept_session(assuming.access) is first


def test_a_way_that_was_forgotten_is_opened_anew_and_a_newer_one_stays(assuming: AccountSession) -> None:
    first = sessions.kept_session(assuming.access)
    sessions.forget_way(first)
    second = sessions.kept_session(assuming.access)
    assert second is not first
    sessions.forget_way(first)  # somebody else was refused too, later
    assert sessions.kept_session(assuming.access) is second


def test_no_more_ways_are_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "KEPT_MAX", 2)
    ways = [access(AccessMode.ASSUME_ROLE, role_arn=PROVISIONER, external_id=f"external-{n}") for n in range(3)]
    first = [sessions.kept_session(way) for way in ways]
    assert sessions.kept_session(ways[2]) is first[2]
    assert sessions.kept_session(ways[0]) is not first[0]

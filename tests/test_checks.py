from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet

from roles import checks
from roles.aws import timeouts

PORTAL = "arn:aws:iam::111111111111:role/team/xacct-portal"


@pytest.mark.parametrize("key", ["", "short", "é" * 44, "A" * 43])
def test_token_key_that_is_none_is_an_error_that_does_not_show_it(settings: Any, key: str) -> None:
    settings.XACCT_TOKEN_KEYS = [Fernet.generate_key().decode(), key]
    (found,) = checks.check_token_keys()
    assert found.id == "roles.E001"
    assert found.msg == "Key 2 of XACCT_TOKEN_KEYS is not a Fernet key."


def test_fernet_keys_are_fine(settings: Any) -> None:
    settings.XACCT_TOKEN_KEYS = [Fernet.generate_key().decode()]
    assert checks.check_token_keys() == []


@pytest.mark.parametrize(
    "principal",
    [
        "*",
        "111111111111",
        "arn:aws:iam::111111111111:role/*",
        "arn:aws:iam::1111:role/portal",
        "arn:aws:iam::*:root",
        "arn:aws:sts::111111111111:assumed-role/portal/session",
        f"{PORTAL}\n",
    ],
)
def test_principal_that_names_no_one_identity_is_an_error(settings: Any, principal: str) -> None:
    settings.XACCT_PORTAL_PRINCIPALS = [PORTAL, principal]
    assert [found.id for found in checks.check_portal_principals()] == ["roles.E002"]


def test_arns_of_identities_are_fine(settings: Any) -> None:
    settings.XACCT_PORTAL_PRINCIPALS = [PORTAL, "arn:aws-cn:iam::111111111111:user/portal"]
    assert checks.check_portal_principals() == []


@pytest.mark.parametrize("name", checks.POSITIVE)
@pytest.mark.parametrize("value", [0, -1])
def test_number_that_is_not_above_zero_is_an_error(settings: Any, name: str, value: int) -> None:
    setattr(settings, name, value)
    (found,) = checks.check_numbers()
    assert (found.id, found.msg) == ("roles.E003", f"{name} must be above zero, not {value}.")


def test_default_numbers_are_fine() -> None:
    assert checks.check_numbers() == []


@pytest.mark.parametrize("name", checks.TERMS)
@pytest.mark.parametrize("value", [1, timeouts.WRITE_SECONDS_MAX])
def test_a_term_that_a_write_may_outlast_is_an_error(settings: Any, name: str, value: int) -> None:
    setattr(settings, name, value)
    (found,) = checks.check_terms()
    assert (found.id, found.msg) == ("roles.E004", f"{name} must be above 50, not {value}.")


def test_terms_that_outlast_a_write_are_fine(settings: Any) -> None:
    assert checks.check_terms() == []
    settings.XACCT_LEASE_SECONDS = settings.XACCT_RUN_CLAIM_SECONDS = timeouts.WRITE_SECONDS_MAX + 1
    assert checks.check_terms() == []


def test_one_identity_for_both_purposes_is_warned_of(settings: Any) -> None:
    settings.XACCT_PROVISIONING_AWS_PROFILE = settings.XACCT_TOKENS_AWS_PROFILE = "portal"
    assert [found.id for found in checks.check_identities()] == ["roles.W001"]


@pytest.mark.parametrize(("provisioning", "tokens"), [("", ""), ("provisioning", "tokens"), ("provisioning", "")])
def test_two_identities_or_the_hosts_own_are_fine(settings: Any, provisioning: str, tokens: str) -> None:
    settings.XACCT_PROVISIONING_AWS_PROFILE, settings.XACCT_TOKENS_AWS_PROFILE = provisioning, tokens
    assert checks.check_identities() == []


def test_cache_of_one_process_is_warned_of(settings: Any) -> None:
    settings.CACHES = {"shared": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert [found.id for found in checks.check_shared_cache()] == ["roles.W002"]


@pytest.mark.parametrize("backend", ["db.DatabaseCache", "redis.RedisCache"])
def test_cache_that_all_processes_share_is_fine(settings: Any, backend: str) -> None:
    settings.CACHES = {"shared": {"BACKEND": f"django.core.cache.backends.{backend}"}}
    assert checks.check_shared_cache() == []


def test_sandbox_in_production_is_warned_of(settings: Any) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = "http://127.0.0.1:4566"
    assert [found.id for found in checks.check_endpoint()] == ["roles.W003"]


@pytest.mark.parametrize("url", ["http://me:secret@127.0.0.1:4566", "https://me@aws.example.com"])
def test_an_endpoint_with_a_name_or_password_is_refused_and_not_shown(settings: Any, url: str) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = url
    (found,) = checks.check_endpoint_holds_no_secret()
    assert found.id == "roles.E005" and "secret" not in f"{found.msg}{found.hint}"


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:4566"])
def test_an_endpoint_alone_is_fine(settings: Any, url: str) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = url
    assert checks.check_endpoint_holds_no_secret() == []


def test_aws_itself_is_fine(settings: Any) -> None:
    settings.XACCT_AWS_ENDPOINT_URL = ""
    assert checks.check_endpoint() == []

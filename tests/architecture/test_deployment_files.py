from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.architecture import tree

PORTAL = ("migrate", "web", "worker", "beat")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((tree.ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


def test_compose_file_has_the_parts(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*PORTAL, "db", "redis"}


def test_every_long_running_service_has_a_health_check(compose: dict[str, Any]) -> None:
    services = {name: service for name, service in compose["services"].items() if name != "migrate"}
    assert [name for name, service in services.items() if not service.get("healthcheck", {}).get("test")] == []


def test_portal_waits_for_the_migrations_and_they_for_the_database(compose: dict[str, Any]) -> None:
    assert compose["services"]["migrate"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    for name in ("web", "worker", "beat"):
        waits_for = compose["services"][name]["depends_on"]
        assert waits_for["migrate"]["condition"] == "service_completed_successfully"
        assert waits_for["redis"]["condition"] == "service_healthy"


def test_no_secret_stands_in_the_compose_file(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("SECRET|PASSWORD|KEY|TOKEN_KEYS", name) and value is not None:
                assert value.startswith("${"), name


def test_portal_runs_without_privileges(compose: dict[str, Any]) -> None:
    for name in PORTAL:
        service = compose["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_only_the_web_server_is_published_and_only_on_loopback(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert list(published) == ["web"]
    assert all(port.startswith("127.0.0.1:") for port in published["web"])


def test_compose_passes_every_setting_on(compose: dict[str, Any]) -> None:
    # What the image fixes, what only development has, and what must not be set in production.
    fixed = {"XACCT_DATA_DIR", "XACCT_ENV_FILE", "DEBUG", "XACCT_AWS_ENDPOINT_URL"}
    assert tree.settings_names() - fixed <= set(compose["services"]["web"]["environment"])


def test_image_runs_as_an_ordinary_user_from_hashed_requirements() -> None:
    lines = (tree.ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line for line in lines if line.startswith("USER ")]
    assert users == ["USER portal"]
    assert any("--require-hashes" in line for line in lines)
    assert sum(line.startswith("FROM python:3.11-slim") for line in lines) == 2


def test_image_leaves_the_environment_file_out() -> None:
    ignored = (tree.ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert not any(line.startswith("!.env") for line in ignored)


def test_docker_compose_accepts_the_file() -> None:
    docker_compose = shutil.which("docker-compose")
    if docker_compose is None:
        assert not os.environ.get("CI"), "CI installs docker-compose"
        return
    environment = {**os.environ, "SECRET_KEY": "x", "POSTGRES_PASSWORD": "x", "ALLOWED_HOSTS": "portal.example.com"}
    command = [docker_compose, "-f", "docker-compose.yml", "config", "--quiet"]
    answer = subprocess.run(
        command, cwd=tree.ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 0, answer.stderr
    del environment["SECRET_KEY"]
    refused = subprocess.run(
        command, cwd=tree.ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert refused.returncode != 0
    assert "set SECRET_KEY" in refused.stderr

"""The environment that the demo and every process of it run in. Read before Django's settings; knows no Django."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

SETTINGS = "xacct_portal.settings"
BASE_DIR = Path(__file__).resolve().parents[3]
DATA_DIR = Path(os.environ.get("XACCT_DEMO_DIR") or BASE_DIR / "var" / "demo")
SANDBOX_PORT = 4566
WEB_PORT = 8000
# What a developer may have set for other work; the demo reads none of it.
_FOREIGN = ("DATABASE_URL", "CACHE_URL", "CELERY_BROKER_URL", "SECRET_KEY_FALLBACKS", "CSRF_TRUSTED_ORIGINS")


def free_port(preferred: int) -> int:
    """Return `preferred` if nobody listens there on loopback, else one of the next twenty, else any free one."""
    for port in (*range(preferred, preferred + 20), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no free port on 127.0.0.1")


def kept_secret(name: str, length: int) -> str:
    """Return the random text kept in the file `name` of the demo's folder; made on first use, readable by us only."""
    path = DATA_DIR / name
    if not path.exists():
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(length))
    return path.read_text(encoding="ascii").strip()


def prepare() -> None:
    """Set every variable that the portal's settings and boto3 read, so that no real account is ever touched."""
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith(("AWS_", "XACCT_")) and name != "XACCT_DEMO_DIR"]:
        del os.environ[name]
    for name in _FOREIGN:
        os.environ.pop(name, None)
    os.environ.update(
        {
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "DEBUG": "off",
            "SECRET_KEY": kept_secret("secret-key", 64),
            "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]",
            "LOG_LEVEL": "INFO",
            "LOG_JSON": "off",
            "XACCT_ENV_FILE": os.devnull,
            "XACCT_DATA_DIR": str(DATA_DIR),
            "XACCT_HTTPS": "off",
            "XACCT_RESEND_SECONDS": "5",
            "XACCT_PROPAGATION_SECONDS": "20",
            "XACCT_AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port(SANDBOX_PORT)}",
            "XACCT_PROVISIONING_AWS_PROFILE": "xacct-portal",
            "XACCT_TOKENS_AWS_PROFILE": "xacct-tokens",
            "AWS_SHARED_CREDENTIALS_FILE": str(DATA_DIR / "aws-credentials"),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )


def of_children() -> dict[str, str]:
    """Return the environment of the demo's processes. They take it as it is.

    Django puts `--settings` back into DJANGO_SETTINGS_MODULE; with the demo's own settings each process would `prepare`
    once more, find the port of the sandbox taken by the sandbox, and look for AWS where nobody is.
    """
    return {**os.environ, "DJANGO_SETTINGS_MODULE": SETTINGS}

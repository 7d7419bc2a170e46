"""The environment tests run in, set before Django reads its settings.

`TEST_DATABASE_URL` and `TEST_REDIS_URL` choose real services; without them tests use SQLite and embedded defaults.
"""

from __future__ import annotations

import os
import tempfile

EMBEDDED_DIR = tempfile.mkdtemp(prefix="xacct-tests-")


def prepare() -> None:
    """Set every variable the settings read, so that a developer's own `.env` never reaches a test."""
    redis_url = os.environ.get("TEST_REDIS_URL", "")
    os.environ.update(
        {
            "DEBUG": "off",
            "SECRET_KEY": "tests-only-secret-key-with-enough-length-and-randomness-7f3c1b9a",
            "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
            "XACCT_ENV_FILE": os.devnull,
            "XACCT_DATA_DIR": EMBEDDED_DIR,
            "XACCT_HTTPS": "off",
            "XACCT_PROPAGATION_SECONDS": "2",
            "XACCT_ACCOUNT_CALLS_PER_SECOND": "10000",
            "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", "") or f"sqlite:///{EMBEDDED_DIR}/portal.sqlite3",
            "CACHE_URL": f"{redis_url}/14" if redis_url else "locmemcache://",
            "CELERY_BROKER_URL": f"{redis_url}/15" if redis_url else "filesystem://",
            "LOG_LEVEL": "WARNING",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
    )
    for name in ("XACCT_AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        os.environ.pop(name, None)

"""The enforcing AWS sandbox (MiniStack) of the demo and of the access tests: start it, and seed its two accounts.

Development only. In the sandbox a 12-digit access key id is that account's root; that, and nothing else, is what lets
`seed` build a world without any credentials. What the portal may do there: `sandbox_documents`.
"""

from __future__ import annotations

import configparser
import contextlib
import http.client
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from django.conf import settings

from roles.aws.sandbox_documents import (
    BUCKET,
    BUCKET_ACCOUNT,
    FOREIGN_ROLE,
    PORTAL_ACCOUNT,
    PROVISIONER_ROLE,
    PROVISIONING_PROFILE,
    REGION,
    TOKENS_PROFILE,
    document,
    foreign_statement,
    provisioner_policy,
    provisioner_trust,
    provisioning_policy,
    sandbox_only_policy,
    tokens_policy,
)
from roles.errors import Misconfigured

OBJECTS: dict[str, bytes] = {
    "README.txt": b"Example data of the bucket-owning account.\n",
    "reports/2026/q1.csv": b"region,revenue\nnorth,1200\nsouth,900\n",
    "reports/2026/q2.csv": b"region,revenue\nnorth,1350\nsouth,870\n",
    "reports/2025/q4.csv": b"region,revenue\nnorth,1100\nsouth,940\n",
    "team/notes.md": b"# Notes\n\nOne shared folder for the team.\n",
    "team-secret/plan.md": b"# Plan\n\nNot below the prefix `team`.\n",
    "logs/2026-11-01.log": b"started\nstopped\n",
}
READY_SECONDS = 20.0


def root_client(service: str, account_id: str, *, endpoint_url: str) -> Any:
    """Return a client that acts as the sandbox's root of `account_id`."""
    return _client(service, account_id, "sandbox-root", endpoint_url=endpoint_url)


def _client(service: str, access_key_id: str, secret: str, *, endpoint_url: str) -> Any:
    session: Any = boto3.session.Session()
    return session.client(
        service,
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
    )


@dataclass(frozen=True, slots=True)
class SandboxServer:
    """How to run MiniStack on `port` of loopback.

    `state_dir` keeps its accounts over restarts, if it was stopped with SIGTERM; without it they are gone.
    """

    port: int
    state_dir: Path | None = None

    @property
    def endpoint_url(self) -> str:
        """Where its AWS APIs answer."""
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return the command line. Raises `Misconfigured` when the sandbox is not installed."""
        python = Path(settings.BASE_DIR) / ".venv-sandbox" / "bin" / "python"
        if not python.exists():
            raise Misconfigured("The AWS sandbox is not installed.", hint="Run `make sandbox`.")
        return [str(python), "-m", "ministack"]

    def environment(self) -> dict[str, str]:
        """Return its whole environment: nothing of the portal's, no real AWS credentials."""
        wanted = {
            "PATH": os.environ.get("PATH", ""),
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
        }
        if self.state_dir is not None:
            wanted |= {
                "PERSIST_STATE": "1",
                "STATE_DIR": str(self.state_dir / "services"),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(self.state_dir / "objects"),
            }
        return wanted

    def wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Return once `process`, started from `command` and `environment`, answers. Raises `Misconfigured`."""
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and process.poll() is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
            try:
                connection.request("GET", "/_ministack/health")
                connection.getresponse()
                return
            except OSError:
                time.sleep(0.05)
            finally:
                connection.close()
        raise Misconfigured(f"The AWS sandbox did not start on port {self.port}.", hint="See what it said.")


def seed(endpoint_url: str, *, credentials_file: Path) -> None:
    """Make the two accounts of the demo, as often as you like: what is there already stays as it is.

    Writes the access keys of the two portal identities as profiles into `credentials_file` (mode 0600).
    """
    portal_iam = root_client("iam", PORTAL_ACCOUNT, endpoint_url=endpoint_url)
    owner_iam = root_client("iam", BUCKET_ACCOUNT, endpoint_url=endpoint_url)
    users = ((PROVISIONING_PROFILE, provisioning_policy()), (TOKENS_PROFILE, tokens_policy()))
    # The documented policy stays as it is; what only the sandbox asks for is beside it.
    keys = {name: _seed_user(portal_iam, name, policy, credentials_file) for name, policy in users}
    portal_iam.put_user_policy(
        UserName=PROVISIONING_PROFILE, PolicyName="sandbox-only", PolicyDocument=json.dumps(sandbox_only_policy())
    )
    _write_profiles(credentials_file, keys)
    _seed_role(owner_iam, PROVISIONER_ROLE, provisioner_trust())
    for policy_name, policy in (("xacct-provisioner", provisioner_policy()), ("sandbox-only", sandbox_only_policy())):
        owner_iam.put_role_policy(RoleName=PROVISIONER_ROLE, PolicyName=policy_name, PolicyDocument=json.dumps(policy))
    _seed_role(
        owner_iam,
        FOREIGN_ROLE,
        document(
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{BUCKET_ACCOUNT}:root"},
                "Action": "sts:AssumeRole",
            }
        ),
    )
    _seed_bucket(root_client("s3", BUCKET_ACCOUNT, endpoint_url=endpoint_url))


def _seed_role(iam: Any, name: str, trust: dict[str, Any]) -> None:
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    except iam.exceptions.EntityAlreadyExistsException:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))


def _seed_user(iam: Any, name: str, policy: dict[str, Any], credentials_file: Path) -> tuple[str, str]:
    """Make the user with its policy and return its access key: the one on file while it lives, else a new one."""
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_user(UserName=name)
    _seed_user_policy(iam, name, policy)
    living = [key["AccessKeyId"] for key in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]]
    on_file = _read_profile(credentials_file, name)
    if on_file and on_file[0] in living:
        return on_file
    for key_id in living:
        iam.delete_access_key(UserName=name, AccessKeyId=key_id)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    return made["AccessKeyId"], made["SecretAccessKey"]


def _seed_user_policy(iam: Any, name: str, policy: dict[str, Any]) -> None:
    """Attach the policy as a managed one: a user's inline policies have 2,048 characters (IAM and STS quotas)."""
    arn = f"arn:aws:iam::{PORTAL_ACCOUNT}:policy/{name}"
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        iam.detach_user_policy(UserName=name, PolicyArn=arn)
    with contextlib.suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_policy(PolicyArn=arn)
    iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(policy))
    iam.attach_user_policy(UserName=name, PolicyArn=arn)


def _seed_bucket(s3: Any) -> None:
    """Make the bucket with its objects and somebody else's statement; a bucket that is there is left alone."""
    try:
        s3.head_bucket(Bucket=BUCKET)
    except ClientError:
        s3.create_bucket(Bucket=BUCKET)
        for key, body in OBJECTS.items():
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(document(foreign_statement())))


def _read_profile(path: Path, name: str) -> tuple[str, str] | None:
    parser = configparser.RawConfigParser()
    parser.read(path)
    if not parser.has_section(name):
        return None
    return parser.get(name, "aws_access_key_id"), parser.get(name, "aws_secret_access_key")


def _write_profiles(path: Path, keys: dict[str, tuple[str, str]]) -> None:
    parser = configparser.RawConfigParser()
    for name, (key_id, secret) in keys.items():
        parser[name] = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        parser.write(file)

"""The owner of Account B at a shell: applies by hand, with the AWS CLI, what the portal hands out."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from django.conf import settings

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, SANDBOX_ANYWHERE
from roles.policies.document import parse

CLI = Path(settings.BASE_DIR) / ".venv-tools" / "bin"  # made by `make tools`


class Owner:
    """The owner of Account B at a shell: root there, in a directory of their own.

    `anywhere`: the actions that this AWS asks for with other resources than AWS (`sandbox_only_policy`).
    """

    def __init__(
        self, server: sandbox.SandboxServer, directory: Path, *, anywhere: tuple[str, ...] = SANDBOX_ANYWHERE
    ) -> None:
        self.directory, self.anywhere = directory, anywhere
        self.endpoint_url = server.endpoint_url
        self.s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=server.endpoint_url)
        self.iam = sandbox.root_client("iam", BUCKET_ACCOUNT, endpoint_url=server.endpoint_url)

    def run(self, script: str, *arguments: str, account: str = BUCKET_ACCOUNT) -> subprocess.CompletedProcess[str]:
        """Run a script with credentials of `account`."""
        path = self.directory / "handoff.sh"
        path.write_text(script)
        environment = {
            "PATH": f"{CLI}:{os.environ['PATH']}",
            "HOME": str(self.directory),
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "sandbox-root",
        }
        command = ["bash", str(path), *arguments]
        return subprocess.run(
            command, cwd=self.directory, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    @property
    def bucket_policy(self) -> list[dict[str, Any]]:
        """The statements of the bucket's policy."""
        statements: list[dict[str, Any]] = json.loads(self.s3.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"]
        return statements

    @property
    def trust_sids(self) -> list[str]:
        """The Sids in the trust policy of MyRoleB."""
        document = self.iam.get_role(RoleName="MyRoleB")["Role"]["AssumeRolePolicyDocument"]
        return [statement.sid for statement in parse(document).statements]

    @property
    def backups(self) -> list[str]:
        """The names of the documents that scripts have kept."""
        return sorted(path.name for path in self.directory.glob("xacct-*-before-*/*.json"))

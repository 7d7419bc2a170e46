"""The conformance suite, where there is one: as AWS in every area that the portal lives from.

The suite is not part of the repository. It is looked for beside the checkout, or where XACCT_CONFORMANCE_SUITE says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from roles.aws.sandbox import SandboxServer
from tests.sandbox.conftest import reset_sandbox
from tests.strict_aws.http_front import HttpFront

ROOT = Path(__file__).resolve().parents[2]
AREAS = {"trust", "bucket", "session", "revoke", "lifecycle", "sts-api", "validate-iam", "validate-s3"}
# What MiniStack has not, and this layer does not add; README.md says why.
LEFT = {"A:sts get_access_key_info", "A:accessanalyzer validate_policy", "A:s3control get_public_access_block"}


def suite_path() -> Path | None:
    """Where the conformance suite is: named by the environment, or beside the checkout."""
    named = os.environ.get("XACCT_CONFORMANCE_SUITE")
    beside = ROOT.parent / "shared" / "conformance" / "suite.py"
    if named:
        return Path(named)
    return beside if beside.exists() else None


@pytest.mark.sandbox
def test_front_answers_as_aws_in_every_scenario_that_concerns_us(front: HttpFront, tmp_path: Path) -> None:
    suite = suite_path()
    if suite is None:
        assert not (ROOT.parent / "shared").exists(), "the conformance suite is gone from beside the checkout"
        return
    assert suite.is_file(), "XACCT_CONFORMANCE_SUITE names no file"
    reset_sandbox(SandboxServer(front.port))
    results = tmp_path / "results.json"
    command = [sys.executable, str(suite), f"strict={front.endpoint_url}", "--json", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    scenarios = json.loads(results.read_text(encoding="utf-8"))
    wrong = {item["id"]: (item["aws"], item["obs"]) for item in scenarios if not item["ok"]}
    assert {number: seen for number, seen in wrong.items() if number not in LEFT} == {}
    assert set(Counter(item["cat"] for item in scenarios)) >= AREAS

"""What people paste: run where the shell is here, and looked at where it is not."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from roles.errors import TokenUnavailable
from roles.tokens import container_blocks
from roles.tokens.container_blocks import Source
from roles.tokens.formats import Place

BEARER = "xacct_" + "A" * 43
SOURCE = Source("https://portal.example.com/container-credentials/12/5/", Place("eu-central-1"), "12-5", BEARER)


@pytest.mark.parametrize(
    "uri", ["http://portal.example.com/x", "http://10.0.0.1/x", "http://localhost.example.com/", "ftp://localhost/", ""]
)
def test_an_address_that_sdks_refuse_is_known(uri: str) -> None:
    assert not container_blocks.is_taken_by_sdks(uri)


@pytest.mark.parametrize(
    "uri", ["https://portal.example.com/", "http://127.0.0.1:8000/", "http://[::1]/", "http://localhost/"]
)
def test_an_address_that_sdks_take_is_known(uri: str) -> None:
    assert container_blocks.is_taken_by_sdks(uri)


@pytest.mark.parametrize("bearer", ["two\nlines", "with space", "", "\u00e9"])
@pytest.mark.parametrize("block", [block for _, _, block in container_blocks.BLOCKS])
def test_a_bearer_that_could_start_a_line_of_its_own_is_refused(block: object, bearer: str) -> None:
    assert callable(block)
    with pytest.raises(TokenUnavailable):
        block(Source(SOURCE.uri, SOURCE.place, SOURCE.name, bearer))


def test_cmd_says_so_when_it_cannot_quote() -> None:
    text = container_blocks.cmd(Source("https://portal.example.com/%PATH%/", Place("eu-central-1"), "12-5", BEARER))
    assert text.startswith("rem ") and BEARER not in text


def test_the_bearer_is_not_in_a_repr() -> None:
    assert BEARER not in repr(SOURCE)


def pasted(tmp_path: Path, shell: str = "bash") -> dict[str, str]:
    """Return the environment after the block was pasted into a shell with other credentials in it."""
    environment = {
        "HOME": str(tmp_path),
        "PATH": os.environ["PATH"],
        "AWS_ACCESS_KEY_ID": "AKIAOLD",
        "AWS_PROFILE": "old",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/old",
    }
    script = "umask 022; set -o noclobber\n" + container_blocks.posix(SOURCE) + "env -0\n"
    answer = subprocess.run([shell, "-c", script], env=environment, capture_output=True, check=True, timeout=30)
    assert answer.stderr == b""
    return dict(line.split("=", 1) for line in answer.stdout.decode().split("\0") if line)


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_in_a_posix_shell_the_bearer_is_in_a_closed_file_without_a_lines_end(tmp_path: Path, shell: str) -> None:
    folder = tmp_path / ".config" / "xacct"
    folder.mkdir(parents=True)
    (folder / "12-5.token").write_text("an older one that others may read")
    environment = pasted(tmp_path, shell)
    file = Path(environment["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
    assert file == folder / "12-5.token"
    assert file.read_bytes() == BEARER.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_in_a_posix_shell_nothing_stays_in_the_way(tmp_path: Path) -> None:
    environment = pasted(tmp_path)
    assert environment["AWS_CONTAINER_CREDENTIALS_FULL_URI"] == SOURCE.uri
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "eu-central-1"
    assert not set(container_blocks.IN_THE_WAY) & set(environment)
    assert BEARER not in environment.values()


@pytest.mark.parametrize("block", [block for _, _, block in container_blocks.BLOCKS])
def test_each_shell_gets_the_same_variables_and_loses_the_same(block: object) -> None:
    assert callable(block)
    text = block(SOURCE)
    assert text.count(BEARER) == 1
    for name, value in SOURCE.variables:
        assert name in text and value in text
    for name in (*container_blocks.IN_THE_WAY, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        assert name in text


def test_no_shell_writes_a_lines_end_into_the_file() -> None:
    assert " printf %s " in container_blocks.posix(SOURCE)
    assert " printf %s " in container_blocks.fish(SOURCE)
    assert "WriteAllText(" in container_blocks.powershell(SOURCE)
    assert '<nul set /p "=' in container_blocks.cmd(SOURCE)


def test_the_profile_names_the_program_and_holds_no_secret() -> None:
    text = container_blocks.program_profile("12/5", Place("eu-central-1"))
    assert "credential_process = /full/path/to/xacct-credentials get 12/5\n" in text
    assert "region = eu-central-1\n" in text
    assert "endpoint" not in text


@pytest.mark.parametrize("block", [block for _, _, block in container_blocks.BLOCKS])
def test_a_sandbox_is_named_and_aws_itself_is_not(block: object) -> None:
    assert callable(block)
    assert "AWS_ENDPOINT_URL" not in block(SOURCE)
    sandbox = Place("us-east-1", "http://127.0.0.1:4566")
    text = block(Source(SOURCE.uri, sandbox, SOURCE.name, BEARER))
    assert "AWS_ENDPOINT_URL" in text and "http://127.0.0.1:4566" in text
    assert "endpoint_url = http://127.0.0.1:4566\n" in container_blocks.program_profile("12/5", sandbox)

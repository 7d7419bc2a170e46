"""What people paste: safe in each shell, with the region, and readable by the tool it is for."""

from __future__ import annotations

import ast
import configparser
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from roles.errors import TokenUnavailable
from roles.tokens import formats
from roles.tokens.formats import Place
from roles.values.credentials import Credentials

ENDS = datetime(2026, 11, 25, 12, 30, tzinfo=timezone(timedelta(hours=2)))
NASTY = "a'b\"c\\d$(id)`id`;&|<>*~#$HOME=+/"
SHAPES: list[Callable[[Credentials, Place], str]] = [
    formats.environment,
    formats.fish,
    formats.powershell,
    formats.cmd,
    formats.aws_profile,
    formats.boto3,
    formats.spark,
    formats.duckdb,
    formats.rclone,
    formats.credential_process,
]


def credentials(secret: str = "wJalr/+=", token: str = "FwoG/+==") -> Credentials:
    return Credentials("ASIAEXAMPLE", secret, token, ENDS)


@pytest.mark.parametrize("shape", SHAPES[:-1])
@pytest.mark.parametrize("broken", ["a\nrm -rf ~", "a\rb", "", "a b", "a\x00b", "ä"])
def test_a_value_that_could_start_a_line_of_its_own_is_refused(
    shape: Callable[[Credentials, Place], str], broken: str
) -> None:
    with pytest.raises(TokenUnavailable):
        shape(credentials(secret=broken), Place("us-east-1"))
    with pytest.raises(TokenUnavailable):
        shape(credentials(), Place(broken))
    if broken:
        with pytest.raises(TokenUnavailable):
            shape(credentials(), Place("us-east-1", broken))


@pytest.mark.parametrize("special", ["%PATH%", 'a"&calc', "!x!", "a^b"])
def test_cmd_says_that_it_cannot_rather_than_quote_wrongly(special: str) -> None:
    text = formats.cmd(credentials(secret=special), Place("us-east-1"))
    assert text.startswith("rem ")
    assert special not in text


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_posix_shell_gets_exactly_the_values(shell: str) -> None:
    program = shutil.which(shell)
    assert program is not None
    script = formats.environment(credentials(secret=NASTY), Place("eu-central-1")) + (
        'printf "%s\\n" "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" "$AWS_REGION" '
        '"$AWS_DEFAULT_REGION"'
    )
    answer = subprocess.run([program, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines() == ["ASIAEXAMPLE", NASTY, "FwoG/+==", "eu-central-1", "eu-central-1"]


def test_fish_escapes_backslash_and_quote() -> None:
    text = formats.fish(credentials(secret="a'b\\c"), Place("us-east-1"))
    assert "set -gx AWS_SECRET_ACCESS_KEY 'a\\'b\\\\c'\n" in text
    assert "set -gx AWS_REGION 'us-east-1'\nset -gx AWS_DEFAULT_REGION 'us-east-1'\n" in text


def test_powershell_doubles_the_quote_and_expands_nothing() -> None:
    text = formats.powershell(credentials(secret="a'b$env:x`n"), Place("us-east-1"))
    assert "$Env:AWS_SECRET_ACCESS_KEY = 'a''b$env:x`n'\n" in text
    assert "$Env:AWS_REGION = 'us-east-1'\n$Env:AWS_DEFAULT_REGION = 'us-east-1'\n" in text


def test_cmd_quotes_the_whole_assignment() -> None:
    text = formats.cmd(credentials(secret="a&b|c"), Place("us-east-1"))
    assert text.splitlines()[1] == 'set "AWS_SECRET_ACCESS_KEY=a&b|c"'
    assert text.splitlines()[3:] == ['set "AWS_REGION=us-east-1"', 'set "AWS_DEFAULT_REGION=us-east-1"']


def test_the_profile_is_a_section_that_the_cli_reads() -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(formats.aws_profile(credentials(secret="a%b=c"), Place("us-gov-west-1")))
    assert dict(parser[formats.PROFILE_NAME]) == {
        "aws_access_key_id": "ASIAEXAMPLE",
        "aws_secret_access_key": "a%b=c",
        "aws_session_token": "FwoG/+==",
        "region": "us-gov-west-1",
    }


def test_credential_process_has_the_five_keys_and_a_time_with_its_zone() -> None:
    answer = json.loads(formats.credential_process(credentials(secret=NASTY), Place("us-east-1")))
    assert answer == {
        "Version": 1,
        "AccessKeyId": "ASIAEXAMPLE",
        "SecretAccessKey": NASTY,
        "SessionToken": "FwoG/+==",
        "Expiration": "2026-11-25T10:30:00Z",
    }
    assert datetime.fromisoformat(answer["Expiration"]) == ENDS.astimezone(UTC)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_holds_each_secret_once(shape: Callable[[Credentials, Place], str]) -> None:
    text = shape(credentials(), Place("us-east-1"))
    assert text.count("wJalr/+=") == text.count("FwoG/+==") == 1
    assert text.endswith("\n")


def test_python_reads_exactly_the_values_of_the_boto3_block() -> None:
    text = formats.boto3(credentials(secret=NASTY), Place("eu-central-1"))
    call = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    assert {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords} == {
        "aws_access_key_id": "ASIAEXAMPLE",
        "aws_secret_access_key": NASTY,
        "aws_session_token": "FwoG/+==",
        "region_name": "eu-central-1",
    }


def test_spark_gets_properties_of_s3a_with_the_provider_for_session_tokens() -> None:
    lines = formats.spark(credentials(), Place("eu-central-1")).splitlines()
    properties = dict(line.removeprefix("spark.hadoop.fs.s3a.").split(" ", 1) for line in lines)
    assert properties == {
        "aws.credentials.provider": "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider",
        "access.key": "ASIAEXAMPLE",
        "secret.key": "wJalr/+=",
        "session.token": "FwoG/+==",
        "endpoint.region": "eu-central-1",
    }


def test_duckdb_doubles_the_quote() -> None:
    text = formats.duckdb(credentials(secret="a'; DROP TABLE x; --".replace(" ", "")), Place("eu-central-1"))
    assert "    SECRET 'a'';DROPTABLEx;--',\n" in text
    assert "    SESSION_TOKEN 'FwoG/+==',\n    REGION 'eu-central-1'\n);\n" in text


def test_rclone_reads_its_section() -> None:
    parser = configparser.RawConfigParser()
    parser.read_string(formats.rclone(credentials(), Place("eu-central-1")))
    section = dict(parser[formats.PROFILE_NAME])
    assert (section["type"], section["env_auth"]) == ("s3", "false")
    assert section["session_token"] == "FwoG/+=="


# --- where AWS is ---

SANDBOX = Place("us-east-1", "http://127.0.0.1:4566")


@pytest.mark.parametrize("shape", SHAPES[:-1])
def test_no_shape_names_an_address_of_aws_itself_and_each_names_a_sandboxs(
    shape: Callable[[Credentials, Place], str],
) -> None:
    aws = shape(credentials(), Place("eu-central-1")).lower()
    assert "endpoint" not in aws.replace("endpoint.region", "")
    sandbox = shape(credentials(), SANDBOX)
    assert "endpoint" in sandbox.lower()
    assert "127.0.0.1:4566" in sandbox


@pytest.mark.parametrize("shape", [formats.spark, formats.duckdb, formats.rclone])
@pytest.mark.parametrize(
    ("region", "host"),
    [("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"), ("us-gov-west-1", "s3.us-gov-west-1.amazonaws.com")],
)
def test_a_tool_that_does_not_find_other_partitions_by_itself_is_told(
    shape: Callable[[Credentials, Place], str], region: str, host: str
) -> None:
    assert "amazonaws" not in shape(credentials(), Place("eu-central-1"))
    assert host in re.split(r"[\s',]+", shape(credentials(), Place(region)))


def test_sdks_find_other_partitions_by_the_region() -> None:
    for shape in (formats.environment, formats.aws_profile, formats.boto3):
        assert "amazonaws" not in shape(credentials(), Place("cn-north-1"))


def test_duckdb_speaks_plain_http_with_a_sandbox_alone() -> None:
    assert "USE_SSL" not in formats.duckdb(credentials(), Place("cn-north-1"))
    told = "    ENDPOINT '127.0.0.1:4566',\n    URL_STYLE 'path',\n    USE_SSL false,\n    REGION 'us-east-1'\n);\n"
    assert told in formats.duckdb(credentials(), SANDBOX)


def test_spark_and_rclone_find_a_sandboxs_buckets_by_their_path() -> None:
    assert "spark.hadoop.fs.s3a.path.style.access true\n" in formats.spark(credentials(), SANDBOX)
    assert "force_path_style = true\n" in formats.rclone(credentials(), SANDBOX)
    for shape in (formats.spark, formats.rclone):
        assert "path" not in shape(credentials(), Place("us-gov-west-1"))

"""Credentials as text, in the shape that the asking tool takes. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from urllib.parse import urlsplit

from roles.errors import TokenUnavailable
from roles.values.credentials import Credentials

PROFILE_NAME = "xacct"
_PLAIN = re.compile(r"\A[\x21-\x7e]+\Z")  # what AWS's credentials are made of; nothing that could start a new line
# Where S3 is in AWS's other partitions, which not every tool finds by the region alone (AWS General Reference, S3).
_S3_ELSEWHERE = {"cn-": "s3.{}.amazonaws.com.cn", "us-gov-": "s3.{}.amazonaws.com"}
SPECIAL_IN_CMD = re.compile(r'["%!^]')  # cmd has no way to quote these


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool finds AWS: the region, and an address (`http://host:port`) if it is a sandbox and not AWS itself."""

    region: str
    endpoint: str = ""

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """The environment variables. The CLI reads `AWS_DEFAULT_REGION`, most SDKs `AWS_REGION`."""
        region = plain(self.region)
        sandbox = (("AWS_ENDPOINT_URL", plain(self.endpoint)),) if self.endpoint else ()
        return (("AWS_REGION", region), ("AWS_DEFAULT_REGION", region), *sandbox)

    @property
    def profile(self) -> tuple[str, ...]:
        """The lines of an AWS profile."""
        sandbox = (f"endpoint_url = {plain(self.endpoint)}",) if self.endpoint else ()
        return (f"region = {plain(self.region)}", *sandbox)

    @property
    def s3_host(self) -> str:
        """The host of S3, and its port, where a tool has to be told; else nothing."""
        if self.endpoint:
            return urlsplit(plain(self.endpoint)).netloc
        hosts = (
            host.format(plain(self.region)) for start, host in _S3_ELSEWHERE.items() if self.region.startswith(start)
        )
        return next(hosts, "")


def environment(credentials: Credentials, place: Place) -> str:
    """Return `export` lines for bash, zsh and other POSIX shells."""
    return lines_of(f"export {name}={quoted_posix(value)}" for name, value in _variables(credentials, place))


def fish(credentials: Credentials, place: Place) -> str:
    """Return `set` lines for fish."""
    return lines_of(f"set -gx {name} {quoted_fish(value)}" for name, value in _variables(credentials, place))


def powershell(credentials: Credentials, place: Place) -> str:
    """Return assignments for PowerShell."""
    return lines_of(f"$Env:{name} = {quoted_powershell(value)}" for name, value in _variables(credentials, place))


def cmd(credentials: Credentials, place: Place) -> str:
    """Return `set` lines for cmd.exe, or a remark if a value holds a character that it cannot quote."""
    variables = _variables(credentials, place)
    if any(SPECIAL_IN_CMD.search(value) for _, value in variables):
        return "rem These credentials cannot be written safely for cmd; use PowerShell.\n"
    return lines_of(f'set "{name}={value}"' for name, value in variables)


def aws_profile(credentials: Credentials, place: Place) -> str:
    """Return a section for `~/.aws/credentials`, named `PROFILE_NAME`."""
    key_id, secret, token = _values(credentials)
    return lines_of(
        (
            f"[{PROFILE_NAME}]",
            f"aws_access_key_id = {key_id}",
            f"aws_secret_access_key = {secret}",
            f"aws_session_token = {token}",
            *place.profile,
        )
    )


def boto3(credentials: Credentials, place: Place) -> str:
    """Return Python that makes a boto3 session. Literals of Python are made by `repr`."""
    sandbox = f", endpoint_url={plain(place.endpoint)!r}" if place.endpoint else ""
    key_id, secret, token = _values(credentials)
    return lines_of(
        (
            "import boto3",
            "",
            "session = boto3.Session(",
            f"    aws_access_key_id={key_id!r},",
            f"    aws_secret_access_key={secret!r},",
            f"    aws_session_token={token!r},",
            f"    region_name={plain(place.region)!r},",
            ")",
            f's3 = session.client("s3"{sandbox})',
        )
    )


def spark(credentials: Credentials, place: Place) -> str:
    """Return lines for `spark-defaults.conf`. Hadoop's S3A takes a token of a fixed life from its own provider."""
    key_id, secret, token = _values(credentials)
    settings = (
        ("aws.credentials.provider", "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider"),
        ("access.key", key_id),
        ("secret.key", secret),
        ("session.token", token),
        ("endpoint.region", plain(place.region)),
        *((("endpoint", place.endpoint or place.s3_host),) if place.s3_host else ()),
        *((("path.style.access", "true"),) if place.endpoint else ()),
    )
    return lines_of(f"spark.hadoop.fs.s3a.{name} {value}" for name, value in settings)


def duckdb(credentials: Credentials, place: Place) -> str:
    """Return a statement for DuckDB, whose secrets last as long as its process does."""
    key_id, secret, token = (_sql(value) for value in _values(credentials))
    return lines_of(
        (
            "INSTALL httpfs;",
            "LOAD httpfs;",
            f"CREATE OR REPLACE SECRET {PROFILE_NAME} (",
            "    TYPE s3,",
            f"    KEY_ID {key_id},",
            f"    SECRET {secret},",
            f"    SESSION_TOKEN {token},",
            *(f"    {option}," for option in _duckdb_endpoint(place)),
            f"    REGION {_sql(plain(place.region))}",
            ");",
        )
    )


def _duckdb_endpoint(place: Place) -> tuple[str, ...]:
    told = (f"ENDPOINT {_sql(place.s3_host)}",) if place.s3_host else ()
    if not place.endpoint:
        return told
    return (*told, "URL_STYLE 'path'", f"USE_SSL {str(place.endpoint.startswith('https:')).lower()}")


def rclone(credentials: Credentials, place: Place) -> str:
    """Return a section for `rclone.conf`, named `PROFILE_NAME`."""
    key_id, secret, token = _values(credentials)
    return lines_of(
        (
            f"[{PROFILE_NAME}]",
            "type = s3",
            "provider = AWS",
            "env_auth = false",
            f"access_key_id = {key_id}",
            f"secret_access_key = {secret}",
            f"session_token = {token}",
            f"region = {plain(place.region)}",
            *((f"endpoint = {place.endpoint or place.s3_host}",) if place.s3_host else ()),
            *(("force_path_style = true",) if place.endpoint else ()),
            "no_check_bucket = true",
        )
    )


def credential_process(credentials: Credentials, _place: Place) -> str:
    """Return what a program named as `credential_process` prints (AWS SDKs: "Process credential provider").

    `Expiration` is ISO 8601 in UTC. The format has no place for a region.
    """
    answer = {
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "SessionToken": credentials.session_token,
        "Expiration": _expiration(credentials),
    }
    return json.dumps(answer, indent=2) + "\n"


def container_credentials(credentials: Credentials) -> dict[str, str]:
    """Return what AWS SDKs expect from `AWS_CONTAINER_CREDENTIALS_FULL_URI`: it is `Token` here."""
    return {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "Token": credentials.session_token,
        "Expiration": _expiration(credentials),
    }


def _expiration(credentials: Credentials) -> str:
    return credentials.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _values(credentials: Credentials) -> tuple[str, str, str]:
    return (
        plain(credentials.access_key_id),
        plain(credentials.secret_access_key),
        plain(credentials.session_token),
    )


def _variables(credentials: Credentials, place: Place) -> tuple[tuple[str, str], ...]:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return (*zip(names, _values(credentials), strict=True), *place.variables)


def plain(value: str) -> str:
    """Return `value` if no tool can take a part of it for a line of its own, else raise `TokenUnavailable`."""
    if not _PLAIN.match(value):
        raise TokenUnavailable(
            "The credentials hold a character that cannot be pasted safely.", hint="Tell a portal admin."
        )
    return value


def quoted_posix(value: str) -> str:
    """Return `value` as one word of a POSIX shell."""
    return "'" + value.replace("'", "'\\''") + "'"


def quoted_fish(value: str) -> str:
    """Return `value` as one word of fish."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _sql(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def quoted_powershell(value: str) -> str:
    """Return `value` as a literal of PowerShell."""
    return "'" + value.replace("'", "''") + "'"


def lines_of(lines: Iterable[str]) -> str:
    """Return the lines as one text, each ended."""
    return "".join(f"{line}\n" for line in lines)

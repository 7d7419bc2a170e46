"""What to paste so that a tool asks the portal for credentials itself, and again before they expire. Pure.

Each block writes the bearer to a file that only its owner may read, without a line's end (SDKs send the file as it is
and refuse a header with one), and takes away what would be asked before the portal.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from roles.tokens.formats import (
    PROFILE_NAME,
    SPECIAL_IN_CMD,
    Place,
    lines_of,
    plain,
    quoted_fish,
    quoted_posix,
    quoted_powershell,
)

# SDKs look at these first: a forgotten one would win over the portal.
IN_THE_WAY = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)


@dataclass(frozen=True, slots=True)
class Source:
    """Where credentials come from: the portal's address for one access, its bearer, and where the tool finds AWS."""

    uri: str
    place: Place
    name: str  # of the file; letters, digits and dashes
    bearer: str = field(repr=False)

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """The variables that hold no path and no secret."""
        return (("AWS_CONTAINER_CREDENTIALS_FULL_URI", plain(self.uri)), *self.place.variables)


def is_taken_by_sdks(uri: str) -> bool:
    """Return whether AWS SDKs ask this address: https, or http on this computer itself (botocore, SDKs' reference)."""
    parts = urlsplit(uri)
    if parts.scheme != "http":
        return parts.scheme == "https"
    try:
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def posix(source: Source) -> str:
    """Return lines for bash, zsh and other POSIX shells. The space in front keeps a line out of many histories."""
    file = f'"$HOME/.config/xacct/{source.name}.token"'
    secret = quoted_posix(plain(source.bearer))
    write = f" (umask 077; mkdir -p ~/.config/xacct; rm -f {file}; printf %s {secret} > {file})"
    exports = [f"export {name}={quoted_posix(value)}" for name, value in source.variables]
    token_file = f"export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={file}"
    return lines_of([write, f"unset {' '.join(IN_THE_WAY)}", *exports, token_file])


def fish(source: Source) -> str:
    """Return lines for fish."""
    file = f'"$HOME/.config/xacct/{source.name}.token"'
    return lines_of(
        [
            "set xacct_umask (umask); umask 077",
            f"mkdir -p ~/.config/xacct; rm -f {file}",
            f" printf %s {quoted_fish(plain(source.bearer))} > {file}",
            "umask $xacct_umask",
            f"set -e {' '.join(IN_THE_WAY)}",
            *(f"set -gx {name} {quoted_fish(value)}" for name, value in source.variables),
            f"set -gx AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE {file}",
        ]
    )


def powershell(source: Source) -> str:
    """Return lines for PowerShell. On Windows the folder of a user is closed to others by itself."""
    return lines_of(
        [
            "$XacctFolder = Join-Path $HOME '.config/xacct'",
            "New-Item -ItemType Directory -Force $XacctFolder | Out-Null",
            "if ($IsLinux -or $IsMacOS) { chmod 700 $XacctFolder }",
            f"$XacctFile = Join-Path $XacctFolder '{source.name}.token'",
            f"[IO.File]::WriteAllText($XacctFile, {quoted_powershell(plain(source.bearer))})",
            f"Remove-Item -ErrorAction Ignore {', '.join(f'Env:{name}' for name in IN_THE_WAY)}",
            *(f"$Env:{name} = {quoted_powershell(value)}" for name, value in source.variables),
            "$Env:AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE = $XacctFile",
        ]
    )


def cmd(source: Source) -> str:
    """Return lines for cmd.exe, or a remark if a value holds a character that it cannot quote."""
    values = [source.bearer, source.name, *(value for _, value in source.variables)]
    if any(SPECIAL_IN_CMD.search(value) for value in values):
        return "rem This cannot be written safely for cmd; use PowerShell.\n"
    file = f"%LOCALAPPDATA%\\xacct\\{source.name}.token"
    return lines_of(
        [
            'mkdir "%LOCALAPPDATA%\\xacct" 2>nul',
            f'<nul set /p "={plain(source.bearer)}" > "{file}"',
            *(f'set "{name}="' for name in IN_THE_WAY),
            *(f'set "{name}={value}"' for name, value in source.variables),
            f'set "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE={file}"',
        ]
    )


BLOCKS: tuple[tuple[str, str, Callable[[Source], str]], ...] = (
    ("bash", "bash, zsh", posix),
    ("fish", "fish", fish),
    ("powershell", "PowerShell", powershell),
    ("cmd", "cmd", cmd),
)


def program_profile(access: str, place: Place) -> str:
    """Return a section for `~/.aws/config` that asks `xacct-credentials`. SDKs start it without a shell: no `~`."""
    return lines_of(
        (
            f"[profile {PROFILE_NAME}]",
            f"credential_process = /full/path/to/xacct-credentials get {plain(access)}",
            *place.profile,
        )
    )


def program_sign_in(download: str, access: str) -> str:
    """Return lines for a POSIX shell that fetch `xacct-credentials` and sign it in for one access."""
    return lines_of(
        (
            f"curl -fsS -o xacct-credentials {quoted_posix(plain(download))}",
            "chmod 700 xacct-credentials",
            f"./xacct-credentials sign-in {plain(access)}",
        )
    )

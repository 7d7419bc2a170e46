#!/usr/bin/env python3
"""AWS credentials from the xacct portal, for `credential_process` of AWS SDKs and the AWS CLI.

    xacct-credentials sign-in ACCESS    sign this computer in, through the browser
    xacct-credentials get ACCESS        print credentials, as credential_process expects them
    xacct-credentials sign-out ACCESS   give the sign-in up and forget it

ACCESS is two numbers such as 12/5, as the portal shows them at "Get credentials". A sign-in lasts as long as yours
in the browser: when you sign out there, this program gets nothing any more. Python 3.8 or newer, nothing to install.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import ipaddress
import json
import os
import re
import secrets
import shlex
import socket
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import webbrowser
from pathlib import Path
from typing import Any, NoReturn

PORTAL = ""  # the portal fills in its own address when it hands this program out
ENDPOINT = ""  # and the address of its AWS sandbox, if it works with one
TIMEOUT_SECONDS = 30
LONGEST_ANSWER = 1 << 20


class Refused(Exception):
    """What to tell the person; the program then ends with status 1."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A bearer is sent to the portal's own address and to no other."""

    def redirect_request(self, *asked: Any) -> NoReturn:
        """Refuse. The address that the answer leads to comes last."""
        where = urllib.parse.urlsplit(asked[-1])
        raise Refused(f"The portal sent us on to {where.scheme}://{where.netloc}. Check its address.")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="xacct-credentials", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("sign-in", "get", "sign-out"))
    parser.add_argument("access", metavar="ACCESS", help="two numbers, e.g. 12/5")
    parser.add_argument("--portal", default=os.environ.get("XACCT_PORTAL", "") or PORTAL, help="the portal's address")
    parser.add_argument("--no-browser", action="store_true", help="only print the address to open")
    wanted = parser.parse_args(arguments)
    try:
        portal, access = _portal(wanted.portal), _access(wanted.access)
        if wanted.command == "sign-in":
            _sign_in(portal, access, not wanted.no_browser)
        elif wanted.command == "get":
            sys.stdout.write(_get(portal, access))
        else:
            _sign_out(portal, access)
    except Refused as refusal:
        sys.stderr.write(f"xacct-credentials: {refusal}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nxacct-credentials: stopped.\n")
        return 1
    return 0


# --- commands ---


def _sign_in(portal: str, access: tuple[str, str], open_browser: bool) -> None:
    """Let the person authorise this computer in the browser and paste the code that the portal shows."""
    verifier = secrets.token_urlsafe(32)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    name = re.sub(r"[^A-Za-z0-9._@-]+", "-", socket.gethostname()).strip("-._@")[:64] or "computer"
    query = urllib.parse.urlencode({"challenge": challenge, "name": name})
    address = f"{portal}/tools/authorise/{access[0]}/{access[1]}/?{query}"
    sys.stderr.write(f"Open this address in the browser in which you use the portal, and authorise {name}:\n\n")
    sys.stderr.write(f"  {address}\n\n")
    if open_browser:
        webbrowser.open(address)
    sys.stderr.write("Paste the code that the portal shows: ")
    sys.stderr.flush()
    code = sys.stdin.readline().strip()
    if not code:
        raise Refused("No code was given, so nothing was signed in.")
    answer = _ask(portal + "/tools/collect/", form={"code": code, "verifier": verifier})
    if (str(answer.get("mapping")), str(answer.get("target"))) != access or not isinstance(answer.get("bearer"), str):
        raise Refused(f"The portal answered for another access than {access[0]}/{access[1]}.")
    _keep(portal, access, answer["bearer"])
    command = " ".join(_quoted(part) for part in (sys.executable, os.path.abspath(sys.argv[0])))
    sys.stderr.write("\nSigned in. For the AWS CLI and SDKs, put this into ~/.aws/config:\n\n")
    sys.stderr.write(f"[profile xacct]\ncredential_process = {command} get {access[0]}/{access[1]}\n")
    if ENDPOINT:
        sys.stderr.write(f"endpoint_url = {ENDPOINT}\n")


def _get(portal: str, access: tuple[str, str]) -> str:
    """Return the JSON that `credential_process` prints. `Version` is a number, and the token is `SessionToken`."""
    answer = _ask(f"{portal}/container-credentials/{access[0]}/{access[1]}/", bearer=_kept(portal, access))
    try:
        credentials = {
            "Version": 1,
            "AccessKeyId": answer["AccessKeyId"],
            "SecretAccessKey": answer["SecretAccessKey"],
            "SessionToken": answer["Token"],
            "Expiration": answer["Expiration"],
        }
    except KeyError:
        raise Refused("The portal's answer holds no credentials. Get this program from the portal again.") from None
    return json.dumps(credentials) + "\n"


def _sign_out(portal: str, access: tuple[str, str]) -> None:
    """Tell the portal that the bearer is not needed any more, and forget it whatever the portal says."""
    bearer = _kept(portal, access)
    _file(portal, access).unlink()
    _ask(f"{portal}/tools/sign-out/{access[0]}/{access[1]}/", bearer=bearer, form={})
    sys.stderr.write("Signed out.\n")


# --- the portal ---


def _portal(address: str) -> str:
    """Return the address without a slash at its end, if what is sent there cannot be read on the way."""
    address = address.rstrip("/")
    if not address:
        raise Refused("Say where the portal is: --portal https://portal.example.com, or set XACCT_PORTAL.")
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_this_computer(parts.hostname or "")):
        raise Refused(f"'{address}' is not an https address, so others could read what is sent there.")
    return address


def _is_this_computer(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _access(text: str) -> tuple[str, str]:
    found = re.match(r"\A([0-9]{1,18})/([0-9]{1,18})\Z", text)
    if not found:
        raise Refused(f"'{text}' is no access. It is two numbers such as 12/5; the portal shows them.")
    return found.group(1), found.group(2)


def _ask(address: str, bearer: str = "", form: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the JSON that the portal answers. A GET, or a POST of `form`."""
    request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310 (`_portal` looked)
    request.add_header("User-Agent", f"xacct-credentials/1 Python/{sys.version_info[0]}.{sys.version_info[1]}")
    if bearer:
        request.add_header("Authorization", bearer)
    if form is not None:
        request.data = urllib.parse.urlencode(form).encode()
    handlers: list[Any] = [_NoRedirect()]
    if _is_this_computer(urllib.parse.urlsplit(address).hostname or ""):
        handlers.append(urllib.request.ProxyHandler({}))
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_SECONDS) as answer:
            return _json(answer.read(LONGEST_ANSWER))
    except urllib.error.HTTPError as error:
        told = _json(error.read(LONGEST_ANSWER), default={}).get("message")
        raise Refused(told or f"The portal answered with HTTP status {error.code}.") from None
    except (urllib.error.URLError, OSError) as error:
        raise Refused(f"The portal did not answer at {address}: {getattr(error, 'reason', error)}") from None


def _json(content: bytes, default: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        answer = json.loads(content.decode())
        if isinstance(answer, dict):
            return answer
    except ValueError:
        pass
    if default is None:
        raise Refused("That was no answer of a portal. Check its address.")
    return default


# --- the file that keeps the bearer: only its owner may read it ---


def _file(portal: str, access: tuple[str, str]) -> Path:
    base = os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME", "")
    folder = Path(base) if base else Path.home() / ".config"
    host = re.sub(r"[^A-Za-z0-9.]+", "-", urllib.parse.urlsplit(portal).netloc)
    return folder / "xacct" / f"{host}-{access[0]}-{access[1]}.bearer"


def _keep(portal: str, access: tuple[str, str], bearer: str) -> None:
    file = _file(portal, access)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file of its own first (mode 0600 from its beginning), so that no reader meets half of one.
        handle, name = tempfile.mkstemp(dir=str(file.parent))
        with os.fdopen(handle, "w") as new:
            new.write(bearer)
        os.replace(name, str(file))
    except OSError as error:
        raise Refused(f"The sign-in could not be kept in {file}: {error.strerror}") from None


def _kept(portal: str, access: tuple[str, str]) -> str:
    file, how = _file(portal, access), f"Run: xacct-credentials sign-in {access[0]}/{access[1]}"
    try:
        mode, bearer = file.stat().st_mode, file.read_text().strip()
    except FileNotFoundError:
        raise Refused(f"This computer is not signed in. {how}") from None
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}. {how}") from None
    if os.name != "nt" and mode & 0o077:
        raise Refused(f"Others may read {file}, so its sign-in must not be used any more. {how}")
    return bearer


def _quoted(part: str) -> str:
    """Return a part of a command as SDKs split it: as a shell does, but on Windows by double quotes alone."""
    if os.name == "nt":
        return f'"{part}"' if " " in part else part
    return shlex.quote(part)


if __name__ == "__main__":
    sys.exit(main())

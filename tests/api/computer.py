"""A computer with `xacct-credentials` on it, and the person in front of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from django.test import Client
from django.urls import reverse

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def authorise(browser: Client, access: str, *, challenge: str = CHALLENGE, name: str = "laptop") -> str:
    """Confirm in the browser and return the code that its page shows."""
    mapping, target = access.split("/")
    form = {"challenge": challenge, "name": name}
    page = browser.post(reverse("authorise_tool", args=[mapping, target]), form).content.decode()
    found = re.search(r'id="tool-code"[^>]*>(xcode_[\w-]+)<', page)
    assert found, page
    return found.group(1)


@dataclass
class Computer:
    """A computer with the program as the portal hands it out, and a home of its own."""

    program: Path
    home: Path

    @classmethod
    def with_program(cls, folder: Path, *, portal: str) -> Computer:
        """Download the program as a person does."""
        home, file = folder / "home", folder / "xacct-credentials"
        home.mkdir(parents=True)
        host = portal.removeprefix("http://")
        file.write_bytes(Client().get(reverse("xacct_credentials"), headers={"Host": host}).content)
        return cls(file, home)

    def run(self, *arguments: str, answer: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", str(self.program), *arguments],
            input=answer,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"], "BROWSER": "true"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def sign_in(self, browser: Client, access: str) -> subprocess.CompletedProcess[str]:
        """Sign in as a person does: open the address that it prints, confirm, and paste the code."""
        command = [sys.executable, "-I", str(self.program), "sign-in", access, "--no-browser"]
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"]}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, text=True) as process:
            assert process.stderr is not None
            address = ""
            while not address:
                line = process.stderr.readline()
                assert line, "it ended before it printed an address"
                address = line.strip() if "/tools/authorise/" in line else ""
            page = browser.get(address.split("/", 3)[3].join(("/", "")))
            assert page.status_code == 200
            asked = dict(re.findall(r'name="(challenge|name)" value="([^"]*)"', page.content.decode()))
            code = authorise(browser, access, challenge=asked["challenge"], name=asked["name"])
            out, err = process.communicate(code + "\n", timeout=60)
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    @property
    def bearers(self) -> list[Path]:
        return list((self.home / ".config" / "xacct").glob("*"))

"""Credentials that keep themselves fresh, as a person sets them up: in the browser, with a shell beside it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from roles.aws.sandbox_documents import BUCKET
from tests.browser.people import Person
from tests.demo import Demo

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]


@pytest.fixture(scope="module")
def mapped(chromium: Browser, demo: Demo) -> Demo:
    """The demo once MyRoleA is mapped to Bob's group."""
    alice = Person(chromium, demo, "alice")
    alice.sign_in()
    alice.plan_mapping("analysts", "MyRoleA", reason="Ticket OPS-12: quarterly report")
    alice.click_button("Apply this plan")
    alice.sees("7 of 7 steps done")
    alice.leave()
    return demo


def test_a_block_for_the_shell_opens_the_bucket_until_the_person_signs_out(
    mapped: Demo, bob: Person, tmp_path: Path
) -> None:
    bob.sign_in()
    bob.click_button(f"Get credentials for {BUCKET}")
    bob.sees("Keeps itself fresh")
    bob.sees("works with an AWS sandbox, which has no console")
    bob.click_button("Set up a tool")
    shells = bob.page.get_by_role("tablist", name="Shell")
    expect(shells.get_by_role("tab")).to_have_text(["bash, zsh", "fish", "PowerShell", "cmd"])
    panel = bob.page.get_by_role("tabpanel", name="bash, zsh").first
    expect(panel.locator("pre")).to_be_hidden()
    panel.get_by_text("Show", exact=True).click()
    block = panel.locator("pre").inner_text()
    assert bob.problems == []

    shell = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "AWS_EC2_METADATA_DISABLED": "true"}
    read = f"import boto3; s3 = boto3.client('s3');print(s3.list_objects_v2(Bucket='{BUCKET}')['KeyCount'])"
    command = ["bash", "-c", f'{block}\n"$0" -c "$1"', sys.executable, read]
    answer = subprocess.run(command, env=shell, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) > 0

    bob.click_menu("Signed-in tools")
    bob.sees_title("Signed-in tools")
    bob.sees("from 127.0.0.1")
    bob.sign_out()
    after = subprocess.run(command, env=shell, capture_output=True, text=True, timeout=60, check=False)
    assert after.returncode != 0
    assert "sign" in after.stderr


def test_a_person_signs_one_tool_out(mapped: Demo, bob: Person) -> None:
    bob.sign_in()
    bob.open("/tools/")
    bob.sees("No tool is signed in")
    bob.open("/my-access/")
    bob.click_button(f"Get credentials for {BUCKET}")
    bob.click_button("Set up a tool")
    bob.sees("It holds until you sign out")
    bob.click_menu("Signed-in tools")
    bob.page.get_by_role("button", name=re.compile("^Sign out Container credentials")).click()
    bob.sees("is signed out")
    bob.sees("No tool is signed in")
    assert bob.problems == []


def test_a_computer_is_authorised_only_when_the_person_confirms(mapped: Demo, bob: Person) -> None:
    bob.sign_in()
    bob.click_button(f"Get credentials for {BUCKET}")
    bob.page.get_by_role("tab", name="Sign this computer in").click()
    shown = bob.page.get_by_role("tabpanel", name="Sign this computer in").locator("pre").inner_text()
    access = re.search(r"sign-in (\d+/\d+)", shown)
    assert access
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    bob.open(f"/tools/authorise/{access.group(1)}/?challenge={challenge}&name=bobs-laptop")
    bob.sees("bobs-laptop")
    bob.does_not_see("xcode_")
    bob.click_button("Authorise this computer")
    bob.sees(re.compile(r"xcode_[\w-]{43}"))
    assert bob.problems == []

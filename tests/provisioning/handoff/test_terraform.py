"""The Terraform form: parses, is formatted, merges with what is there, asks rather than overwrites."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hcl2
import pytest

from roles.policies.document import PolicyDocument, Statement, parse
from roles.policies.equivalence import same_document
from roles.policies.ownership import BUCKET_SIDS, TRUST_SIDS, merged, merged_trust
from roles.provisioning.handoff.hcl import Block, Call, document, quoted
from roles.provisioning.resources import DesiredDocument, Step
from tests.provisioning.handoff.cases import ALL, BUCKET, FOREIGN, HOSTILE_PREFIX, documents, target

# Terraform is not a dependency (there is no package of it to install): where it is, it has the last word.
TERRAFORM = shutil.which("terraform") or shutil.which("tofu") or ""
ASSIGNMENT = re.compile(r'^(?P<indent> *)(?P<key>"(?:[^"\\]|\\.)*"|[\w-]+)(?P<space> *) = (?P<value>.*)$')
EMPTY = '{"Version":"2012-10-17","Statement":[]}'
OURS: list[Statement] = [
    statement
    for wish in target(prefix="team/")
    if isinstance(wish, DesiredDocument) and wish.step is Step.BUCKET_POLICY
    for statement in wish.statements
]
STALE = Statement({**OURS[0].body, "Sid": "XacctBucketLocation0000000000"})


def faults_by_our_rules(text: str) -> list[str]:
    """Return where a file breaks the rules of `terraform fmt` that our writer could break: indentation, columns."""
    faults, depth = [], 0
    run: list[tuple[int, int]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        plain = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
        opened, closed = sum(map(plain.count, "{[(")), sum(map(plain.count, "}])"))
        wanted = depth - (1 if plain.lstrip()[:1] in set("}])") else 0)
        if line and not line.startswith("#") and len(line) - len(line.lstrip()) != 2 * wanted:
            faults.append(f"{number}: indentation")
        if line != line.rstrip():
            faults.append(f"{number}: space at the end")
        depth += (opened > closed) - (closed > opened) if not line.startswith("#") else 0
        match = ASSIGNMENT.match(line)
        if match and opened == closed:
            run.append((match.start("value"), len(match["space"])))
            continue
        faults += _columns(number, run) + ([f"{number}: more than one space"] if match and match["space"] else [])
        run = []
    return faults + _columns(0, run)


def _columns(number: int, run: list[tuple[int, int]]) -> list[str]:
    aligned = len({column for column, _ in run}) <= 1 and min((space for _, space in run), default=0) == 0
    return [] if aligned else [f"before {number}: columns"]


def faults_by_terraform(text: str) -> list[str]:
    """Return what `terraform fmt` would change."""
    done = subprocess.run(
        [TERRAFORM, "fmt", "-check", "-diff", "-"], input=text, capture_output=True, text=True, check=False
    )
    return [] if done.returncode == 0 else [done.stdout + done.stderr]


FORMATTERS: list[Callable[[str], list[str]]] = [faults_by_our_rules, *([faults_by_terraform] if TERRAFORM else [])]


@pytest.mark.parametrize("faults", FORMATTERS)
def test_a_file_out_of_format_would_be_seen(faults: Callable[[str], list[str]]) -> None:
    text = ALL["target"].terraform.text
    assert faults(text.replace("  type        = bool", "  type = bool"))
    assert faults(text.replace("  required_version", "    required_version"))


@pytest.mark.parametrize("faults", FORMATTERS)
def test_every_file_is_formatted(faults: Callable[[str], list[str]]) -> None:
    assert {name: found for name, form in ALL.items() if (found := faults(form.terraform.text))} == {}


def test_every_file_parses_and_is_ascii() -> None:
    for name, form in ALL.items():
        if form.terraform.text:
            assert form.terraform.text.isascii(), name
            assert (
                "aws" in hcl2.loads(form.terraform.text)["provider"][0] or hcl2.loads(form.terraform.text)["provider"]
            )


# --- left out, in words ---


def test_prefix_that_terraform_would_alter_is_left_out() -> None:
    form = documents(target(prefix="cafe\u0301/")).terraform
    assert "aws_s3_bucket_policy" not in form.text
    assert "composed form" in form.left_out[0]
    assert documents(target(prefix="caf\u00e9/")).terraform.left_out == ()


def test_what_ended_in_an_account_that_nobody_reads_is_left_out() -> None:
    form = ALL["ended"].terraform
    assert any("policy of bucket example-data" in reason for reason in form.left_out)
    assert any("Deleting policy xacct-portal" in reason for reason in form.left_out)
    assert "aws_s3_bucket_policy" not in form.text


# --- asks rather than overwrites ---


def test_defaults_stop_the_run_where_the_portal_knows_nothing() -> None:
    text = ALL["target"].terraform.text
    assert re.search(r'variable "myroleb_\w+_exists" \{[^}]*default     = false', text)
    assert re.search(r'variable "example_data_\w+_has_policy" \{[^}]*default     = true', text)


def test_adopted_role_is_imported_and_keeps_what_is_its_owners() -> None:
    text = ALL["adopted"].terraform.text
    assert re.search(r'variable "myroleb_\w+_exists" \{[^}]*default     = true', text)
    assert "import {" in text
    assert all(kept in text for kept in ("max_session_duration,", "permissions_boundary,", "prevent_destroy = true"))


def test_instance_profile_that_is_there_is_imported() -> None:
    to = re.compile(r'import \{\n  to = aws_iam_instance_profile\.myrolea_\w+\n  id = "MyRoleA"\n\}')
    assert to.search(ALL["readable-with-empty-profile"].terraform.text)
    assert not to.search(ALL["source"].terraform.text)


def test_managed_policies_are_attached_and_one_that_is_there_is_imported_when_the_owner_says_so() -> None:
    text = ALL["spilled"].terraform.text
    made = re.findall(r'resource "aws_iam_policy" "(\w+)" \{\n  name = +"xacct-MyRoleA-\d"', text)
    assert len(made) == 2
    for name in made:
        assert f"policy_arn = aws_iam_policy.{name}.arn" in text
        assert f"to       = aws_iam_policy.{name}\n" in text
    assert text.count('_policy_1_exists" {') == 2
    assert re.search(r'variable "myrolea_\w+_policy_1_exists" \{[^}]*default     = false', text)


def test_only_the_account_that_is_meant_is_touched() -> None:
    for form in ALL.values():
        providers = form.terraform.text.count('provider "aws"')
        assert form.terraform.text.count('allowed_account_ids = ["000000000222"]') == providers


def test_bucket_of_another_region_has_a_provider_of_its_own() -> None:
    text = ALL["target-elsewhere"].terraform.text
    assert 'alias               = "eu_west_1"' in text
    assert text.count("= aws.eu_west_1") == 2


# --- writing HCL ---


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", '"plain"'),
        ('q"b\\', '"q\\"b\\\\"'),
        ("${aws:username}", '"$${aws:username}"'),
        ("%{ if true }", '"%%{ if true }"'),
        ("\u2028\u00e9\U0001f600", '"\\u2028\\u00e9\\U0001f600"'),
    ],
)
def test_nothing_in_a_string_is_a_template_or_an_escape(text: str, written: str) -> None:
    assert quoted(text) == written


def test_blocks_calls_and_empty_values_are_written() -> None:
    body = {"a": True, "bcd": None, "e": Call("f", {}), "long key": 1, "g": Call("h", {"i": []})}
    lines = document([Block("x", body), Block("y")]).splitlines()
    assert lines == [
        "x {",
        "  a          = true",
        "  bcd        = null",
        "  e          = f({})",
        '  "long key" = 1',
        "  g = h({",
        "    i = []",
        "  })",
        "}",
        "",
        "y {}",
    ]


# --- what Terraform itself makes of it ---


def evaluated(text: str, name: str, there: str | None, directory: Path) -> Any:
    """Let Terraform work out a document of the file, with `there` in place of what a data source would read."""
    local_blocks = re.findall(r"^locals \{\n.*?^\}\n", text, flags=re.DOTALL | re.MULTILINE)
    (block,) = [one for one in local_blocks if f"_{name}_there" in one]
    (expression,) = re.findall(
        rf"^ +(?:policy|assume_role_policy) += (jsonencode\(merge.*_{name}_there.*)$", text, re.M
    )
    condition = re.compile(r"jsondecode\(var\.\w+ \? [^:]+ : ")
    block = condition.sub(lambda _: f'jsondecode({"false" if there is None else "true"} ? file("there") : ', block)
    (directory / "there").write_text(there or "", encoding="utf-8")
    (directory / "main.tf").write_text(f'{block}\noutput "document" {{\n  value = {expression}\n}}\n', encoding="utf-8")
    for arguments in (["init"], ["apply", "-auto-approve"]):
        run = [TERRAFORM, f"-chdir={directory}", *arguments, "-no-color", "-input=false"]
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [TERRAFORM, f"-chdir={directory}", "output", "-raw", "document"], capture_output=True, text=True, check=True
    )
    return json.loads(shown.stdout)


if TERRAFORM:

    @pytest.mark.parametrize(
        "there",
        [
            None,
            PolicyDocument((FOREIGN,), extra={"Id": "Theirs"}).as_json(),
            PolicyDocument((FOREIGN, STALE, *OURS)).as_json(),
            json.dumps({"Version": "2012-10-17", "Statement": dict(FOREIGN.body)}),
        ],
        ids=["none", "foreign", "foreign-and-ours", "one-outside-a-list"],
    )
    def test_bucket_policy_is_merged_as_the_engine_merges_it(there: str | None, tmp_path: Path) -> None:
        made = evaluated(ALL["target-with-prefix"].terraform.text, "policy", there, tmp_path)
        wished = merged(None if there is None else parse(there), OURS, owned=BUCKET_SIDS)
        assert same_document(parse(made), wished)
        assert made.get("Id") == wished.extra.get("Id")
        if there is not None:
            assert made["Statement"][0] == FOREIGN.body

    def test_trust_policy_without_a_statement_gets_the_placeholder(tmp_path: Path) -> None:
        text = ALL["readable-adopted"].terraform.text
        text = re.sub(r"(_trust_ours) = \[\n.*?\n  \]\n", r"\1 = []\n", text, flags=re.DOTALL)
        text = text[text.index("myroleb_") :]
        text = text[text.index("locals {") :]
        made = evaluated(text, "trust", EMPTY, tmp_path)
        assert same_document(parse(made), merged_trust(None, (), owned=TRUST_SIDS))

    def test_hostile_prefix_comes_out_of_terraform_as_it_went_in(tmp_path: Path) -> None:
        made = evaluated(ALL["hostile"].terraform.text, "policy", None, tmp_path)
        assert made["Statement"][1]["Condition"]["StringLike"]["s3:prefix"] == [HOSTILE_PREFIX, f"{HOSTILE_PREFIX}*"]
        assert made["Statement"][2]["Resource"] == f"{BUCKET}/{HOSTILE_PREFIX}*"

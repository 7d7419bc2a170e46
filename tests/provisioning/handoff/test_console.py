"""The console's instructions: the procedure's words, documents that can be pasted, names that stay names."""

from __future__ import annotations

import json
import re

import pytest

from roles.policies.document import PolicyDocument
from roles.provisioning.handoff.console import code
from roles.provisioning.resources import Step
from tests.provisioning.handoff.cases import ALL, FOREIGN, HOSTILE_PREFIX, READABLE, documents, seen, target

BLOCK = re.compile(r"^```json\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def test_statements_that_nobody_has_read_are_kept_by_the_owner() -> None:
    text = documents(target()).console.text
    assert "keep its statements, delete those whose `Sid` begins with `XacctBucket`" in text
    assert "Select **S3 > `example-data` > Permissions > Bucket Policy**" in text
    assert "Select **IAM > Roles > `MyRoleB` > Trust relationships > Edit trust relationship**" in text


def test_document_that_the_portal_has_read_is_given_whole() -> None:
    wishes = target(READABLE)
    text = documents(wishes, seen(wishes, Step.BUCKET_POLICY, PolicyDocument((FOREIGN,)))).console.text
    assert json.loads(BLOCK.findall(text)[-1])["Statement"][0] == FOREIGN.body
    assert "keep its statements" not in text


def test_every_document_can_be_pasted() -> None:
    for name, forms in ALL.items():
        shown = BLOCK.findall(forms.console.text)
        assert shown, name
        assert all(json.loads(block)["Version"] for block in shown)


def test_prefix_is_shown_as_it_is_and_as_nothing_else() -> None:
    text = ALL["hostile"].console.text
    assert text.isascii()
    bucket = json.loads(BLOCK.findall(text)[-1])
    assert bucket["Statement"][1]["Condition"]["StringLike"]["s3:prefix"][0] == HOSTILE_PREFIX
    assert "<script" not in re.sub(r"(`+).*?\1", "", BLOCK.sub("", text))


def test_ended_access_is_taken_out_and_a_trust_policy_is_not_left_empty() -> None:
    text = ALL["ended"].console.text
    assert "delete the statements whose `Sid` begins with `XacctBucket`, and keep all others" in text
    assert "XacctTrustNobody" in text


@pytest.mark.parametrize(
    ("text", "span"),
    [("MyRoleB", "`MyRoleB`"), ("a`b", "``a`b``"), ("`a``", "``` `a`` ```"), ("a\nb\u2028", "`a\\nb\\u2028`")],
)
def test_code_span_ends_only_at_its_end(text: str, span: str) -> None:
    assert code(text) == span

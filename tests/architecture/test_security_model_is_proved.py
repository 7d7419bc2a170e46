"""Each test that the security model names is there: a claim whose proof was renamed or removed is found here."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture import tree

TEXT = (tree.ROOT / "docs" / "security-model.md").read_text("utf-8")
NAMED = re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", TEXT)
PROVED = ("Credentials", "What an attacker gets", "AWS documents", "The web", "The history")


def claims_without_proof(text: str) -> list[str]:
    """Return the list items of the parts in `PROVED` that neither name a test nor say that there is none."""
    parts = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])
    claims = [claim for name in PROVED for claim in re.split(r"\n(?=- )|\n\n", parts[name]) if claim.startswith("- ")]
    return [claim for claim in claims if "::test_" not in claim and "No test: " not in claim]


def test_the_security_model_names_its_tests() -> None:
    assert len(NAMED) > 30


def test_each_claim_names_its_test_or_says_why_there_is_none() -> None:
    unproved = TEXT.replace("## The web\n", "## The web\n\n- Nobody gets in.\n", 1)
    assert claims_without_proof(unproved) == ["- Nobody gets in."]
    assert claims_without_proof(TEXT) == []


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_a_test_that_proves_a_claim_exists(file: str, name: str) -> None:
    module = ast.parse((tree.ROOT / "tests" / file).read_text("utf-8"))
    assert name in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}

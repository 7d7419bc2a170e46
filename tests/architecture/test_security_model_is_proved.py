"""Each test that the security model names is there: a claim whose proof was renamed or removed is found here."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture import tree

NAMED = re.findall(r"`([a-z_/]+\.py)::(test_\w+)`", (tree.ROOT / "docs" / "security-model.md").read_text("utf-8"))


def test_the_security_model_names_its_tests() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED)))
def test_a_test_that_proves_a_claim_exists(file: str, name: str) -> None:
    module = ast.parse((tree.ROOT / "tests" / file).read_text("utf-8"))
    assert name in {node.name for node in module.body if isinstance(node, ast.FunctionDef)}

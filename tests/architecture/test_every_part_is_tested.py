from __future__ import annotations

import re

import pytest

from tests.architecture import tree

REFUSAL = re.compile(
    r"pytest\.raises\((\w+\.)?(NotPermitted|NotEntitled|InputError|Invalid\w+|Conflict|\w+Ended|Already\w+)"
)


@pytest.mark.parametrize("operation", tree.public_modules("roles/operations"))
def test_operation_has_a_test_module_with_a_refusal(operation: str) -> None:
    module = tree.ROOT / "tests" / "operations" / f"test_{operation}.py"
    assert module.is_file(), f"write {module.relative_to(tree.ROOT)}: refused first, then allowed, then the event"
    assert REFUSAL.search(module.read_text(encoding="utf-8")), f"{module.name} shows no refusal"


@pytest.mark.parametrize("command", tree.public_modules("roles/management/commands"))
def test_command_is_run_by_a_test(command: str) -> None:
    called = re.compile(rf"call_command\(\s*\"{command}\"|manage\.py\", \"{command}\"")
    tests = (tree.ROOT / "tests").rglob("test_*.py")
    assert any(called.search(test.read_text(encoding="utf-8")) for test in tests), f"no test runs `{command}`"

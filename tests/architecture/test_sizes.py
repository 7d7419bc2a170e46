from __future__ import annotations

from tests.architecture import tree

MODULE_LINES = 400
FUNCTION_LINES = 50


def test_no_module_is_longer_than_400_lines() -> None:
    sizes = {path.relative_to(tree.ROOT): path.read_text(encoding="utf-8").count("\n") for path in tree.modules()}
    assert {str(path): lines for path, lines in sizes.items() if lines > MODULE_LINES} == {}


def test_no_function_is_longer_than_50_lines() -> None:
    too_long = [
        f"{path.relative_to(tree.ROOT)}:{function.lineno} {function.name}"
        for path in tree.modules()
        for function in tree.functions(path)
        if (function.end_lineno or function.lineno) - function.lineno > FUNCTION_LINES
    ]
    assert too_long == []

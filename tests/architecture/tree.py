"""The source tree as these tests read it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def modules() -> list[Path]:
    """Return every Python file that people write: ours, not migrations'."""
    folders = ("roles", "xacct_portal", "tests", "benchmarks")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [*(path for path in found if "migrations" not in path.parts), ROOT / "manage.py"]


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function of a module, methods and inner ones too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def public_modules(package: str) -> list[str]:
    """Return the names of the modules directly in `package` (a path below the root)."""
    return sorted(path.stem for path in (ROOT / package).glob("*.py") if not path.stem.startswith("_"))


def settings_names() -> set[str]:
    """Return the environment variables that the settings read."""
    source = (ROOT / "xacct_portal" / "settings.py").read_text(encoding="utf-8")
    return set(re.findall(r'\benv\.\w+\(\s*"([A-Z0-9_]+)"', source))


def table_names(markdown: Path) -> list[str]:
    """Return what stands in backticks in the first column of every table of a Markdown file."""
    return re.findall(r"^\| `([^`]+)` \|", markdown.read_text(encoding="utf-8"), flags=re.MULTILINE)

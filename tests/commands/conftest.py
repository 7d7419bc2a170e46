"""What the tests of commands share: the example file, and files written on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str], str]


@pytest.fixture
def example() -> str:
    """The path of the example file: the procedure's world with MyRoleA mapped to analysts."""
    return str(Path(__file__).parent / "files" / "procedure.yaml")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file and return its path."""

    def written(text: str) -> str:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written

"""docs/architecture.md against what is there."""

from __future__ import annotations

import re

import pytest

from tests.architecture import tree

TEXT = (tree.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def required(name: str) -> list[str]:
    """Return the packages that a requirements file asks for, without versions and extras."""
    lines = (tree.ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return [re.split(r"[<>=\[]", line)[0] for line in lines if line and not line.startswith(("#", "-"))]


@pytest.mark.parametrize(
    "package", [package for name in ("runtime", "dev", "sandbox", "tools") for package in required(f"{name}.in")]
)
def test_every_dependency_says_why(package: str) -> None:
    assert f"| `{package}` |" in TEXT


@pytest.mark.parametrize(
    "room", sorted(path.name for path in (tree.ROOT / "roles").iterdir() if not path.name.startswith("_"))
)
def test_every_room_is_described(room: str) -> None:
    name = room if room.endswith(".py") else f"{room}/"
    assert room == "migrations" or f"`{name}`" in TEXT


def test_files_it_sends_readers_to_are_there() -> None:
    paths = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", TEXT))
    assert len(paths) > 10
    assert [
        path for path in sorted(paths) if not any((tree.ROOT / top / path).is_file() for top in ("roles", "."))
    ] == []

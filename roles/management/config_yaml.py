"""YAML as configuration needs it: safe, and a key that is written twice is an error, not a silent choice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Leaves times as text: whoever reads the field checks them, and can say where they stand."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load_document(text: str) -> tuple[Any, list[str]]:
    """Return the document and a line for each problem; with problems the document is None."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return None, []
        problems = list(_repeated_keys(root, "", set()))
        return (None, problems) if problems else (loader.construct_document(root), [])
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "document"
        return None, [f"{place}: is not YAML: {error.problem or error.context}"]
    except (yaml.YAMLError, ValueError) as error:
        return None, [f"document: is not YAML: {error}"]


def _repeated_keys(node: yaml.Node, where: str, seen: set[int]) -> Iterator[str]:
    """Yield a line for each key that stands twice in one mapping, anywhere below `node`."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated_keys(item, f"{where}[{index}]", seen)
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            name = str(key.value)
            place = f"{where}.{name}" if where else name
            line = key.start_mark.line + 1
            if name in first:
                yield f"{place}: line {line}: is written twice in one mapping, first on line {first[name]}"
            first.setdefault(name, line)
            yield from _repeated_keys(value, place, seen)

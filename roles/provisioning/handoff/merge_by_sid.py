"""Put the portal's statements into a policy document and leave everybody else's alone.

This file is part of the scripts that account owners run, so it stands on the standard library alone. Called with
the name of a folder; says on standard output whether to "write" or "delete" the document, or that it is "unchanged".

In the folder are `answer`, what the AWS CLI answered (empty: there is no document), and `job.json`: `path` (keys that
lead to the document in the answer), `owned` (beginnings of the Sids that are the portal's), `statements` (the portal's,
as they must be), `placeholder` (the statement for a trust policy that would be empty, or null). `before.json` and
`after.json` are written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def normal(value: Any) -> Any:
    """Return a form that is equal however AWS spelled it: a list of one is its value, order means nothing."""
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items()}
    listed = value if isinstance(value, list) else [value]
    return sorted({json.dumps(item, sort_keys=True) for item in listed})


def statements_of(document: dict[str, Any]) -> list[Any]:
    """Return the document's statements; AWS takes a single one that is not in a list."""
    listed: Any = document.get("Statement", [])
    return listed if isinstance(listed, list) else [listed]


def merged(document: dict[str, Any], job: dict[str, Any]) -> list[Any]:
    """Return the statements as they must be, in the order in which they stand."""
    listed = statements_of(document)
    missing = {statement["Sid"]: statement for statement in job["statements"]}
    kept: list[Any] = []
    for statement in listed:
        sid = statement.get("Sid", "")
        if not sid.startswith(tuple(job["owned"])):
            kept.append(statement)
        elif sid in missing:
            wished = missing.pop(sid)
            kept.append(statement if normal(statement) == normal(wished) else wished)
    kept.extend(missing.values())
    if job["placeholder"] is None:
        return kept
    # A trust policy is never empty. The placeholder denies, so it goes as soon as there is any other statement.
    sid = job["placeholder"]["Sid"]
    there = [statement for statement in listed if statement.get("Sid") == sid][:1]
    real = [statement for statement in kept if statement.get("Sid") != sid]
    return real or there or [job["placeholder"]]


def document_in(answer: str, path: list[str]) -> Any:
    """Return the document in the AWS CLI's answer, or None."""
    if not answer.strip():
        return None
    document = json.loads(answer)
    for key in path:
        document = document[key]
    return json.loads(document) if isinstance(document, str) else document


def main(folder: Path) -> str:
    """Do the job in `folder` and return the verdict."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    before = document_in((folder / "answer").read_text(encoding="utf-8"), job["path"])
    document = {"Version": "2012-10-17", "Statement": []} if before is None else before
    after = dict(document, Statement=merged(document, job))
    for name, content in (("before.json", before), ("after.json", after)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if not after["Statement"]:
        return "unchanged" if before is None else "delete"
    return "unchanged" if before is not None and after["Statement"] == statements_of(document) else "write"


if __name__ == "__main__":
    sys.stdout.write(main(Path(sys.argv[1])) + "\n")

"""The tables of the documents against the code they describe."""

from __future__ import annotations

import json
import re

import pytest

from roles import errors
from roles.aws import sandbox_documents
from tests.architecture import tree

# Read by docker-compose.yml itself, not by the portal.
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "XACCT_PORT"}
DOCS = tree.ROOT / "docs"


def example_names() -> list[str]:
    text = (tree.ROOT / ".env.example").read_text(encoding="utf-8")
    return re.findall(r"^#?([A-Z][A-Z0-9_]+)=", text, flags=re.MULTILINE)


def subclasses(kind: type[errors.PortalError]) -> set[type[errors.PortalError]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_example_environment_names_every_setting_once() -> None:
    names = example_names()
    assert len(names) == len(set(names))
    assert set(names) - COMPOSE_ONLY == tree.settings_names()


def test_settings_table_names_every_setting_once() -> None:
    names = tree.table_names(DOCS / "configuration.md")
    assert len(names) == len(set(names))
    assert set(names) == set(example_names())


def test_errors_table_has_every_code_with_its_status() -> None:
    table = dict(re.findall(r"^\| `([^`]+)` \| (\d{3}) \|", (DOCS / "errors.md").read_text(), flags=re.MULTILINE))
    assert table == {kind.code: str(kind.http_status) for kind in subclasses(errors.PortalError)}


def test_error_codes_are_unique() -> None:
    kinds = subclasses(errors.PortalError)
    assert len({kind.code for kind in kinds}) == len(kinds)


def test_commands_table_names_every_command() -> None:
    assert set(tree.table_names(DOCS / "commands.md")) >= set(tree.public_modules("roles/management/commands"))


@pytest.mark.parametrize(
    "document",
    [
        sandbox_documents.provisioning_policy(),
        sandbox_documents.tokens_policy(),
        sandbox_documents.provisioner_trust(),
        sandbox_documents.provisioner_policy(),
    ],
    ids=["provisioning", "tokens", "provisioner-trust", "provisioner"],
)
def test_documented_permissions_are_those_the_sandbox_tests_run_with(document: dict[str, object]) -> None:
    text = (DOCS / "aws-permissions.md").read_text(encoding="utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, flags=re.DOTALL)]
    assert document in shown


def test_every_link_between_documents_leads_somewhere() -> None:
    dead = []
    for path in [*DOCS.glob("*.md"), *tree.ROOT.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto:") and not (path.parent / target).exists():
                dead.append(f"{path.name}: {target}")
    assert dead == []

"""The script for the AWS CLI: valid shell, names that stay names, and merging that is the engine's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roles.policies.builders import nobody_statement, trust_statements
from roles.policies.document import PolicyDocument, parse
from roles.policies.equivalence import same_document
from roles.policies.ownership import BUCKET_SIDS, TRUST_SIDS, foreign_statements, merged, merged_trust
from roles.provisioning.handoff import merge_by_sid
from tests.policies import strategies
from tests.provisioning.handoff.cases import ALL, HOSTILE_PREFIX, documents, target


def bash(script: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", *arguments], input=script, cwd=cwd, capture_output=True, text=True, check=False, timeout=30
    )


def job(**more: Any) -> dict[str, Any]:
    return {"path": ["Policy"], "owned": [BUCKET_SIDS], "statements": [], "placeholder": None, **more}


def merge_in(folder: Path, answer: str, wanted: dict[str, Any]) -> tuple[str, Any, Any]:
    """Return the verdict and the documents before and after, as the script gets them."""
    (folder / "answer").write_text(answer, encoding="utf-8")
    (folder / "job.json").write_text(json.dumps(wanted), encoding="utf-8")
    verdict = merge_by_sid.main(folder)
    before, after = (json.loads((folder / name).read_text()) for name in ("before.json", "after.json"))
    return verdict, before, after


def answered(document: PolicyDocument) -> str:
    """Return what the AWS CLI answers about a bucket's policy."""
    return json.dumps({"Policy": document.as_json()})


# --- the shell ---


@pytest.mark.parametrize("name", sorted(ALL))
def test_script_is_valid_shell(name: str) -> None:
    script = ALL[name].cli.text
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script
    checked = bash(script, "-n")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_broken_shell_would_be_seen() -> None:
    assert bash(ALL["target"].cli.text.replace("esac", "", 1), "-n").returncode != 0


def test_hostile_names_reach_the_aws_cli_as_they_are_and_run_nothing(tmp_path: Path) -> None:
    """Run the script with an `aws` that only notes its arguments and says that there is nothing."""
    fake = tmp_path / "bin" / "aws"
    fake.parent.mkdir()
    fake.write_text(
        "#!/usr/bin/env bash\n"
        'printf "%s\\0" "$@" >>"$NOTED"; printf "\\n\\0" >>"$NOTED"\n'
        'case "$2" in\n'
        "  get-caller-identity) echo 000000000222 ;;\n"
        "  get-bucket-policy) echo 'An error occurred (NoSuchBucketPolicy) when calling' >&2; exit 254 ;;\n"
        "  get-*) echo 'An error occurred (NoSuchEntity) when calling' >&2; exit 254 ;;\n"
        '  put-bucket-policy) for last in "$@"; do :; done; cp "${last#file://}" "$WRITTEN" ;;\n'
        "esac\n"
    )
    fake.chmod(0o755)
    noted, written = tmp_path / "noted", tmp_path / "written"
    script = tmp_path / "script.sh"
    script.write_text(ALL["hostile"].cli.text)
    path = f"{fake.parent}:/usr/local/bin:/usr/bin:/bin"
    environment = {"PATH": path, "NOTED": str(noted), "WRITTEN": str(written), "HOME": str(tmp_path)}
    done = subprocess.run(
        ["bash", str(script)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.returncode, done.stderr) == (0, "")
    calls = [call.strip("\0").split("\0") for call in noted.read_text().split("\n\0")]
    (create,) = [call for call in calls if "create-role" in call]
    assert create[create.index("--path") + 1] == "/a'b\"c`d;e&f|g<h>i(j)k{l}m%{n}o\\p#q!r~s%25t/</script>/"
    assert create[create.index("--role-name") + 1] == "My.Role+B=,@-_"
    document = json.loads(written.read_text())
    assert document["Statement"][1]["Condition"]["StringLike"]["s3:prefix"] == [HOSTILE_PREFIX, f"{HOSTILE_PREFIX}*"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "noted", "script.sh", "written"]


def test_file_is_ascii_whatever_is_in_the_prefix() -> None:
    assert ALL["hostile"].cli.text.isascii()
    assert documents(target(prefix="日本/")).cli.text.isascii()


# --- merging ---


def test_answer_that_is_no_json_ends_it_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        merge_in(tmp_path, "<html>", job())
    assert not (tmp_path / "after.json").exists()


@given(strategies.foreign_documents(), strategies.wishes(), strategies.wishes())
def test_bucket_policies_are_merged_as_the_engine_merges_them(
    tmp_path_factory: pytest.TempPathFactory, theirs: PolicyDocument, old: list[Any], new: list[Any]
) -> None:
    before = merged(theirs, old, owned=BUCKET_SIDS)
    wanted = job(statements=[dict(one.body) for one in new])
    verdict, kept, after = merge_in(tmp_path_factory.mktemp("merge"), answered(before), wanted)
    engine = merged(before, new, owned=BUCKET_SIDS)
    assert kept == before.as_dict()
    assert foreign_statements(parse(after)) == foreign_statements(before)
    assert same_document(parse(after), engine)
    if before.statements:
        assert verdict == ("delete" if engine.is_empty else "unchanged" if engine is before else "write")


@given(st.data())
def test_spelling_of_aws_is_not_a_difference(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    wishes = data.draw(strategies.wishes().filter(bool))
    there = data.draw(strategies.as_aws_writes_back(PolicyDocument(tuple(wishes))))
    wanted = job(statements=[dict(one.body) for one in wishes])
    verdict, _, _ = merge_in(tmp_path_factory.mktemp("merge"), answered(there), wanted)
    assert verdict == "unchanged"


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("wished", [False, True])
@pytest.mark.parametrize("placeholder", [False, True])
def test_trust_policies_are_merged_as_the_engine_merges_them(
    tmp_path: Path, foreign: bool, wished: bool, placeholder: bool
) -> None:
    theirs = parse(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
    )
    there = [*(theirs.statements if foreign else ()), *([nobody_statement()] if placeholder else [])]
    document = PolicyDocument(tuple(there))
    ours = trust_statements([strategies.ROLE_A], attribution=True) if wished else ()
    wanted = job(
        owned=[TRUST_SIDS],
        statements=[dict(one.body) for one in ours],
        placeholder=dict(nobody_statement().body),
    )
    _, _, after = merge_in(tmp_path, answered(document), wanted)
    assert same_document(parse(after), merged_trust(document, ours, owned=TRUST_SIDS))
    assert after["Statement"]

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from roles.models import (
    AssumeRoleGrant,
    AuditEvent,
    AwsAccount,
    Bucket,
    BucketGrant,
    GroupRole,
    IamRole,
    Membership,
    ProvisioningRun,
    User,
    UserGroup,
)
from tests.commands.conftest import Write

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db


def imported(path: str, *options: str) -> list[str]:
    out = StringIO()
    call_command("import_config", path, *options, stdout=out)
    return out.getvalue().splitlines()


def refused(path: str, *options: str) -> list[str]:
    """Return the lines of the refusal, after making sure that it ends with 2 and that nothing changed."""
    before = footprint()
    with pytest.raises(CommandError) as caught:
        imported(path, *options)
    assert caught.value.returncode == 2
    assert footprint() == before
    return str(caught.value).splitlines()


def footprint() -> tuple[int, ...]:
    kinds = (AwsAccount, IamRole, Bucket, AssumeRoleGrant, BucketGrant, UserGroup, Membership, GroupRole, User)
    return tuple(kind.objects.count() for kind in (*kinds, AuditEvent, ProvisioningRun))


ACCOUNT = '{id: "111111111111", name: deployment, region: us-east-1, access: {mode: ambient}}'
OWNER = '{id: "222222222222", name: owner, region: us-east-1, access: {mode: handoff}}'


# --- refused ---


def test_file_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    assert "No such file" in refused(str(tmp_path / "nothing.yaml"))[0]


def test_file_that_is_not_text_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8 text" in refused(str(tmp_path / "binary.yaml"))[0]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "document: must be a mapping with one or more of accounts, roles, "),
        ("- accounts\n", "document: must be a mapping"),
        ("accounts: [\n", r"line 2, column 1: is not YAML: "),
        ("accounts: !!python/object/apply:os.getcwd []\n", r"line 1, column 11: is not YAML: could not determine"),
        ("accounts: 5\n", "accounts: must be a list"),
        ("acounts: []\n", "acounts: is not known; allowed: accounts, roles, "),
        ("accounts: []\naccounts: []\n", "accounts: line 2: is written twice in one mapping, first on line 1"),
        (
            "groups:\n- name: analysts\n  name: others\n",
            r"groups\[0\].name: line 3: is written twice in one mapping, first on line 2",
        ),
        ("accounts:\n- just-a-word\n", r"accounts\[0\]: must be a mapping of keys to values"),
        ("accounts:\n- {id: 111111111111}\n", r"accounts\[0\].id: must be quoted, .* no leading zeros"),
        (
            f"accounts:\n- {ACCOUNT.replace('111111111111', '1111')}\n",
            r"accounts\[0\].id: '1111' is not an AWS account",
        ),
        (
            f"accounts:\n- {ACCOUNT.replace('ambient', 'magic')}\n",
            r"accounts\[0\].access.mode: 'magic' is none of 'ambi",
        ),
        (
            f"accounts:\n- {ACCOUNT.replace('ambient', 'assume-role')}\n",
            r"accounts\[0\].access.role_arn: Access mode 'as",
        ),
        (
            f"accounts:\n- {ACCOUNT.replace('us-east-1', 'cn-north-1, partition: aws')}\n",
            r"accounts\[0\].region: Region",
        ),
        (
            f"accounts:\n- {ACCOUNT.replace('deployment', 'no')}\n",
            r"accounts\[0\].name: must be text, but YAML reads F",
        ),
        ("roles:\n- {account: a, name: A B}\n", r"roles\[0\].name: 'A B' is not a valid IAM role name"),
        ("roles:\n- {account: a, name: A, attribution: 1}\n", r"roles\[0\].attribution: must be true or false"),
        ("roles:\n- {account: a, name: A, color: red}\n", r"roles\[0\].color: is not known; allowed: account, name, p"),
        ("roles:\n- {account: elsewhere, name: A}\n", r"roles\[0\].account: There is no account 'elsewhere'"),
        ("buckets:\n- {account: a, name: Data}\n", r"buckets\[0\].name: 'Data' is not a valid bucket name"),
        ("groups:\n- {name: g, members: bob}\n", r"groups\[0\].members: must be a list"),
        ("groups:\n- {name: g, members: [a, '']}\n", r"groups\[0\].members\[1\]: must not be empty"),
        ("groups:\n- {name: g, members: [b b]}\n", r"groups\[0\].members\[0\]: Enter a valid username"),
        ("groups:\n- {name: g, roles: [MyRoleA]}\n", r"groups\[0\].roles\[0\]: 'MyRoleA' does not name a role"),
        (
            "groups:\n- {name: g, roles: [a/b, {role: a/b, foo: 1}]}\n",
            r"groups\[0\].roles\[1\].foo: is not known; allo",
        ),
        ("groups:\n- {name: g, roles: [5]}\n", r"groups\[0\].roles\[0\]: must be account/Role, or a mapping with role"),
        ("groups:\n- {on: g}\n", r"groups\[0\]\[1\]: is a key that YAML does not read as text"),
        (
            "groups:\n- {name: g, roles: [{role: a/b, expires_at: 2030-13-01T00:00:00Z}]}\n",
            r"groups\[0\].roles\[0\].expires_at: must be a time with its zone",
        ),
        (
            "groups:\n- {name: g, roles: [{role: a/b, expires_at: 2030-01-01}]}\n",
            r"groups\[0\].roles\[0\].expires_at: must be a time with its zone",
        ),
        (
            "groups:\n- {name: g, roles: [{role: a/b, expires_at: soon}]}\n",
            r"groups\[0\].roles\[0\].expires_at: must be a time with its zone",
        ),
    ],
)
def test_wrong_file_is_refused_with_the_path_in_the_file(write: Write, text: str, line: str) -> None:
    lines = refused(write(text))
    assert lines[0].endswith("1 problem in the file; nothing was changed.") or len(lines) > 2
    assert any(re.match(line, one) for one in lines[1:]), lines


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            "groups:\n- {name: g, roles: [owner/B, deployment/C]}\n",
            r"groups\[0\].roles\[1\]: There is no role .*Did you",
        ),
        ("groups:\n- {name: g, roles: [deployment/a]}\n", r"groups\[0\].roles\[0\]: .* is called 'deployment/A'"),
        ("groups:\n- {name: g, members: [x, x]}\n", r"groups\[0\].members\[1\]: repeats groups\[0\].members\[0\]"),
        (
            "groups:\n- {name: g, roles: [owner/B, owner/B]}\n",
            r"groups\[0\].roles\[1\]: repeats groups\[0\].roles\[0\]",
        ),
        ("groups:\n- {name: g}\n- {name: g}\n", r"groups\[1\]: has the name of groups\[0\]"),
        (
            "groups:\n- {name: g, roles: [{role: deployment/A, buckets: [data]}]}\n",
            r"groups\[0\].roles\[0\].buckets: deployment/A does not reach the bucket data",
        ),
        (
            "groups:\n- {name: g, roles: [{role: deployment/A, buckets: [dat]}]}\n",
            r"groups\[0\].roles\[0\].buckets: There is no bucket 'dat'.* Did you mean data\?",
        ),
        (
            "bucket_grants:\n- {role: deployment/A, bucket: data}\n",
            r"bucket_grants\[0\].role: .* is not in the account of",
        ),
        (
            "bucket_grants:\n- {role: owner/B, bucket: data, prefix: '*'}\n",
            r"bucket_grants\[0\].prefix: .* is not a usable",
        ),
        (
            "bucket_grants:\n- {role: owner/B, bucket: data, prefix: x}\n- {role: owner/B, bucket: data, prefix: x/}\n",
            r"bucket_grants\[1\]: repeats bucket_grants\[0\]",
        ),
        (
            "assume_role_grants:\n- {source: owner/B, target: owner/B}\n",
            r"assume_role_grants\[0\].target: owner/B needs no grant to assume itself",
        ),
    ],
)
def test_wrong_reference_is_refused_with_the_path_in_the_file(write: Write, entry: str, line: str) -> None:
    world = f"accounts:\n- {ACCOUNT}\n- {OWNER}\nroles:\n- {{account: deployment, name: A}}\n"
    world += "- {account: owner, name: B}\nbuckets:\n- {account: owner, name: data}\n"
    lines = refused(write(world + entry))
    assert any(re.match(line, one) for one in lines[1:]), lines


def test_bucket_in_another_account_than_it_is_in_is_refused(write: Write, example: str) -> None:
    imported(example)
    lines = refused(write("buckets:\n- {account: deployment, name: example-data}\n"))
    assert lines[1] == "buckets[0].account: Bucket 'example-data' is in account bucket-owner, not in deployment."


def test_two_accounts_never_share_an_id_or_a_name(write: Write) -> None:
    other = ACCOUNT.replace("deployment", "other")
    assert refused(write(f"accounts:\n- {ACCOUNT}\n- {other}\n"))[1].startswith("accounts[1]: has the account id of")
    other = ACCOUNT.replace("111111111111", "333333333333")
    assert refused(write(f"accounts:\n- {ACCOUNT}\n- {other}\n"))[1].startswith("accounts[1]: has the name of")


def test_all_problems_are_shown_at_once_and_none_twice(write: Write) -> None:
    lines = refused(
        write(
            "accounts:\n- {id: 111111111111, name: deployment, region: us-east-1, access: {mode: ambient}}\n"
            "roles:\n- {account: deployment, name: A}\n- {account: elsewhere, name: B}\n"
            "groups:\n- {name: g, roles: [deployment/A, nowhere/C]}\n"
        )
    )
    # What refers to the account with the wrong id is not reported again.
    assert [line.partition(": ")[0] for line in lines[1:]] == [
        "accounts[0].id",
        "roles[1].account",
        "groups[0].roles[1]",
    ]


def test_nothing_changes_when_only_the_last_entry_is_wrong(write: Write, example: str) -> None:
    text = Path(example).read_text(encoding="utf-8")
    lines = refused(
        write(text.replace("roles: [deployment/MyRoleA]", "roles: [deployment/MyRoleA, deployment/Nobody]"))
    )
    assert lines[1].startswith("groups[0].roles[1]: There is no role 'deployment/Nobody'")


def test_command_line_ends_with_2_and_says_why_on_standard_error(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("accounts: 5\n", encoding="utf-8")
    environment = {
        "XACCT_ENV_FILE": "/dev/null",
        "DEBUG": "on",
        "XACCT_DATA_DIR": str(tmp_path),
        "PATH": "/usr/bin:/bin",
    }
    command = [sys.executable, "manage.py", "import_config", str(tmp_path / "bad.yaml")]
    answer = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert "\naccounts: must be a list" in answer.stderr


# --- allowed ---


def test_example_makes_the_whole_world(example: str) -> None:
    lines = imported(example)
    assert "created account deployment" in lines
    assert "created role deployment/MyRoleA" in lines
    assert "mapped role deployment/MyRoleA to analysts" in lines
    owner = AwsAccount.objects.get(account_id="222222222222")
    assert (owner.name, owner.partition, owner.access_mode) == ("bucket-owner", "aws", "assume-role")
    assert owner.external_id == "example-external-id"
    grant = BucketGrant.objects.get()
    assert (str(grant.role), grant.bucket.name, grant.access, grant.prefix) == (
        *("bucket-owner/MyRoleB", "example-data"),
        *("READWRITE", ""),
    )
    mapping = GroupRole.objects.get()
    assert (mapping.group.name, str(mapping.role), mapping.state) == ("analysts", "deployment/MyRoleA", "queued")
    run = ProvisioningRun.objects.get()
    assert (run.role, run.requested_by_name) == (mapping.role, "command:import_config")


def test_unknown_member_becomes_a_user_without_a_password(example: str) -> None:
    imported(example)
    bob = User.objects.get(username="bob")
    assert bob.is_active
    assert not bob.has_usable_password()
    assert not bob.is_staff
    assert [group.name for group in bob.groups.all()] == ["User"]


def test_every_change_of_one_import_is_in_the_history_under_one_request(example: str) -> None:
    imported(example)
    events = AuditEvent.objects.all()
    assert {event.actor_name for event in events} == {"command:import_config"}
    assert len({event.request_id for event in events}) == 1
    assert "mapping.added" in {event.code for event in events}


def test_second_import_changes_records_and_queues_nothing(example: str) -> None:
    imported(example)
    before = footprint()
    assert imported(example) == ["Nothing to change."]
    assert footprint() == before


def test_dry_run_says_the_same_and_changes_nothing(example: str) -> None:
    before = footprint()
    said = imported(example, "--dry-run")
    assert footprint() == before
    assert said[-1] == "Dry run: nothing was changed."
    assert imported(example) == said[:-1]


def test_dry_run_of_a_wrong_file_is_refused_as_well(write: Write) -> None:
    assert refused(write("accounts: 5\n"), "--dry-run")[1] == "accounts: must be a list"


def test_standard_input_is_read_for_a_dash(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(Path(example).read_text(encoding="utf-8")))
    assert "created group analysts" in imported("-")


def test_everything_an_admin_can_enter_can_be_written(write: Write, example: str) -> None:
    imported(example)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    imported(
        write(f"""
roles:
  - {{account: deployment, name: Adopted, path: /team/, ownership: adopted, attribution: false}}
buckets:
  - {{account: bucket-owner, name: secret-data, region: eu-west-1,
     kms_key_arn: "arn:aws:kms:eu-west-1:222222222222:key/1234abcd"}}
assume_role_grants:
  - {{source: deployment/Adopted, target: bucket-owner/MyRoleB}}
groups:
  - name: readers
    description: They only read.
    roles:
      - {{role: deployment/Adopted, access: READ, prefix: raw, buckets: [example-data],
         expires_at: {until.isoformat()}}}
""")
    )
    role = IamRole.objects.get(name="Adopted")
    assert (role.path, role.ownership, role.attribution) == ("/team/", "adopted", False)
    bucket = Bucket.objects.get(name="secret-data")
    assert (bucket.region, bucket.kms_key_arn[-8:]) == ("eu-west-1", "1234abcd")
    mapping = GroupRole.objects.get(group__name="readers")
    assert (mapping.group.description, mapping.access, mapping.prefix) == ("They only read.", "READ", "raw/")
    assert [bucket.name for bucket in mapping.buckets.all()] == ["example-data"]
    assert mapping.expires_at == until


def test_time_may_stand_without_quotes(write: Write, example: str) -> None:
    imported(example)
    entry = "{role: deployment/MyRoleA, expires_at: 2099-12-31T18:00:00Z}"
    imported(write(f"groups:\n- {{name: analysts, members: [bob], roles: [{entry}]}}\n"))
    assert GroupRole.objects.get().expires_at == datetime(2099, 12, 31, 18, tzinfo=UTC)


def test_partition_and_bucket_region_follow_from_the_account(write: Write) -> None:
    imported(
        write(
            'accounts:\n- {id: "000000000012", name: china, region: cn-north-1, access: {mode: handoff}}\n'
            "buckets:\n- {account: china, name: data-cn}\n"
        )
    )
    assert AwsAccount.objects.get(account_id="000000000012").partition == "aws-cn"
    assert Bucket.objects.get(name="data-cn").region == "cn-north-1"

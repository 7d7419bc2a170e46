"""The CloudFormation template: valid, exact, and silent about nothing that it leaves out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from roles.policies.document import PolicyDocument
from roles.provisioning.resources import Step
from tests.provisioning.handoff import cases
from tests.provisioning.handoff.cases import ALL, BUCKET, FOREIGN, HOSTILE_PREFIX, READABLE, documents, seen, target


def resources(text: str, kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = list(yaml.safe_load(text)["Resources"].values())
    return [one for one in found if one["Type"] == kind]


def cfn_lint(directory: Path) -> str:
    """Return what cfn-lint says about all templates of a directory, remarks included."""
    tool = Path(sys.executable).with_name("cfn-lint")
    command = [str(tool), "--include-checks", "I", "--", *map(str, directory.glob("*.yaml"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


# --- left out, in words ---


def test_bucket_policy_that_nobody_has_read_is_written_only_where_the_owner_says_that_there_is_none() -> None:
    form = documents(target()).cloudformation
    template = yaml.safe_load(form.text)
    ((name, asked),) = template["Parameters"].items()
    assert name.startswith("BucketHasNoPolicyexampledata")
    assert (asked["Default"], asked["AllowedValues"]) == ("false", ["true", "false"])
    assert "is replaced, and what others have in it is lost" in asked["Description"]
    assert template["Conditions"] == {name: {"Fn::Equals": [{"Ref": name}, "true"]}}
    (policy,) = resources(form.text, "AWS::S3::BucketPolicy")
    assert policy["Condition"] == name
    (reason,) = form.left_out
    assert "bucket example-data" in reason and name in reason and "use the script, which merges" in reason
    assert "# NOT IN THIS FILE: The policy of bucket example-data" in form.text


def test_bucket_policy_that_was_read_needs_nobodys_word() -> None:
    wishes = target(READABLE)
    form = documents(wishes, seen(wishes, Step.BUCKET_POLICY, PolicyDocument((FOREIGN,)))).cloudformation
    assert {"Parameters", "Conditions"}.isdisjoint(yaml.safe_load(form.text))
    (policy,) = resources(form.text, "AWS::S3::BucketPolicy")
    assert "Condition" not in policy and form.left_out == ()


def test_trust_policy_of_a_role_that_exists_is_left_out() -> None:
    form = documents(target(managed=False)).cloudformation
    assert resources(form.text, "AWS::IAM::Role") == []
    (reason,) = [one for one in form.left_out if "trust relationship of MyRoleB" in one]
    assert reason.endswith("Use the script or the console for it.")


def test_managed_policies_are_made_with_the_role_that_the_template_makes() -> None:
    form = documents([*cases.source(), cases.spilled(2)]).cloudformation
    policies = resources(form.text, "AWS::IAM::ManagedPolicy")
    assert [one["Properties"]["ManagedPolicyName"] for one in policies] == ["xacct-MyRoleA-1", "xacct-MyRoleA-2"]
    (attached,) = policies[0]["Properties"]["Roles"]
    assert yaml.safe_load(form.text)["Resources"][attached["Ref"]]["Properties"]["RoleName"] == "MyRoleA"
    assert (
        "# aws iam tag-policy --policy-arn arn:aws:iam::000000000222:policy/xacct-portal/xacct-MyRoleA-1" in form.text
    )
    alone = documents([cases.spilled(1)]).cloudformation
    assert resources(alone.text, "AWS::IAM::ManagedPolicy")[0]["Properties"]["Roles"] == ["MyRoleA"]


def test_bucket_of_another_region_than_the_stacks_is_left_out() -> None:
    other = cases.DesiredDocument(
        Step.BUCKET_POLICY, READABLE, "arn:aws:s3:::other-data", cases.BUCKET_SIDS,
        cases.bucket_statements(cases.ROLE_B, cases.BucketArn(BUCKET.partition, "other-data"),
                                cases.AccessLevel.READ, ""), region="eu-west-1",
    )  # fmt: skip
    form = documents([*target(READABLE), other]).cloudformation
    assert [one["Properties"]["Bucket"] for one in resources(form.text, "AWS::S3::BucketPolicy")] == ["example-data"]
    assert "other-data: it is in eu-west-1" in form.left_out[0]


@pytest.mark.parametrize("prefix", ["{{resolve:ssm:password}}/", "a{{resolve:secretsmanager:x:SecretString}}b/"])
def test_text_that_cloudformation_would_replace_by_a_secret_is_left_out(prefix: str) -> None:
    form = documents(target(READABLE, prefix=prefix)).cloudformation
    assert "{{resolve:ssm" not in form.text and "{{resolve:secrets" not in form.text
    assert "a parameter or a secret" in form.left_out[0]


def test_what_ended_is_never_taken_out_by_a_template() -> None:
    form = ALL["ended"].cloudformation
    assert form.text == ""
    assert all("Use the script" in reason for reason in form.left_out)


def test_instance_profile_that_is_there_is_left_out() -> None:
    form = ALL["readable-with-empty-profile"].cloudformation
    assert resources(form.text, "AWS::IAM::InstanceProfile") == []
    assert form.left_out == ("Putting MyRoleA into its instance profile, which is there already. Use the script or "
                             "the console for it.",)  # fmt: skip
    assert len(resources(ALL["source"].cloudformation.text, "AWS::IAM::InstanceProfile")) == 1


# --- rendered ---


def test_bucket_policy_that_the_portal_has_read_keeps_the_statements_of_others() -> None:
    wishes = target(READABLE)
    form = documents(wishes, seen(wishes, Step.BUCKET_POLICY, PolicyDocument((FOREIGN,)))).cloudformation
    (policy,) = resources(form.text, "AWS::S3::BucketPolicy")
    statements = policy["Properties"]["PolicyDocument"]["Statement"]
    assert statements[0] == FOREIGN.body
    assert len(statements) == 3
    assert "Import resources into stack" in form.text


def test_role_is_created_with_its_trust_and_waited_for_by_what_names_it() -> None:
    form = documents(target(READABLE)).cloudformation
    (role,) = resources(form.text, "AWS::IAM::Role")
    assert [one["Sid"] for one in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]] == [
        "XacctTrust",
        "XacctTrustAttribution",
    ]
    assert role["Properties"]["Tags"] == [{"Key": "xacct-portal", "Value": "managed"}]
    (policy,) = resources(form.text, "AWS::S3::BucketPolicy")
    (name,) = policy["DependsOn"]
    assert yaml.safe_load(form.text)["Resources"][name] == role


def test_everything_stays_when_the_stack_goes() -> None:
    for documents_ in ALL.values():
        if documents_.cloudformation.text:
            for one in yaml.safe_load(documents_.cloudformation.text)["Resources"].values():
                assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_account_with_leading_zeros_and_hostile_prefix_come_through_unchanged() -> None:
    form = ALL["hostile-readable"].cloudformation
    assert form.text.isascii()
    (policy,) = resources(form.text, "AWS::S3::BucketPolicy")
    listing = policy["Properties"]["PolicyDocument"]["Statement"][1]
    assert listing["Condition"]["StringLike"]["s3:prefix"] == [HOSTILE_PREFIX, f"{HOSTILE_PREFIX}*"]
    assert "000000000222" in listing["Principal"]["AWS"][0]


def test_cfn_lint_has_nothing_to_say(tmp_path: Path) -> None:
    written = {name: form.cloudformation.text for name, form in ALL.items() if form.cloudformation.text}
    assert {"target", "source-and-target", "readable-with-foreign", "hostile", "spilled", "bootstrap"} <= set(written)
    for name, text in written.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert cfn_lint(tmp_path) == ""


def test_cfn_lint_would_see_a_mistake(tmp_path: Path) -> None:
    wrong = ALL["target"].cloudformation.text.replace("AssumeRolePolicyDocument:", "AssumeRolePolicy:")
    (tmp_path / "wrong.yaml").write_text(wrong, encoding="utf-8")
    assert "AssumeRolePolicy" in cfn_lint(tmp_path)

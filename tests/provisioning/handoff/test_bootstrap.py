"""The provisioner role in the owner's forms: what is refused, and that all forms hold the same documents."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from roles.errors import InputError, PolicyError
from roles.policies.document import PolicyDocument
from roles.policies.provisioner import (
    ProvisionerScope,
    optional_statements,
    provisioner_policy,
    provisioner_trust,
    scope_of,
)
from roles.provisioning import handoff
from roles.values.accounts import Partition, new_external_id
from roles.values.arns import RoleArn
from tests.provisioning.handoff.cases import PORTAL, ROLE_B, B, bootstrap


def test_external_id_that_sts_would_refuse_is_refused() -> None:
    with pytest.raises(InputError) as refused:
        bootstrap(external="$(id)")
    assert refused.value.field == "external_id"
    assert "$(id)" not in str(refused.value)


def test_account_without_roles_and_buckets_is_refused() -> None:
    with pytest.raises(PolicyError, match="no role and no bucket"):
        handoff.bootstrap_for(
            ProvisionerScope(Partition.AWS, B), principal=PORTAL, external=new_external_id(), region="us-east-1"
        )


def test_more_roles_than_a_policy_can_list_are_refused_with_the_way_out() -> None:
    many = [RoleArn(Partition.AWS, B, f"Role{number:060}") for number in range(200)]
    with pytest.raises(PolicyError, match="under one path") as refused:
        handoff.bootstrap_for(
            scope_of(Partition.AWS, B, targets=many), principal=PORTAL, external="xx", region="us-east-1"
        )
    assert "10,240" in str(refused.value)


def test_all_forms_hold_the_same_trust_and_policy() -> None:
    scope = scope_of(Partition.AWS, B, targets=[ROLE_B])
    external = new_external_id()
    forms = handoff.bootstrap_for(scope, principal=PORTAL, external=external, region="us-east-1")
    trust = provisioner_trust(PORTAL, external).as_dict()
    policy = PolicyDocument((*provisioner_policy(scope).statements, *optional_statements())).as_dict()
    resources = yaml.safe_load(forms.cloudformation.text)["Resources"].values()
    assert [one["Properties"].get("AssumeRolePolicyDocument") for one in resources] == [trust, None]
    assert [one["Properties"].get("PolicyDocument") for one in resources] == [None, policy]
    shown = re.findall(r"```json\n(.*?)```", forms.console.text, flags=re.DOTALL)
    assert [json.loads(block) for block in shown] == [trust, policy]
    for form in (forms.cli, forms.terraform):
        assert external in form.text
        assert form.left_out == ()
        assert all(action in form.text for one in policy["Statement"] for action in one["Action"])


def test_role_to_read_with_changes_nothing_and_every_form_makes_it() -> None:
    forms, writing = bootstrap(reads_only=True), bootstrap()
    for name in ("cloudformation", "terraform", "cli", "console"):
        text = getattr(forms, name).text
        assert "iam:GetRole" in text and "s3:GetBucketPolicy" in text
        for action in ("iam:PutRolePolicy", "s3:PutBucketPolicy", "iam:PassRole", "iam:CreateRole"):
            assert action not in text and action in getattr(writing, name).text

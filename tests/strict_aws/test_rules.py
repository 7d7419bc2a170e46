"""The pure rules: what each document may say. Codes and messages over the wire are in `test_writing_policies`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.strict_aws.rules import names
from tests.strict_aws.rules.bucket import check_bucket_policy
from tests.strict_aws.rules.identity import check_identity_policy
from tests.strict_aws.rules.normal import normal, normal_text
from tests.strict_aws.rules.public import is_public
from tests.strict_aws.rules.refusal import Refusal
from tests.strict_aws.rules.trust import check_trust_policy
from tests.strict_aws.world import OWNER, PORTAL, allow, document, to, trust

ALICE = f"arn:aws:iam::{PORTAL}:user/alice"


class Everybody:
    """A directory in which only Alice exists."""

    def knows_arn(self, arn: str) -> bool:
        return arn == ALICE

    def arn_of(self, unique_id: str) -> str | None:
        return ALICE if unique_id == "AIDAALICE" else None


def trusts(policy: Any) -> str:
    return said(lambda: check_trust_policy(policy if isinstance(policy, str) else json.dumps(policy), Everybody()))


def identity(policy: Any) -> str:
    return said(lambda: check_identity_policy(policy if isinstance(policy, str) else json.dumps(policy)))


def bucket(policy: Any) -> str:
    text = policy if isinstance(policy, str) else json.dumps(policy)
    return said(lambda: check_bucket_policy(text, "data", Everybody()))


def said(check: Any) -> str:
    try:
        check()
    except Refusal as refusal:
        return f"{refusal.code}: {refusal.message}"
    return ""


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("{", "invalid Json"),
        ("[]", "invalid Json"),
        (document(), "Syntax errors"),
        ({"Statement": [trust(ALICE)], "Comment": "x"}, "Syntax errors"),
        ({**document(trust(ALICE)), "Version": "2020-01-01"}, "valid version"),
        (document({**trust(ALICE), "Effect": "allow"}), "Invalid effect"),
        (document({"Effect": "Allow", "Action": "sts:AssumeRole"}), "Missing required field Principal"),
        (document({"Effect": "Allow", "Principal": {"AWS": ALICE}}), "Missing required field Action"),
        (document(trust(ALICE, Resource="*")), "Has prohibited field Resource"),
        (document(trust(ALICE, "s3:GetObject")), "may only specify STS"),
        (document(trust(ALICE, Sid="a-b")), "must be alpha-numeric"),
        (document(trust(ALICE, Sid="a"), trust(ALICE, Sid="a")), "must be unique"),
        (document(trust(ALICE, Condition={"StringIs": {"sts:ExternalId": "x"}})), "Syntax errors"),
        (document(trust(ALICE, Condition={"StringEquals": "x"})), "Syntax errors"),
        (document({**trust(ALICE), "Principal": {"Aws": ALICE}}), "Syntax errors"),
        (document({**trust(ALICE), "Principal": ALICE}), "Syntax errors"),
        (document({**trust(ALICE), "NotPrincipal": {"AWS": ALICE}}), "Syntax errors"),
    ],
)
def test_trust_policies_that_iam_refuses(policy: Any, words: str) -> None:
    assert trusts(policy).startswith("MalformedPolicyDocument: ")
    assert words in trusts(policy)


@pytest.mark.parametrize(
    "policy",
    [
        document(trust(ALICE)),
        document(trust("AIDAALICE")),
        document(trust("*", Condition={"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": ["a", True, 3]}})),
        document({**trust(ALICE), "Principal": {"Service": "ec2.amazonaws.com"}}),
        {"Statement": trust([OWNER, f"arn:aws:sts::{OWNER}:assumed-role/Any/session"], ["sts:AssumeRole"])},
    ],
)
def test_trust_policies_that_iam_takes(policy: Any) -> None:
    assert trusts(policy) == ""


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("", "printable ASCII"),
        (json.dumps(document(allow("s3:GetObject", Sid="日本")), ensure_ascii=False), "printable ASCII"),
        (document(allow("s3:GetObject", Sid="日本")), "must be alpha-numeric"),
        (document({"Effect": "Allow", "Action": "s3:*"}), "must contain resources"),
        (document({"Effect": "Allow", "Resource": "*"}), "must contain actions"),
        (document(to("*", allow("s3:*"))), "should not specify a principal"),
        (document(allow("GetObject")), "prefaced by a vendor"),
        (document(allow("s3:GetObject", "bucket/*")), "must be in ARN format"),
        (document(allow([])), "Syntax errors"),
        (document({**allow("s3:*"), "NotAction": "s3:*"}), "Syntax errors"),
    ],
)
def test_identity_policies_that_iam_refuses(policy: Any, words: str) -> None:
    assert words in identity(policy)
    assert identity(document(allow("s3:GetObject"))) == ""


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (allow("s3:GetObject", "arn:aws:s3:::data/*"), "Missing required field Principal"),
        (to(ALICE, allow("s3:FrobObject", "arn:aws:s3:::data/*")), "Policy has invalid action"),
        (to(ALICE, allow("ec2:*", "arn:aws:s3:::data/*")), "Policy has invalid action"),
        (to(ALICE, allow("s3:GetObject", "arn:aws:s3:::data-2/*")), "Policy has invalid resource"),
        (to(ALICE, allow("s3:GetObject", "*")), "Policy has invalid resource"),
        (to(ALICE, allow("s3:ListBucket", "arn:aws:s3:::data/*")), "does not apply to any resource"),
        (to(ALICE, allow(["s3:ListBucket", "s3:GetObject"], "arn:aws:s3:::data")), "does not apply to any resource"),
        (to(ALICE, {"Effect": "Allow", "Resource": "arn:aws:s3:::data"}), "Missing required field Action"),
        (to(ALICE, {"Effect": "Allow", "Action": "s3:*"}), "Missing required field Resource"),
        (to(ALICE + "x", allow("s3:GetObject", "arn:aws:s3:::data/*")), "Invalid principal in policy"),
    ],
)
def test_bucket_policies_that_s3_refuses(statement: Any, words: str) -> None:
    assert bucket(document(statement)) != "" and words in bucket(document(statement))
    assert bucket(document(statement)).startswith("MalformedPolicy: ")


@pytest.mark.parametrize(
    "statement",
    [
        to(ALICE, allow("s3:Get*", ["arn:aws:s3:::data", "arn:aws:s3:::data/*"])),
        to(ALICE, allow("s3:*", "arn:aws:s3:::data")),
        to("*", allow("s3:getobject", "arn:aws:s3:::data/a/*", Sid="with-hyphen")),
        {
            "Effect": "Deny",
            "NotPrincipal": {"AWS": ALICE},
            "NotAction": "s3:GetObject",
            "Resource": "arn:aws:s3:::data/*",
        },
    ],
)
def test_bucket_policies_that_s3_takes(statement: Any) -> None:
    assert bucket(document(statement)) == ""


def test_not_json_and_nothing_are_told_apart_by_their_messages() -> None:
    assert bucket('{"Version":') == "MalformedPolicy: Policies must be valid JSON and the first byte must be '{'"
    assert bucket(document()) == "MalformedPolicy: Could not parse the policy: Statement is empty!"


@pytest.mark.parametrize(
    "name", ["ab", "A-bucket", "-bucket", "my..data", "192.168.0.1", "xn--data", "my-s3alias", "x" * 64]
)
def test_bucket_names_that_s3_refuses(name: str) -> None:
    assert said(lambda: names.check_bucket_name(name)) == "InvalidBucketName: The specified bucket is not valid."
    assert said(lambda: names.check_bucket_name("my.data-1")) == ""


@pytest.mark.parametrize(
    ("check", "bad", "good"),
    [
        (names.check_session_name, "a", "a@b"),
        (names.check_source_identity, "x" * 65, "x" * 64),
        (names.check_external_id, "a b", "a:/b"),
        (names.check_path, "portal/", "/portal/"),
        (names.check_session_seconds, "899", "900"),
        (names.check_session_seconds, "soon", "43200"),
        (names.check_role_name, "Ärger", "a+b=c,d.e@f-g_h"),
    ],
)
def test_names_and_numbers_have_their_shapes(check: Any, bad: str, good: str) -> None:
    assert said(lambda: check(bad)).startswith("ValidationError: 1 validation error detected")
    assert said(lambda: check(good)) == ""


def test_normal_form_is_stable_and_keeps_the_order_of_statements() -> None:
    policy = document(to([PORTAL], allow(["s3:b", "s3:a"], ["arn:x"], Sid="2")), to("*", allow("s3:c", Sid="1")))
    once = normal(policy)
    assert [statement["Sid"] for statement in once["Statement"]] == ["2", "1"]
    assert once["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{PORTAL}:root"}
    assert normal(once) == once
    assert normal_text(policy) == normal_text(once)


def test_public_is_whoever_comes_unless_fixed_values_say_who() -> None:
    grant = to("*", allow("s3:GetObject", "arn:aws:s3:::data/*"))
    assert is_public(document(grant))
    assert is_public(document({**grant, "Condition": {"StringLike": {"aws:userid": "AROAX:*"}}}))
    assert is_public(document({**grant, "Condition": {"StringNotEquals": {"aws:PrincipalAccount": PORTAL}}}))
    assert not is_public(document({**grant, "Condition": {"StringEquals": {"aws:PrincipalAccount": PORTAL}}}))
    assert not is_public(document({**grant, "Effect": "Deny"}))
    assert not is_public(document(to(ALICE, allow("s3:GetObject", "arn:aws:s3:::data/*"))))

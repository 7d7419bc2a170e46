"""A change in one sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from roles.policies.builders import (
    assume_statements,
    bucket_statements,
    nobody_statement,
    pass_role_statements,
    source_role_trust_statements,
    trust_statements,
)
from roles.policies.document import PolicyDocument, Statement
from roles.policies.explain import explain_change
from roles.policies.phrases import listed
from roles.values.accounts import AccountId, Partition
from roles.values.arns import AccessLevel, RoleArn
from tests.policies.strategies import BUCKET, ROLE_A, ROLE_B, foreign_documents

OTHER = RoleArn(Partition.AWS, AccountId("333333333333"), "Other", "/team/")
FOREIGN = Statement({"Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"})


def policy(*statements: Statement, version: str = "2012-10-17") -> dict[str, Any]:
    return PolicyDocument(tuple(statements), version).as_dict()


def one(**body: Any) -> dict[str, Any]:
    return policy(Statement({"Effect": "Allow", **body}))


TRUST = trust_statements([ROLE_A], attribution=False)


def test_nothing_to_compare_is_no_sentence() -> None:
    assert explain_change(None, None) == ""


def test_the_sentence_says_who_is_let_in_and_what_is_kept() -> None:
    assert explain_change(policy(FOREIGN), policy(FOREIGN, *TRUST)) == (
        "Lets MyRoleA (111111111111) assume the role; 1 statement of others is kept."
    )


def test_only_what_is_new_in_a_statement_is_said() -> None:
    both = trust_statements([ROLE_A, OTHER], attribution=False)
    assert explain_change(policy(*TRUST), policy(*both)) == "Lets Other (333333333333) assume the role."
    assert explain_change(policy(*both), policy(*TRUST)) == "No longer lets Other (333333333333) assume the role."


def test_people_who_may_do_the_same_are_named_together() -> None:
    assert explain_change(None, policy(*trust_statements([ROLE_A, OTHER], attribution=False))) == (
        "Lets MyRoleA (111111111111) and Other (333333333333) assume the role."
    )


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (
            source_role_trust_statements(
                Partition.AWS, services=True, portal_principals=["arn:aws:iam::111111111111:user/portal"]
            ),
            "Lets ec2.amazonaws.com, ecs-tasks.amazonaws.com and user portal (111111111111) assume the role.",
        ),
        (assume_statements([(ROLE_B, False)]), "Lets the role assume MyRoleB (222222222222)."),
        (pass_role_statements(ROLE_A), "Lets the role pass on MyRoleA (111111111111)."),
        (
            trust_statements([ROLE_A], attribution=True),
            "Lets MyRoleA (111111111111) assume, tag sessions of and name the person behind sessions of the role.",
        ),
        ((nobody_statement(),), "Forbids anyone to assume the role."),
        (
            bucket_statements(ROLE_B, BUCKET, AccessLevel.READWRITE, ""),
            "Lets MyRoleB (222222222222) see the region of and list the bucket example-data and read, write, "
            "set the ACL of and delete objects in example-data.",
        ),
        (
            bucket_statements(ROLE_B, BUCKET, AccessLevel.READ, "team"),
            "Lets MyRoleB (222222222222) see the region of the bucket example-data and list the bucket example-data "
            "under team/ and read objects under team/ in example-data.",
        ),
    ],
)
def test_each_step_of_the_procedure_has_its_sentence(statements: tuple[Statement, ...], sentence: str) -> None:
    assert explain_change(None, policy(*statements)) == sentence


def test_a_policy_that_goes_says_so() -> None:
    assert explain_change(policy(*TRUST), None) == (
        "No longer lets MyRoleA (111111111111) assume the role; the policy is deleted."
    )


def test_the_first_to_be_let_in_ends_the_ban_on_everybody() -> None:
    assert explain_change(policy(nobody_statement()), policy(*TRUST)) == (
        "Lets MyRoleA (111111111111) assume the role; no longer forbids anyone to assume the role."
    )


def test_another_spelling_is_no_change() -> None:
    single = {**TRUST[0].body, "Principal": {"AWS": str(ROLE_A)}}
    assert explain_change(policy(*TRUST), policy(Statement(single))) == "Nothing changes."
    renamed = {**TRUST[0].body, "Sid": "XacctTrustOther"}
    assert explain_change(policy(*TRUST), policy(Statement(renamed))) == "Only how it is written changes."


def test_a_change_of_the_languages_version_is_told() -> None:
    sentence = explain_change(policy(FOREIGN, version="2008-10-17"), policy(FOREIGN))
    assert sentence == (
        "The version of the policy's language changes from 2008-10-17 to 2012-10-17; 1 statement of others is kept."
    )


def test_what_others_wrote_and_is_gone_is_not_counted_as_kept() -> None:
    sentence = explain_change(policy(FOREIGN, *TRUST), policy(*TRUST))
    assert sentence == "No longer lets anyone read everything."
    assert "2 statements of others are kept" in explain_change(policy(FOREIGN, FOREIGN), policy(FOREIGN, FOREIGN))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"Action": "s3:GetObjectTagging", "Resource": "*"}, "Lets the role use s3:GetObjectTagging on everything."),
        ({"Action": "*", "Resource": "arn:aws:sns:x"}, "Lets the role do anything with arn:aws:sns:x."),
        (
            {"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::222222222222:role/*"},
            "Lets the role assume any role of account 222222222222.",
        ),
        (
            {"Principal": {"AWS": "arn:aws:iam::333333333333:root"}, "Action": "sts:AssumeRole"},
            "Lets account 333333333333 assume the role.",
        ),
        (
            {"Principal": {"AWS": "AROAEXAMPLEID"}, "Action": "sts:AssumeRole"},
            "Lets the identity AROAEXAMPLEID assume the role.",
        ),
        (
            {
                "Action": "s3:GetObject",
                "Resource": f"{BUCKET}/a.txt",
                "Condition": {"Bool": {"aws:SecureTransport": True}},
            },
            "Lets the role read the object a.txt in example-data under a condition.",
        ),
        (
            {"Action": "s3:ListBucket", "Resource": str(BUCKET), "Condition": {"StringLike": {"s3:prefix": ["a*"]}}},
            "Lets the role list the bucket example-data under a condition.",
        ),
        (
            {
                "Action": "s3:ListBucket",
                "Resource": str(BUCKET),
                "Condition": {"StringLike": {"s3:prefix": ["a/", "a/*"], "aws:userid": "x"}},
            },
            "Lets the role list the bucket example-data under a condition.",
        ),
        ({"Sid": "Odd", "NotAction": "s3:*", "Resource": "*"}, "Adds the statement 'Odd', which says what it excepts."),
        (
            {"NotPrincipal": {"AWS": "*"}, "Action": "s3:*"},
            "Adds a statement without a name, which says what it excepts.",
        ),
    ],
)
def test_what_others_write_is_told_as_far_as_it_can_be(body: dict[str, Any], sentence: str) -> None:
    assert explain_change(None, one(**body)) == sentence


def test_a_statement_with_exceptions_that_goes_is_dropped() -> None:
    sentence = explain_change(one(Sid="Odd", NotAction="s3:*", Resource="*"), policy(*TRUST))
    assert "drops the statement 'Odd'" in sentence


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (None, ["MyRoleA"], "Makes the instance profile P; puts MyRoleA into it."),
        ([], ["MyRoleA"], "Puts MyRoleA into the instance profile P."),
        (["Old"], ["New"], "Puts New into the instance profile P; takes Old out of the instance profile P."),
        (["MyRoleA"], ["MyRoleA"], "Nothing changes."),
        (["MyRoleA"], None, "Takes MyRoleA out of the instance profile P; deletes the instance profile P."),
    ],
)
def test_an_instance_profile_has_its_own_words(before: Any, after: Any, sentence: str) -> None:
    described = [None if roles is None else {"InstanceProfileName": "P", "Roles": roles} for roles in (before, after)]
    assert explain_change(*described) == sentence


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ({"a": 1, "b": 2, "c": 3}, {"b": 9, "c": 3, "d": 4}, "Sets d; changes b; removes a."),
        ({"a": 1}, {"a": 1}, "Nothing changes."),
        (None, {"a": 1, "b": 2}, "Sets a and b."),
        ({"Statement": "broken"}, None, "Removes Statement."),
        ({"Statement": []}, {"other": 1}, "Sets other; removes Statement."),
    ],
)
def test_of_any_other_object_the_keys_are_named(before: Any, after: Any, sentence: str) -> None:
    assert explain_change(before, after) == sentence


@given(foreign_documents(), foreign_documents())
def test_whatever_others_write_there_is_one_sentence(before: PolicyDocument, after: PolicyDocument) -> None:
    sentence = explain_change(before.as_dict(), after.as_dict())
    assert sentence[0].isupper()
    assert sentence.endswith(".")


def test_many_names_are_counted() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c", "d"]) == "a, b, c and d"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"

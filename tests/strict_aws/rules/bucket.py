"""A bucket policy, as S3 takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.strict_aws.rules import grammar, sizes
from tests.strict_aws.rules.grammar import Statement, as_list, statements_of
from tests.strict_aws.rules.normal import normal_text
from tests.strict_aws.rules.principals import Directory, check_known
from tests.strict_aws.rules.refusal import malformed_s3
from tests.strict_aws.rules.s3_actions import BUCKET_ACTIONS, OBJECT_ACTIONS, matching

SYNTAX = "Policy has invalid syntax"
NOT_JSON = "Policies must be valid JSON and the first byte must be '{'"


def check_bucket_policy(text: str, bucket: str, directory: Directory) -> dict[str, Any]:
    """Return the document, or raise what PutBucketPolicy answers for `bucket`."""
    document = grammar.read(text, malformed_s3, not_json=NOT_JSON)
    if not as_list(document.get("Statement")):
        raise malformed_s3("Could not parse the policy: Statement is empty!")
    grammar.check_shape(document, malformed_s3, syntax=SYNTAX)
    statements = statements_of(document)
    for statement in statements:
        _check_statement(statement, bucket)
    grammar.require_unique_sids(statements, malformed_s3)
    check_known(document, directory, malformed_s3, tell=False)
    sizes.check_bucket(normal_text(document))
    return document


def _check_statement(statement: Statement, bucket: str) -> None:
    if "Principal" not in statement and "NotPrincipal" not in statement:
        raise malformed_s3("Missing required field Principal")
    grammar.require_actions([statement], malformed_s3, message="Missing required field Action")
    resources = as_list(statement.get("Resource")) + as_list(statement.get("NotResource"))
    if not resources:
        raise malformed_s3("Missing required field Resource")
    if not all(_is_of(resource, bucket) for resource in resources):
        raise malformed_s3("Policy has invalid resource")
    _check_actions(statement, resources)


def _is_of(resource: str, bucket: str) -> bool:
    head, _, name = resource.partition(":s3:::")
    return head in ("arn:aws", "arn:aws-cn", "arn:aws-us-gov") and (name == bucket or name.startswith(f"{bucket}/"))


def _check_actions(statement: Mapping[str, Any], resources: list[str]) -> None:
    """Raise for an action that S3 has not, and for one that none of the statement's resources can be subject to."""
    of_objects, of_bucket = any("/" in item for item in resources), any("/" not in item for item in resources)
    for pattern in as_list(statement.get("Action")) + as_list(statement.get("NotAction")):
        actions = matching("s3:*") if pattern == "*" else matching(pattern)
        if not actions:
            raise malformed_s3("Policy has invalid action")
        fits = (of_objects and actions & OBJECT_ACTIONS) or (of_bucket and actions & BUCKET_ACTIONS)
        if "Action" in statement and not fits:
            raise malformed_s3("Action does not apply to any resource(s) in statement")

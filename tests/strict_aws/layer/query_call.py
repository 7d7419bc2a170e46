"""IAM's and STS's calls: a form with an action and flat parameters."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from tests.strict_aws.layer.message import Request


def parameters_of(request: Request) -> dict[str, str]:
    """Return the parameters of a call, from its form and its query."""
    pairs = parse_qsl(urlsplit(request.target).query, keep_blank_values=True)
    return dict(pairs + parse_qsl(request.body.decode(), keep_blank_values=True))


def members(parameters: Mapping[str, str], prefix: str) -> list[str]:
    """Return a list parameter, such as `TransitiveTagKeys.member.1`, in order."""
    found: list[str] = []
    while (value := parameters.get(f"{prefix}.{len(found) + 1}")) is not None:
        found.append(value)
    return found


def tags_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the `Tags` of a call."""
    tags: dict[str, str] = {}
    while (key := parameters.get(f"Tags.member.{len(tags) + 1}.Key")) is not None:
        tags[key] = parameters.get(f"Tags.member.{len(tags) + 1}.Value", "")
    return tags


def policy_arns(parameters: Mapping[str, str]) -> list[str]:
    """Return the `PolicyArns` of an AssumeRole."""
    found: list[str] = []
    while (arn := parameters.get(f"PolicyArns.member.{len(found) + 1}.arn")) is not None:
        found.append(arn)
    return found

"""IAM: who may, what is refused, what a deleted role leaves behind, and how documents come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from tests.strict_aws.judge.caller import Caller
from tests.strict_aws.judge.verdict import Question
from tests.strict_aws.layer.desk import Shared, context_of, judge, not_authorized
from tests.strict_aws.layer.iam_checks import CHECKS, Check
from tests.strict_aws.layer.message import Request, Response
from tests.strict_aws.layer.query_call import parameters_of, tags_of
from tests.strict_aws.layer.stored import with_documents
from tests.strict_aws.layer.world import Entity
from tests.strict_aws.rules.grammar import statements_of
from tests.strict_aws.rules.principals import aws_principals, with_principals

_WRITES = ("Create", "Put", "Update", "Delete", "Attach", "Detach", "Tag", "Untag", "Add", "Remove")
# IAM API Reference: tags in these calls need a permission of their own.
_TAGGING = {
    "CreateRole": "iam:TagRole",
    "CreatePolicy": "iam:TagPolicy",
    "CreateInstanceProfile": "iam:TagInstanceProfile",
}


class IamDesk:
    """Answers calls of IAM."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def answer(self, request: Request) -> Response:
        """Return what AWS answers. Raises `Refusal`."""
        parameters = parameters_of(request)
        action = parameters.get("Action", "")
        caller = self._shared.callers.identify(request)
        if caller is None:
            return self._shown(self._shared.upstream(request))
        if not action.startswith(_WRITES):
            return self._shown(self._act(request, caller, action, parameters, None))
        gone = self._leaving(action, parameters, caller.account)
        with self._shared.lock(f"iam:{caller.account}"):
            response = self._act(request, caller, action, parameters, CHECKS.get(action))
            if response.ok:
                self._settle(action, parameters, caller.account)
        if gone is not None and response.ok:
            self._orphan(gone)
        return self._shown(response)

    def _shown(self, response: Response) -> Response:
        return with_documents(response, self._shared.world.shown)

    def _act(
        self, request: Request, caller: Caller, action: str, parameters: Mapping[str, str], check: Check | None
    ) -> Response:
        questions = list(self._questions(request, caller, action, parameters))
        verdict = judge(caller, questions) if questions else None
        if verdict is False:
            refused = next(question for question in questions if judge(caller, [question]) is False)
            raise not_authorized(caller, refused.action, refused.resource)
        if check is not None:
            check(self._shared.world, caller.account, parameters)
        return self._shared.pass_on(request, allowed=bool(verdict), owner=caller.account)

    def _questions(
        self, request: Request, caller: Caller, action: str, parameters: Mapping[str, str]
    ) -> Iterator[Question]:
        """Yield what the caller needs: the call itself on the full ARN, path included, and what it brings along."""
        tags = tags_of(parameters)
        context = {
            **context_of(request, caller),
            "iam:permissionsboundary": parameters.get("PermissionsBoundary"),
            **self._about(action, parameters, caller.account),
            "aws:tagkeys": list(tags) or None,
            **{f"aws:requesttag/{key}".lower(): value for key, value in tags.items()},
        }
        resource = self._resource(action, parameters, caller.account)
        if not resource:
            return
        yield Question(f"iam:{action}", resource, caller.account, context)
        if action in _TAGGING and tags:
            yield Question(_TAGGING[action], resource, caller.account, context)
        if action == "AddRoleToInstanceProfile":
            role = self._role_arn(parameters, caller.account)
            yield Question("iam:PassRole", role, caller.account, context)

    def _about(self, action: str, parameters: Mapping[str, str], account: str) -> dict[str, str | None]:
        """Return what conditions of IAM's own can ask about the call: the policy it attaches, the entity's tags.

        IAM User Guide, "IAM and AWS STS condition context keys": `iam:ResourceTag` is about users and roles.
        """
        about: dict[str, str | None] = {}
        if action.startswith(("Attach", "Detach")):
            about["iam:policyarn"] = parameters.get("PolicyArn")
        if "InstanceProfileName" not in parameters:
            role, user = parameters.get("RoleName"), parameters.get("UserName")
            entity = self._shared.world.role(account, role) if role else None
            entity = self._shared.world.user(account, user) if user else entity
            tags = entity.tags if entity else {}
            about |= {f"iam:resourcetag/{key}".lower(): value for key, value in tags.items()}
        return about

    def _resource(self, action: str, parameters: Mapping[str, str], account: str) -> str:
        profile = parameters.get("InstanceProfileName")
        if profile and action == "CreateInstanceProfile":
            return f"arn:aws:iam::{account}:instance-profile{parameters.get('Path', '/')}{profile}"
        if profile:
            return self._shared.world.instance_profile_arn(account, profile)
        if action == "CreatePolicy":
            return f"arn:aws:iam::{account}:policy{parameters.get('Path', '/')}{parameters.get('PolicyName', '')}"
        if "RoleName" in parameters:
            return self._role_arn(parameters, account)
        if "UserName" in parameters:
            user = self._shared.world.user(account, parameters["UserName"])
            return (
                user.arn
                if user
                else f"arn:aws:iam::{account}:user{parameters.get('Path', '/')}{parameters['UserName']}"
            )
        about_oneself = "User" in action or "AccessKey" in action
        return parameters.get("PolicyArn", "" if about_oneself and action != "ListUsers" else "*")

    def _role_arn(self, parameters: Mapping[str, str], account: str) -> str:
        name = parameters["RoleName"]
        role = self._shared.world.role(account, name)
        return role.arn if role else f"arn:aws:iam::{account}:role{parameters.get('Path', '/')}{name}"

    def _leaving(self, action: str, parameters: Mapping[str, str], account: str) -> Entity | None:
        """Return whom this call would delete."""
        if action == "DeleteRole":
            return self._shared.world.role(account, parameters.get("RoleName", ""))
        return self._shared.world.user(account, parameters.get("UserName", "")) if action == "DeleteUser" else None

    def _settle(self, action: str, parameters: Mapping[str, str], account: str) -> None:
        """Do what follows from a successful write."""
        world, name = self._shared.world, parameters.get("RoleName", "")
        text = parameters.get("AssumeRolePolicyDocument" if action == "CreateRole" else "PolicyDocument", "")
        if action == "CreateRole":
            world.propagation.note(f"arn:aws:iam::{account}:role{parameters.get('Path', '/')}{name}")
        if world.conceal and action in ("CreateRole", "UpdateAssumeRolePolicy"):
            world.set_trust(name, account, json.loads(text))

    def _orphan(self, gone: Entity) -> None:
        """Leave the unique id of a deleted role or user behind wherever policies named it: the name is free now."""
        for account in self._shared.world.accounts:
            for role in self._shared.world.roles(account):
                with self._shared.lock(f"iam:{account}"):
                    current = self._shared.world.role(account, role.name)
                    if current is not None and _names(current.trust, gone.arn):
                        document = with_principals(current.trust, _replaced(gone))
                        self._shared.world.set_trust(role.name, account, document)
            for bucket in self._shared.buckets.names(account):
                with self._shared.lock(f"s3:{bucket}"):
                    policy = self._shared.buckets.policy(bucket, account)
                    if policy and _names(policy, gone.arn):
                        self._shared.buckets.set_policy(bucket, account, with_principals(policy, _replaced(gone)))


def _names(document: Mapping[str, object], arn: str) -> bool:
    return any(arn == value for statement in statements_of(document) for value in aws_principals(statement))


def _replaced(gone: Entity) -> Callable[[str], str]:
    return lambda value: gone.unique_id if value == gone.arn else value

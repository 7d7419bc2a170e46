"""STS: AssumeRole as AWS checks it, and the memory of whose each session is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.strict_aws.judge.caller import Caller, Document
from tests.strict_aws.judge.verdict import Question, allows
from tests.strict_aws.layer.callers import Session
from tests.strict_aws.layer.desk import Shared, context_of, not_authorized
from tests.strict_aws.layer.message import Request, Response
from tests.strict_aws.layer.query_call import members, parameters_of, policy_arns, tags_of
from tests.strict_aws.layer.root import parsed
from tests.strict_aws.layer.stored import LAYER_ACCOUNT
from tests.strict_aws.layer.world import Entity
from tests.strict_aws.rules import names
from tests.strict_aws.rules.identity import check_session_policies, packed_percent
from tests.strict_aws.rules.principals import ENTITY_ARN, ROOT_ARN
from tests.strict_aws.rules.refusal import Refusal, access_denied, invalid

DEFAULT_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Asked:
    """An AssumeRole's parameters, read once."""

    role_arn: str
    session_name: str
    seconds: int
    policy: str
    policy_arns: tuple[str, ...]
    tags: Mapping[str, str]
    transitive: frozenset[str]
    external_id: str | None
    source_identity: str

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Asked:
        """Read and check the parameters' shapes. Raises `Refusal`."""
        names.check_session_name(parameters.get("RoleSessionName", ""))
        seconds = parameters.get("DurationSeconds", str(DEFAULT_SECONDS))
        names.check_session_seconds(seconds)
        names.check_tags(tags_of(parameters))
        if "ExternalId" in parameters:
            names.check_external_id(parameters["ExternalId"])
        if "SourceIdentity" in parameters:
            names.check_source_identity(parameters["SourceIdentity"])
        return cls(
            role_arn=parameters.get("RoleArn", ""),
            session_name=parameters["RoleSessionName"],
            seconds=int(seconds),
            policy=parameters.get("Policy", ""),
            policy_arns=tuple(policy_arns(parameters)),
            tags=tags_of(parameters),
            transitive=frozenset(members(parameters, "TransitiveTagKeys.member")),
            external_id=parameters.get("ExternalId"),
            source_identity=parameters.get("SourceIdentity", ""),
        )


class StsDesk:
    """Answers calls of STS."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def answer(self, request: Request) -> Response:
        """Return what AWS answers. Raises `Refusal`."""
        parameters = parameters_of(request)
        caller = self._shared.callers.identify(request)
        if parameters.get("Action") != "AssumeRole":
            return self._shared.upstream(request)
        asked = Asked.read(parameters)
        match = ENTITY_ARN.fullmatch(asked.role_arn)
        if match is None or match.group(3) != "role":
            raise invalid("roleArn", asked.role_arn, "be a role's ARN")
        account, name = match.group(2), match.group(5)
        self._shared.world.saw_account(account)
        if caller is None:
            return self._shared.upstream(request)
        packed = self._check_policies(asked, account)
        role = self._shared.world.role(account, name)
        role = self._authorised(request, caller, asked, role)
        names.check_session_length(asked.seconds, chained=caller.is_session, role_seconds=role.seconds)
        return self._issue(request, caller, asked, role, packed)

    def _check_policies(self, asked: Asked, account: str) -> int:
        exists = self._shared.world.managed
        check_session_policies(asked.policy, asked.policy_arns, exists=lambda arn: exists(arn, account) is not None)
        return packed_percent(asked.policy, asked.policy_arns, dict(asked.tags))

    def _authorised(self, request: Request, caller: Caller, asked: Asked, role: Entity | None) -> Entity:
        """Return the role if the caller may assume it this way. A role that is not there looks like a refusal."""
        if ROOT_ARN.fullmatch(caller.arn):
            raise access_denied("Roles may not be assumed by root accounts.")
        if role is None or role.arn != asked.role_arn or self._shared.world.propagation.is_under_way(role.arn):
            raise not_authorized(caller, "sts:AssumeRole", asked.role_arn)
        inherited = self._inherited(request)
        if asked.source_identity and inherited.source_identity not in ("", asked.source_identity):
            raise not_authorized(caller, "sts:SetSourceIdentity", asked.role_arn)
        if {key.lower() for key in asked.tags} & {key.lower() for key in inherited.tags}:
            raise Refusal("InvalidParameterValue", "One of the specified transitive tag keys can't be set.", 400)
        for question in self._questions(request, caller, asked, inherited):
            if not allows(caller, question, role.trust, required=True):
                raise not_authorized(caller, question.action, asked.role_arn)
        return role

    def _inherited(self, request: Request) -> Session:
        """Return what the caller's own session hands on: its source identity, and its transitive tags."""
        session = self._shared.callers.session(request.access_key)
        if session is None:
            return Session("", "", "", "", "")
        tags = {key: value for key, value in session.tags.items() if key in session.transitive}
        return Session(
            "", "", "", "", "", tags=tags, transitive=session.transitive, source_identity=session.source_identity
        )

    def _questions(self, request: Request, caller: Caller, asked: Asked, inherited: Session) -> Iterator[Question]:
        tags = {**inherited.tags, **asked.tags}
        source_identity = asked.source_identity or inherited.source_identity
        context = {
            **context_of(request, caller),
            "sts:externalid": asked.external_id,
            "sts:rolesessionname": asked.session_name,
            "sts:sourceidentity": source_identity or None,
            "sts:transitivetagkeys": sorted(asked.transitive | inherited.transitive) or None,
            "aws:tagkeys": list(tags) or None,
            **{f"aws:requesttag/{key}".lower(): value for key, value in tags.items()},
        }
        needed = [("sts:AssumeRole", True), ("sts:TagSession", tags), ("sts:SetSourceIdentity", source_identity)]
        owner = asked.role_arn.split(":")[4]
        for action, wanted in needed:
            if wanted:
                yield Question(action, asked.role_arn, owner, context)

    def _issue(self, request: Request, caller: Caller, asked: Asked, role: Entity, packed: int) -> Response:
        """Let the emulator make the session. One that judges trusts itself has only let the layer in; see `stored`."""
        response = self._shared.upstream(request)
        if response.error_code == "AccessDenied" and self._shared.world.conceal:
            response = self._shared.upstream(request.signed_as_root(LAYER_ACCOUNT))
        answer = parsed(response)
        if answer is None:
            return response
        inherited = self._inherited(request)
        source_identity = asked.source_identity or inherited.source_identity
        session = Session(
            role_account=role.account,
            role_name=role.name,
            role_id=role.unique_id,
            arn=f"arn:{role.arn.split(':')[1]}:sts::{role.account}:assumed-role/{role.name}/{asked.session_name}",
            user_id=f"{role.unique_id}:{asked.session_name}",
            policies=self._session_documents(asked, role.account),
            tags={**inherited.tags, **asked.tags},
            transitive=asked.transitive | inherited.transitive,
            source_identity=source_identity,
            seconds=asked.seconds,
        )
        self._shared.callers.remember(answer.findtext(".//AccessKeyId") or "", session)
        return _completed(response, source_identity, packed)

    def _session_documents(self, asked: Asked, account: str) -> tuple[Document, ...] | None:
        if not asked.policy and not asked.policy_arns:
            return None
        inline = [json.loads(asked.policy)] if asked.policy else []
        managed = [self._shared.world.managed(arn, account) or {} for arn in asked.policy_arns]
        return (*inline, *managed)


def _completed(response: Response, source_identity: str, packed: int) -> Response:
    """Return an AssumeRole's answer with what emulators leave out: SourceIdentity, and a true PackedPolicySize."""
    text = re.sub(r"<(PackedPolicySize|SourceIdentity)>[^<]*</\1>", "", response.text)
    more = f"<PackedPolicySize>{packed}</PackedPolicySize>" if packed else ""
    more += f"<SourceIdentity>{source_identity}</SourceIdentity>" if source_identity else ""
    return response.with_text(text.replace("</AssumeRoleResult>", f"{more}</AssumeRoleResult>"))

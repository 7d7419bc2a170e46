"""S3: who may, whose bucket it is, what a bucket policy may say, and how it comes back."""

from __future__ import annotations

from typing import Any

from tests.strict_aws.judge.caller import Caller
from tests.strict_aws.judge.verdict import Question
from tests.strict_aws.layer.desk import Shared, context_of, judge
from tests.strict_aws.layer.message import Request, Response
from tests.strict_aws.layer.s3_call import S3Call, read_s3_call
from tests.strict_aws.layer.stored import revealed
from tests.strict_aws.rules.bucket import check_bucket_policy
from tests.strict_aws.rules.names import check_bucket_name
from tests.strict_aws.rules.principals import ROOT_ARN
from tests.strict_aws.rules.public import is_public
from tests.strict_aws.rules.refusal import Refusal, access_denied

_POLICY_ACTIONS = ("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:GetBucketPolicyStatus")


class S3Desk:
    """Answers calls of S3."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def answer(self, request: Request) -> Response:
        """Return what AWS answers. Raises `Refusal`."""
        call = read_s3_call(request)
        if call.action == "s3:CreateBucket":
            check_bucket_name(call.bucket)
        caller = self._shared.callers.identify(request) if request.access_key else None
        owner = self._shared.buckets.owner(call.bucket) if call.bucket else caller.account if caller else None
        if owner is None or call.action == "s3:CreateBucket":
            return self._shared.upstream(request)
        if call.bucket:
            self._check_owner(request, call, owner)
        if caller is None:
            return self._shared.upstream(request)
        allowed = self._authorise(request, caller, call, owner)
        if call.action == "s3:PutBucketPolicy":
            return self._put_policy(request, call, owner, allowed=allowed)
        response = self._shared.pass_on(request, allowed=allowed, owner=owner)
        return self._told(response, request, caller, call, owner)

    def _check_owner(self, request: Request, call: S3Call, owner: str) -> None:
        """Refuse a request that expects the bucket, or the one it copies from, to be somebody else's."""
        expected = request.header("x-amz-expected-bucket-owner")
        if expected and expected != owner:
            raise access_denied()
        source = request.header("x-amz-copy-source").lstrip("/").split("/", 1)[0]
        expected = request.header("x-amz-source-expected-bucket-owner")
        if source and expected and self._shared.buckets.owner(source) not in (None, expected):
            raise access_denied()

    def _authorise(self, request: Request, caller: Caller, call: S3Call, owner: str) -> bool:
        """Return whether AWS surely allows it; False where the emulator is to decide. Raises for what AWS denies."""
        own_root = caller.account == owner and ROOT_ARN.fullmatch(caller.arn)
        if not call.action or own_root:
            return False
        policy = self._shared.buckets.policy(call.bucket, owner) if call.bucket else None
        verdict = judge(caller, [self._question(request, caller, call, owner)], policy)
        foreign = caller.account != owner
        if verdict and foreign and policy and is_public(policy):
            verdict = not self._shared.buckets.blocks(call.bucket, owner, "RestrictPublicBuckets")
        if verdict is False:
            raise access_denied()
        if foreign and verdict and call.action in _POLICY_ACTIONS:
            raise Refusal("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
        return bool(verdict)

    @staticmethod
    def _question(request: Request, caller: Caller, call: S3Call, owner: str, *, action: str = "") -> Question:
        context: dict[str, Any] = dict(context_of(request, caller))
        context |= {"aws:resourceaccount": owner, "s3:resourceaccount": owner}
        context |= {f"s3:{name}".lower(): value for name, value in request.headers.items() if _is_condition(name)}
        if action:
            return Question(action, f"arn:aws:s3:::{call.bucket}", owner, context)
        if call.action in ("s3:ListBucket", "s3:ListBucketVersions"):
            context |= {f"s3:{name}": call.query.get(name) for name in ("prefix", "delimiter", "max-keys")}
        return Question(call.action, call.resource, owner, context)

    def _put_policy(self, request: Request, call: S3Call, owner: str, *, allowed: bool) -> Response:
        with self._shared.lock(f"s3:{call.bucket}"):
            document = check_bucket_policy(_plain(request), call.bucket, self._shared.world)
            if is_public(document) and self._shared.buckets.blocks(call.bucket, owner, "BlockPublicPolicy"):
                raise access_denied()
            response = self._shared.pass_on(request, allowed=allowed, owner=owner)
            if response.ok and self._shared.buckets.conceal:
                self._shared.buckets.set_policy(call.bucket, owner, document)
            return response

    def _told(self, response: Response, request: Request, caller: Caller, call: S3Call, owner: str) -> Response:
        """Return what the caller is told: nothing of a key that it may not list, and documents as S3 keeps them."""
        if call.action == "s3:GetBucketPolicy" and response.ok:
            return response.with_text(self._shared.world.shown(revealed(response.text)))
        missing = call.key and call.action == "s3:GetObject" and response.status == 404
        if missing and not ROOT_ARN.fullmatch(caller.arn):
            policy = self._shared.buckets.policy(call.bucket, owner)
            listing = self._question(request, caller, call, owner, action="s3:ListBucket")
            if judge(caller, [listing], policy) is False:
                raise access_denied()
        return response


def _is_condition(header: str) -> bool:
    return header.lower().startswith("x-amz-") and header.lower() not in ("x-amz-date", "x-amz-security-token")


def _plain(request: Request) -> str:
    """Return the text of a body, which the SDKs may send in signed chunks."""
    body = request.body
    if "aws-chunked" not in request.header("Content-Encoding"):
        return body.decode()
    text = b""
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.split(b";", 1)[0] or b"0", 16)
        if size == 0:
            break
        text, body = text + rest[:size], rest[size + 2 :]
    return text.decode()

"""Policies of others in every shape that AWS takes, drawn quickly: thousands of them are wanted."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.policies.strategies import BUCKET

PEOPLE = [
    "333333333333",
    "arn:aws:iam::333333333333:root",
    "arn:aws:iam::333333333333:role/team/R",
    "arn:aws:iam::444444444444:user/U",
    "arn:aws:sts::333333333333:assumed-role/R/someone",
]
_SERVICES = ["ec2.amazonaws.com", "logs.amazonaws.com", "cloudtrail.amazonaws.com"]
_OPERATORS = [
    "StringEquals",
    "StringNotLike",
    "ForAnyValue:StringLike",
    "ForAllValues:StringEqualsIfExists",
    "NumericLessThan",
    "DateGreaterThan",
    "Bool",
    "Null",
    "NotIpAddress",
    "ArnLike",
]
_KEYS = ["aws:SourceIp", "s3:prefix", "S3:Prefix", "aws:PrincipalTag/Team", "aws:SecureTransport", "aws:PrincipalArn"]
# What begins with `Xacct` is ours; everything that comes near it is not.
_SIDS_OF_IAM = ["", "xacctTrust", "XACCTTRUST", "Xacc", "XaccTTrust", "NotXacctTrust", "0", "A" * 80]
_SIDS_OF_S3 = [*_SIDS_OF_IAM, " XacctBucket", "Xac\u200bct", "de-fr_é.日本", "a b\tc", "Statement\n1"]
_OBJECT_ACTIONS = ["s3:GetObject", "s3:getobject*", "s3:PutObject", "s3:*", "S3:DeleteObject"]
_BUCKET_ACTIONS = ["s3:ListBucket", "s3:GetBucketLocation", "s3:*", "*", "s3:GetBucket*"]
_OBJECTS = [f"{BUCKET}/*", f"{BUCKET}/日本/${{aws:username}}/*", f'{BUCKET}/a b/é"\\', f"{BUCKET}/😀?*"]
_STS_ACTIONS = ["sts:AssumeRole", "STS:assumerole", "sts:TagSession", "sts:AssumeRoleWithSAML", "sts:*", "*"]


def _one_or_many(items: list[Any]) -> st.SearchStrategy[Any]:
    item = st.sampled_from(items)
    return st.one_of(item, st.lists(item, min_size=1, max_size=3, unique=True))


# Tab and what is printable up to U+00FF may stand in any policy as it is; anything else IAM takes as an escape.
_texts = st.one_of(
    st.sampled_from(["", "*", "true", "éÿ\t¡", "日本語", "😀", '"\\/', "${aws:username}", "2030-01-01T00:00:00Z"]),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=8),
)
_values = st.one_of(_texts, st.booleans(), st.integers(0, 10**6), st.lists(_texts, min_size=1, max_size=3))
_people = st.one_of(
    st.just("*"),
    st.just({"AWS": "*"}),
    st.builds(lambda names: {"AWS": names}, _one_or_many(PEOPLE)),
    st.builds(lambda names: {"Service": names}, _one_or_many(_SERVICES)),
    st.builds(lambda names, more: {"CanonicalUser": more, "AWS": names}, _one_or_many(PEOPLE), st.just("79a59df9" * 8)),
    st.just({"Federated": ["cognito-identity.amazonaws.com", "arn:aws:iam::333333333333:saml-provider/P"]}),
)
_conditions = st.one_of(
    st.none(),
    st.just({}),
    st.dictionaries(
        st.sampled_from(_OPERATORS),
        st.dictionaries(st.sampled_from(_KEYS), _values, min_size=1, max_size=2),
        min_size=1,
        max_size=2,
    ),
)
_flags = st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans())


def _body(flags: tuple[bool, ...], people: Any, action: Any, sid: str | None, condition: Any) -> dict[str, Any]:
    allows, names, acts, sid_last = flags
    body: dict[str, Any] = {} if sid is None or sid_last else {"Sid": sid}
    body["Action" if acts else "NotAction"] = action
    body["Principal" if names else "NotPrincipal"] = people
    body["Effect"] = "Allow" if allows else "Deny"
    if condition is not None:
        body["Condition"] = condition
    if sid is not None:
        body.setdefault("Sid", sid)
    return body


def _with_resource(body: dict[str, Any], place: tuple[Any, Any], is_not: bool) -> dict[str, Any]:
    actions, resources = place
    named = "Action" if "Action" in body else "NotAction"
    return {**body, named: actions, "NotResource" if is_not else "Resource": resources}


def _statements(sids: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    sid = st.one_of(st.none(), st.sampled_from(sids))
    return st.builds(_body, _flags, _people, _one_or_many(_STS_ACTIONS), sid, _conditions)


_places = st.one_of(
    st.tuples(_one_or_many(_OBJECT_ACTIONS), _one_or_many(_OBJECTS)),
    st.tuples(_one_or_many(_BUCKET_ACTIONS), st.sampled_from([str(BUCKET), [str(BUCKET)]])),
    st.tuples(_one_or_many(["s3:*", "*"]), st.just([f"{BUCKET}/*", str(BUCKET)])),
)
_of_bucket = st.builds(_with_resource, _statements(_SIDS_OF_S3), _places, st.booleans())
_heads = st.sampled_from(
    [
        {"Version": "2012-10-17"},
        {"Version": "2008-10-17", "Id": "Policy of others"},
        {"Id": "__default_policy_ID", "Version": "2012-10-17"},
        {},
    ]
)


def _document(
    head: dict[str, Any], statements: list[dict[str, Any]], alone: bool, padding: int, long: Any
) -> dict[str, Any]:
    found, seen = [], set()
    for body in statements:
        again = body.get("Sid") in seen  # AWS takes each once
        found.append({key: value for key, value in body.items() if key != "Sid"} if again else body)
        seen.add(body.get("Sid") or None)
    if padding and found:
        found[-1] = {**found[-1], "Condition": {"StringLike": {"aws:userid": long(padding)}}}
    return {**head, "Statement": found[0] if alone and len(found) == 1 else found}


def _documents(statements: Any, sizes: st.SearchStrategy[int], long: Any) -> st.SearchStrategy[dict[str, Any]]:
    listed = st.lists(statements, min_size=1, max_size=3)
    return st.builds(_document, _heads, listed, st.booleans(), sizes, st.just(long))


def _many_users(size: int) -> list[str]:
    return [f"AROAEXAMPLE{number:04}:*" for number in range(size // 21)]


# S3 takes 20,480 bytes, IAM 2,048 characters: a fifth of the documents comes near, some of those leave us no room.
bucket_policies = _documents(_of_bucket, st.one_of(*[st.just(0)] * 4, st.integers(17_000, 20_400)), _many_users)
trust_policies = _documents(
    _statements(_SIDS_OF_IAM), st.one_of(*[st.just(0)] * 4, st.integers(900, 1_900)), _many_users
)

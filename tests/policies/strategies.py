"""Statements as others write them, and documents as AWS writes them back."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from roles.policies.document import PolicyDocument, Statement
from roles.policies.ownership import BUCKET_SIDS
from roles.values.accounts import AccountId, Partition
from roles.values.arns import AccessLevel, BucketArn, RoleArn

ACCOUNT_A, ACCOUNT_B = AccountId("111111111111"), AccountId("222222222222")
ROLE_A = RoleArn(Partition.AWS, ACCOUNT_A, "MyRoleA")
ROLE_B = RoleArn(Partition.AWS, ACCOUNT_B, "MyRoleB")
BUCKET = BucketArn(Partition.AWS, "example-data")

_actions = st.sampled_from(["s3:GetObject", "s3:getobject", "s3:*", "*", "s3:PutObject", "sts:AssumeRole"])
_resources = st.sampled_from(["*", str(BUCKET), f"{BUCKET}/*", f"{BUCKET}/日本/${{aws:username}}/*", f"{BUCKET}/a b"])
_principals = st.sampled_from(
    ["*", "333333333333", "arn:aws:iam::333333333333:root", "arn:aws:iam::333333333333:role/R", "AROAEXAMPLEID"]
)
_texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
# Anything but a Sid of ours: AWS itself lets others have hyphens and spaces in S3, and puts an empty one at times.
_sids = st.one_of(st.just(""), _texts, st.sampled_from(["xacct", "NotXacct", "Xacc"])).filter(
    lambda sid: not sid.startswith("Xacct")
)
_condition_values = st.one_of(_texts, st.booleans(), st.integers(0, 10**6))


def one_or_many(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Return a single value or a list of some."""
    return st.one_of(items, st.lists(items, min_size=1, max_size=3))


_people = st.one_of(
    st.just("*"),
    st.fixed_dictionaries({"AWS": one_or_many(_principals)}),
    st.fixed_dictionaries({"Service": one_or_many(st.sampled_from(["ec2.amazonaws.com", "logs.amazonaws.com"]))}),
    st.fixed_dictionaries({"AWS": one_or_many(_principals), "CanonicalUser": _texts}),
)
_conditions = st.dictionaries(
    st.sampled_from(["StringEquals", "StringLike", "Bool", "NumericLessThan", "IpAddress"]),
    st.dictionaries(
        st.sampled_from(["aws:SourceIp", "s3:prefix", "S3:Prefix", "aws:PrincipalTag/Team", "aws:SecureTransport"]),
        one_or_many(_condition_values),
        min_size=1,
        max_size=2,
    ),
    max_size=2,
)


@st.composite
def foreign_statements(draw: st.DrawFn) -> Statement:
    """Draw a statement of somebody else's, its keys in any order."""
    body: dict[str, Any] = {
        "Effect": draw(st.sampled_from(["Allow", "Deny"])),
        draw(st.sampled_from(["Principal", "NotPrincipal"])): draw(_people),
        draw(st.sampled_from(["Action", "NotAction"])): draw(one_or_many(_actions)),
        draw(st.sampled_from(["Resource", "NotResource"])): draw(one_or_many(_resources)),
    }
    if draw(st.booleans()):
        body["Sid"] = draw(_sids)
    if draw(st.booleans()):
        body["Condition"] = draw(_conditions)
    return Statement({key: body[key] for key in draw(st.permutations(list(body)))})


@st.composite
def foreign_documents(draw: st.DrawFn) -> PolicyDocument:
    """Draw a document in which nothing is ours."""
    extra = draw(st.sampled_from([{}, {"Id": "PolicyOfOthers"}]))
    version = draw(st.sampled_from(["2012-10-17", "2008-10-17"]))
    return PolicyDocument(tuple(draw(st.lists(foreign_statements(), max_size=4))), version, extra)


@st.composite
def wishes(draw: st.DrawFn) -> list[Statement]:
    """Draw bucket statements of ours, for some roles and folders."""
    from roles.policies.builders import bucket_statements  # noqa: PLC0415

    names = st.sampled_from(["MyRoleB", "OtherB", "ThirdB"])
    places = draw(st.lists(st.tuples(names, st.sampled_from(["", "team/", "日本/"])), max_size=4, unique=True))
    found: list[Statement] = []
    for name, prefix in places:
        role = RoleArn(Partition.AWS, ACCOUNT_B, name)
        found += bucket_statements(role, BUCKET, draw(st.sampled_from(list(AccessLevel))), prefix)
    assert all(statement.sid.startswith(BUCKET_SIDS) for statement in found)
    return found


@st.composite
def as_aws_writes_back(draw: st.DrawFn, document: PolicyDocument) -> PolicyDocument:
    """Draw another spelling of `document`, of all those that AWS is known to answer with."""
    return document.with_statements([Statement(draw(_rewritten(dict(one.body)))) for one in document.statements])


@st.composite
def _rewritten(draw: st.DrawFn, body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in body.items():
        if key in ("Sid", "Effect"):
            found[key] = value
        elif key == "Condition":
            found[key] = {
                operator: {name: draw(_respelled(wanted)) for name, wanted in tests.items()}
                for operator, tests in value.items()
            }
        elif key in ("Principal", "NotPrincipal"):
            found[key] = draw(_renamed(value))
        else:
            found[key] = draw(_respelled(value))
    found.setdefault("Sid", "")
    return {key: found[key] for key in draw(st.permutations(list(found)))}


@st.composite
def _renamed(draw: st.DrawFn, value: Any) -> Any:
    if value == "*":
        return draw(st.sampled_from(["*", {"AWS": "*"}, {"AWS": ["*"]}]))
    roots = {"333333333333": "arn:aws:iam::333333333333:root"}
    renamed = {}
    for kind, names in value.items():
        items = names if isinstance(names, list) else [names]
        renamed[kind] = draw(_respelled([roots.get(name, name) for name in items]))
    return renamed


@st.composite
def _respelled(draw: st.DrawFn, value: Any) -> Any:
    """Draw the same values in another order, and one of them alone or in a list."""
    items = draw(st.permutations(value)) if isinstance(value, list) else [value]
    return items[0] if len(items) == 1 and draw(st.booleans()) else list(items)

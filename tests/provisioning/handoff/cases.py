"""Work for account owners as plans bring it about: ordinary, adopted, hostile, ended; the account readable or not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from roles.policies.builders import (
    assume_statements,
    bucket_statements,
    pass_role_statements,
    source_role_trust_statements,
    trust_statements,
)
from roles.policies.document import PolicyDocument, Statement
from roles.policies.ownership import ASSUME_SIDS, BUCKET_SIDS, PASS_ROLE_SIDS, TRUST_SIDS
from roles.policies.provisioner import scope_of
from roles.provisioning import handoff
from roles.provisioning.handoff import HandoffDocuments
from roles.provisioning.plan import Slot, plan_of, slot_of
from roles.provisioning.resources import (
    Change,
    Desired,
    DesiredDocument,
    DesiredPolicies,
    DesiredProfile,
    DesiredRole,
    Observed,
    ObservedProfile,
    ObservedRole,
    Step,
)
from roles.values.accounts import AccessMode, AccountAccess, AccountId, Partition
from roles.values.arns import MANAGED_TAGS, AccessLevel, BucketArn, RoleArn

A, B = AccountId("111111111111"), AccountId("000000000222")
ROLE_A = RoleArn(Partition.AWS, A, "MyRoleA")
ROLE_A_IN_B = replace(ROLE_A, account=B)
ROLE_B = RoleArn(Partition.AWS, B, "MyRoleB")
BUCKET = BucketArn(Partition.AWS, "example-data")
PORTAL = f"arn:aws:iam::{A}:user/xacct-portal"
UNREADABLE = AccountAccess(B, Partition.AWS, "us-east-1", AccessMode.HANDOFF)
READABLE = replace(UNREADABLE, mode=AccessMode.AMBIENT)
FOREIGN = Statement(
    {
        "Sid": "PartnerReads",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{B}:role/partner"},
        "Action": ["s3:GetObject"],
        "Resource": [f"{BUCKET}/reports/${{aws:username}}/*"],
    }
)
# Everything that the values allow in a name and that some form could take for markup, code, or the end of a text.
HOSTILE_PATH = "/a'b\"c`d;e&f|g<h>i(j)k{l}m%{n}o\\p#q!r~s%25t/</script>/"
HOSTILE_PREFIX = (
    "it's \"q\" `id` $(id) $HOME %{ if true } \\n \u2028 \u0085 é 日本 \U0001f600 'XACCT_JSON' <b>&amp; # : - {{x}}/"
)
HOSTILE_ROLE = RoleArn(Partition.AWS, B, "My.Role+B=,@-_", HOSTILE_PATH)


def target(
    access: AccountAccess = UNREADABLE,
    *,
    role: RoleArn = ROLE_B,
    prefix: str = "",
    managed: bool = True,
    wanted: bool = True,
    region: str = "us-east-1",
) -> list[Desired]:
    """Return the wishes of steps 4 to 6: MyRoleB, its trust, and the bucket's policy."""
    grants = bucket_statements(role, BUCKET, AccessLevel.READWRITE, prefix) if wanted else ()
    trust = trust_statements([ROLE_A] if wanted else [], attribution=True)
    return [
        DesiredRole(Step.TARGET_ROLE, access, role, wanted=wanted, managed=managed, trust=None),
        DesiredDocument(Step.TARGET_TRUST, access, str(role), TRUST_SIDS, trust),
        DesiredDocument(Step.BUCKET_POLICY, access, str(BUCKET), BUCKET_SIDS, grants, region=region),
    ]


def source(access: AccountAccess = UNREADABLE, *, managed: bool = True, wanted: bool = True) -> list[Desired]:
    """Return the wishes of steps 1 to 3 for a source role that is in the owner's account."""
    role = replace(ROLE_A, account=B)
    services = source_role_trust_statements(
        Partition.AWS, services=wanted, portal_principals=[PORTAL] if wanted else []
    )
    return [
        DesiredRole(Step.SOURCE_ROLE, access, role, wanted=wanted, managed=managed, trust=services),
        DesiredProfile(access, role, wanted=wanted and managed),
        DesiredDocument(
            Step.ASSUME_POLICY,
            access,
            str(role),
            ASSUME_SIDS,
            assume_statements([(ROLE_B, True)] if wanted else []),
        ),
        DesiredDocument(
            Step.PASS_ROLE_POLICY, access, str(role), PASS_ROLE_SIDS, pass_role_statements(role) if wanted else ()
        ),
    ]


def spilled(count: int, *, known: int = 0, role: RoleArn = ROLE_A_IN_B) -> DesiredPolicies:
    """Return the wish for `count` managed policies of a role, of which there may be `known`."""
    documents_ = [
        PolicyDocument(assume_statements([(replace(ROLE_B, name=f"Target{number}"), False)])) for number in range(count)
    ]
    return DesiredPolicies(UNREADABLE, role, tuple(documents_), known)


def changes(wishes: Iterable[Desired], observed: dict[Slot, Observed] | None = None) -> tuple[Change, ...]:
    """Return the plan's changes."""
    return plan_of(wishes, observed or {}).changes


def documents(wishes: Iterable[Desired], observed: dict[Slot, Observed] | None = None) -> HandoffDocuments:
    """Return what the owner of Account B gets."""
    return handoff.documents_for(changes(wishes, observed), UNREADABLE)


def seen(wishes: list[Desired], step: Step, state: Observed) -> dict[Slot, Observed]:
    """Return what AWS has in the place that a step's wish is about."""
    return {slot_of(next(wish for wish in wishes if wish.step is step)): state}


def bootstrap(**more: Any) -> HandoffDocuments:
    """Return the provisioner role of Account B."""
    wanted = {"principal": PORTAL, "external": "xacct-0123456789", "region": "us-east-1", **more}
    scope = scope_of(
        Partition.AWS, B, sources=[replace(ROLE_A, account=B)], targets=[ROLE_B, HOSTILE_ROLE], buckets=[BUCKET]
    )
    return handoff.bootstrap_for(scope, **wanted)


def _readable_with_foreign() -> HandoffDocuments:
    wishes = target(READABLE)
    return documents(wishes, seen(wishes, Step.BUCKET_POLICY, PolicyDocument((FOREIGN,))))


def _readable_adopted() -> HandoffDocuments:
    wishes = [*source(READABLE, managed=False), *target(READABLE, managed=False)]
    trust = PolicyDocument((Statement({"Effect": "Allow", "Principal": {"AWS": str(A)}, "Action": "sts:AssumeRole"}),))
    roles = {slot_of(wish): ObservedRole(trust) for wish in wishes if isinstance(wish, DesiredRole)}
    return documents(wishes, dict(roles))


def _readable_with_empty_profile() -> HandoffDocuments:
    wishes = source(READABLE)
    profile = next(wish for wish in wishes if isinstance(wish, DesiredProfile))
    return documents(wishes, {slot_of(profile): ObservedProfile((), MANAGED_TAGS)})


# Every form of every one of these has to be valid in its own language.
ALL: dict[str, HandoffDocuments] = {
    "target": documents(target()),
    "target-with-prefix": documents(target(prefix="team/")),
    "target-elsewhere": documents(target(region="eu-west-1")),
    "source": documents(source()),
    "source-and-target": documents([*source(), *target()]),
    "adopted": documents([*source(managed=False), *target(managed=False)]),
    "hostile": documents(target(role=HOSTILE_ROLE, prefix=HOSTILE_PREFIX)),
    "hostile-readable": documents(target(READABLE, role=HOSTILE_ROLE, prefix=HOSTILE_PREFIX)),
    "ended": documents([*source(wanted=False), *target(wanted=False)]),
    "readable": documents([*source(READABLE), *target(READABLE)]),
    "readable-with-foreign": _readable_with_foreign(),
    "readable-adopted": _readable_adopted(),
    "readable-with-empty-profile": _readable_with_empty_profile(),
    "spilled": documents([*source(), spilled(2, known=3), spilled(1, role=HOSTILE_ROLE)]),
    "bootstrap": bootstrap(),
}

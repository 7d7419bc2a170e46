"""The policy that makes credentials which were handed out useless before they expire.

Nobody can recall a session of a role. What AWS offers is to refuse, at each of its calls, sessions that began before a
moment (IAM User Guide, "Revoke IAM role temporary security credentials"): what the console writes for all of a role's
sessions at once, and what is narrowed here to single people. An explicit Deny also wins over the bucket's policy.

A person is known by the SourceIdentity of their sessions, which stays with a session that assumes further roles, and
by the session's name, which ends `aws:userid`. Both are refused: a target's trust policy that does not take a
SourceIdentity leaves the name alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from roles.errors import PolicyTooLarge
from roles.policies.document import PolicyDocument, Statement
from roles.policies.limits import CUT_OFF_RESERVE_CHARACTERS
from roles.policies.sids import CUT_OFF, CUT_OFF_EVERYBODY, CUT_OFF_SESSION

_DIGEST_CHARACTERS = 10


@dataclass(frozen=True, slots=True)
class Cut:
    """Sessions that began before a moment (aware): those of people, by their session names; all when there is none."""

    before: datetime
    names: tuple[str, ...] = ()


def cut_off_statements(cuts: Iterable[Cut], *, attribution: bool) -> tuple[Statement, ...]:
    """Return what refuses all of `cuts`, in as few statements as say it; nothing for none.

    Only the latest moment of each person counts, and none that is not later than one that hits everybody. People of
    one moment share their statements. `attribution` says whether the role's sessions carry a SourceIdentity.
    """
    everybody, people = _latest(cuts)
    found = [_deny(CUT_OFF_EVERYBODY, everybody)] if everybody else []
    for before in sorted(set(people.values())):
        names = sorted(name for name, moment in people.items() if moment == before)
        digest = _digest(before, names)
        if attribution:
            found.append(_deny(f"{CUT_OFF}{digest}", before, StringEquals={"aws:SourceIdentity": names}))
        # A name has no character that a pattern knows (STS API, AssumeRole: RoleSessionName).
        users = [f"*:{name}" for name in names]
        found.append(_deny(f"{CUT_OFF_SESSION}{digest}", before, StringLike={"aws:userid": users}))
    return tuple(found)


def check_cut_off(statements: Iterable[Statement], *, owner: str) -> None:
    """Raise `PolicyTooLarge` if the policy would need more room than is kept for it on `owner`, a role's ARN."""
    size = len(PolicyDocument(tuple(statements)).as_json())
    if size > CUT_OFF_RESERVE_CHARACTERS:
        raise PolicyTooLarge(
            f"The policy that cuts these people off at {owner} would have {size:,} characters; "
            f"{CUT_OFF_RESERVE_CHARACTERS:,} are kept for it.",
            limit=CUT_OFF_RESERVE_CHARACTERS,
            size=size,
            owner=owner,
            hint="Cut off the role: that hits everybody who uses it, and needs no names.",
        )


def _latest(cuts: Iterable[Cut]) -> tuple[datetime | None, dict[str, datetime]]:
    """Return the latest moment for everybody, and that of each person where it is later."""
    everybody: datetime | None = None
    people: dict[str, datetime] = {}
    for cut in cuts:
        if not cut.names:
            everybody = max(cut.before, everybody or cut.before)
        for name in cut.names:
            people[name] = max(cut.before, people.get(name, cut.before))
    return everybody, {name: moment for name, moment in people.items() if everybody is None or moment > everybody}


def _deny(sid: str, before: datetime, **who: dict[str, list[str]]) -> Statement:
    moment = f"{before.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    condition = {"DateLessThan": {"aws:TokenIssueTime": moment}, **who}
    return Statement({"Sid": sid, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition})


def _digest(before: datetime, names: list[str]) -> str:
    text = json.dumps([before.isoformat(), names])
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARACTERS]

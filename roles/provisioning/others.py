"""How much of an adopted role's room for inline policies others use: read where our own policy is, and remembered.

What the portal has to say spills into managed policies where that room is taken, so it must be known before a wish is
computed. A managed role has nothing of others in it, and nothing is read for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from roles.aws import iam
from roles.errors import AwsError, PolicySyntax
from roles.models import IamRole
from roles.models.choices import RoleOwnership
from roles.policies.limits import measure_inline_policies
from roles.provisioning.absence import OWN_INLINE_POLICIES
from roles.provisioning.desired import Item
from roles.provisioning.observed import Accounts
from roles.provisioning.plan import is_role, slot_of
from roles.provisioning.resources import Change, Desired, DesiredDocument, Place, Step, is_cut_off
from roles.values.accounts import AccountAccess
from roles.values.arns import role_arn

_AT_OWN_POLICY = (Step.ASSUME_POLICY, Step.BUCKET_POLICY)


def note_others(items: Iterable[Item], accounts: Accounts) -> bool:
    """Read what others have on the adopted roles whose own policies these items write; return whether it is news.

    What AWS does not show stays as it was known: the step that writes there meets the same answer and says it.
    """
    places = {
        one.resource: one.access
        for one in items
        if one.step in _AT_OWN_POLICY and is_role(one.resource) and one.access.is_readable
    }
    names = {role_arn(resource).name for resource in places}
    rows = IamRole.objects.filter(ownership=RoleOwnership.ADOPTED, name__in=names).select_related("account")
    sizes = {}
    for row in rows if names else ():
        if str(row.arn) in places:
            with suppress(AwsError, PolicySyntax):
                sizes[str(row.arn)] = _characters(str(row.arn), places[str(row.arn)], accounts)
    return remember_others(sizes)


def remember_others(sizes: Mapping[str, int]) -> bool:
    """Store the characters of others by the ARN of an adopted role, and return whether any is another number."""
    names = {role_arn(resource).name for resource in sizes}
    rows = IamRole.objects.filter(ownership=RoleOwnership.ADOPTED, name__in=names).select_related("account")
    known = {str(row.arn): row for row in (rows if names else ())}
    news = [row for arn, row in known.items() if arn in sizes and sizes[arn] != row.inline_of_others]
    for row in news:
        IamRole.objects.filter(pk=row.pk).update(inline_of_others=sizes[str(row.arn)])
    return bool(news)


def with_news(changes: Iterable[Change], accounts: Accounts) -> tuple[Change, ...]:
    """Return the changes of a plan, with a warning where others have come to use another part of the room.

    Reads AWS for adopted roles only, each once, and stores nothing.
    """
    known: dict[str, str] = {}
    return tuple(_with_news(change, accounts, known) for change in changes)


def _with_news(change: Change, accounts: Accounts, known: dict[str, str]) -> Change:
    wish = change.desired
    if not change.writes or not _counts_others(wish) or not wish.access.is_readable:
        return change
    if change.resource not in known:
        known[change.resource] = ""
        with suppress(AwsError, PolicySyntax):
            found = _characters(change.resource, wish.access, accounts)
            if found != change.others:
                known[change.resource] = (
                    f"Others have {found:,} characters in inline policies of this role now; the portal knew of "
                    f"{change.others:,}. The run makes room for that, in managed policies where it has to."
                )
    warning = known[change.resource]
    return replace(change, warnings=(*change.warnings, warning)) if warning else change


def _counts_others(wish: Desired) -> bool:
    is_counted = isinstance(wish, DesiredDocument) and wish.others is not None
    return is_counted and slot_of(wish)[0] is Place.INLINE_POLICY and not is_cut_off(wish.resource)


def _characters(resource: str, access: AccountAccess, accounts: Accounts) -> int:
    """Return the characters in the inline policies of others on a role. One call, and one for each of theirs."""
    session, role = accounts.session(access), role_arn(resource)
    theirs = [name for name in iam.role_policies(session, role) if name not in OWN_INLINE_POLICIES]
    documents = [iam.get_role_policy(session, role, name) for name in theirs]
    return measure_inline_policies(*(document for document in documents if document is not None))

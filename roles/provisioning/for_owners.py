"""What the owner of an account is given: from the database as it is now to the files of `handoff`.

Documents that several source roles share are put together from all that wait for the owner: a file that had only one
role's part would take out what another's asked for. So a file is always about the whole account, and applying it twice,
or when part of it is done already, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from django.conf import settings
from django.db.models import OuterRef, Q, QuerySet, Subquery

from roles.aws import sts
from roles.aws.sessions import Purpose
from roles.errors import InvalidArn
from roles.models import AssumeRoleGrant, AwsAccount, BucketGrant, GroupRole, IamRole, ProvisioningRun
from roles.models.choices import AccessModeChoice, RunPurpose, RunStatus, StepStatus
from roles.policies.document import Statement
from roles.policies.provisioner import PROVISIONER_ROLE, ProvisionerScope
from roles.provisioning import desired, handoff, orders
from roles.provisioning.facts import Facts
from roles.provisioning.observed import portal_principals
from roles.provisioning.plan import Slot, change_for, slot_of
from roles.provisioning.recording import OWNER_TELLS
from roles.provisioning.resources import Change, Desired, DesiredDocument, Step
from roles.values.accounts import AccessMode, AccountAccess
from roles.values.arns import principal_of_caller, role_arn

_OWN_PART_DONE = (RunStatus.NEEDS_OWNER, RunStatus.IN_SYNC)


@dataclass(frozen=True, slots=True)
class Asked:
    """An account whose owner has something to do for a run. `is_word` when the portal cannot check all of it."""

    account: AwsAccount
    steps: int
    is_word: bool


def asked_of(run: ProvisioningRun) -> tuple[Asked, ...]:
    """Return the accounts whose owners the newest attempt of a run waits for, by name."""
    steps: dict[str, list[str]] = {}
    rows = run.steps.filter(attempt=run.attempts, status=StepStatus.NEEDS_OWNER, step__lt=int(Step.VERIFY.value))
    for account_id, hint in rows.values_list("account_id", "hint"):
        steps.setdefault(account_id, []).append(hint)
    accounts = AwsAccount.objects.filter(account_id__in=steps, access_mode=AccessModeChoice.HANDOFF)
    return tuple(
        Asked(one, len(steps[one.account_id]), OWNER_TELLS in steps[one.account_id])
        for one in accounts.order_by("name")
    )


def waiting_for(account: AwsAccount) -> list[ProvisioningRun]:
    """Return the newest runs of source roles that wait for the owner of `account`, oldest first."""
    rows = ProvisioningRun.objects.filter(
        pk__in=[run for _, run, status in _newest_of(_sources_about(account)) if status == RunStatus.NEEDS_OWNER]
    )
    about = rows.filter(steps__account_id=account.account_id, steps__status=StepStatus.NEEDS_OWNER)
    return list(about.select_related("role__account", "mapping__group").distinct().order_by("pk"))


def documents_for_owner(account: AwsAccount, *also: IamRole) -> handoff.HandoffDocuments:
    """Return what the owner of `account` has to do now, also for the source roles `also`, whatever their runs say.

    Asks AWS only who the portal is, and only if a source role is in the account. Raises an `AwsError` then.
    """
    wishes: dict[tuple[Slot, Step], list[Desired]] = {}
    for role in _roles(account, also):
        for wish in _wishes(role, account):
            wishes.setdefault((slot_of(wish), wish.step), []).append(wish)
    together = sorted((_together(same) for same in wishes.values()), key=lambda wish: wish.step)
    return handoff.documents_for(_changes(together), account.access())


def documents_of_run(account: AwsAccount, run: ProvisioningRun) -> handoff.HandoffDocuments:
    """Return what the owner of `account` has to do for a run: of an order just that, else all that is wished for now.

    Raises an `AwsError` as `documents_for_owner`, and `Conflict` for an order that cannot be carried out any more.
    """
    if run.purpose == RunPurpose.RECONCILE:
        return documents_for_owner(account, run.role)
    wishes = orders.wishes_of(run, partial(portal_principals, run.role.account.region))
    return handoff.documents_for(_changes(wishes), account.access())


def documents_of_provisioner(access: AccountAccess, scope: ProvisionerScope) -> handoff.HandoffDocuments:
    """Return what the owner has to do so that the portal gets into the account of `access` by itself.

    Into a handoff account it gets to read alone.

    Asks AWS who the portal is. Raises an `AwsError`, `PolicyError` for an empty scope, and `InputError` without an
    external id.
    """
    name = role_arn(access.role_arn).name if access.role_arn else PROVISIONER_ROLE
    return handoff.bootstrap_for(
        scope,
        principal=provisioning_principal(access.region),
        external=access.external_id,
        region=access.region,
        role_name=name,
        reads_only=access.mode is AccessMode.HANDOFF,
    )


def provisioning_principal(region: str) -> str:
    """Return the ARN of the portal's provisioning identity as a trust policy names it. Raises an `AwsError`.

    STS does not say the path of a role; the setting XACCT_PORTAL_PRINCIPALS does where it names that role.
    """
    caller = principal_of_caller(sts.caller_arn(region=region, purpose=Purpose.PROVISIONING))
    for principal in settings.XACCT_PORTAL_PRINCIPALS:
        if _is_same_role(principal, caller):
            return str(principal)
    return caller


def _is_same_role(one: str, other: str) -> bool:
    try:
        first, second = role_arn(one), role_arn(other)
    except InvalidArn:
        return False
    return (first.account, first.name) == (second.account, second.name)


# --- the wishes about one account ---


def _sources_about(account: AwsAccount) -> QuerySet[IamRole]:
    """Return the source roles in the account, or that reach, or once reached, a role or bucket in it."""
    holders = BucketGrant.objects.filter(bucket__account=account).values("role")
    chains = AssumeRoleGrant.objects.filter(Q(target__account=account) | Q(target__in=holders)).values("source")
    sources = IamRole.objects.filter(Q(account=account) | Q(pk__in=chains))
    return sources.filter(pk__in=ProvisioningRun.objects.reconciling().values("role"))


def _newest_of(roles: QuerySet[IamRole]) -> list[tuple[int, int, str]]:
    """Return id, newest run and its status for each role."""
    runs = ProvisioningRun.objects.reconciling().filter(role=OuterRef("pk")).order_by("-pk")
    rows = roles.annotate(run=Subquery(runs.values("pk")[:1]), state=Subquery(runs.values("status")[:1]))
    return list(rows.order_by("pk").values_list("pk", "run", "state"))


def _roles(account: AwsAccount, also: Sequence[IamRole]) -> list[IamRole]:
    """Return the source roles whose part is to be in the files.

    Those whose own part the portal has done: AWS refuses a document that names a role which does not exist yet. Of
    those that are not mapped any more, those that wait for the owner to take something out.
    """
    mapped = set(GroupRole.objects.in_force().values_list("role", flat=True))
    ready = {
        pk
        for pk, _, status in _newest_of(_sources_about(account))
        if status == RunStatus.NEEDS_OWNER or (status in _OWN_PART_DONE and pk in mapped)
    }
    wanted = ready | {role.pk for role in also}
    return list(IamRole.objects.filter(pk__in=wanted).select_related("account").order_by("pk"))


def _wishes(role: IamRole, account: AwsAccount) -> Iterable[Desired]:
    facts = Facts.of_runs([role.pk])
    for item in desired.places_for(role, partial(portal_principals, role.account.region), facts=facts):
        if item.access.account_id == account.account_id:
            wish = item.wish(facts)
            if wish is not None:
                yield wish


def _changes(wishes: Iterable[Desired]) -> list[Change]:
    return [change_for(wish, None)[0] for wish in wishes]


def _together(wishes: Sequence[Desired]) -> Desired:
    """Return one wish for what several source roles wish of the same document."""
    first = wishes[0]
    if not isinstance(first, DesiredDocument):
        return first
    statements: dict[str, Statement] = {}
    for wish in wishes:
        for one in wish.statements if isinstance(wish, DesiredDocument) else ():
            statements[one.sid] = _both(statements[one.sid], one) if one.sid in statements else one
    return replace(first, statements=tuple(statements.values()))


def _both(one: Statement, other: Statement) -> Statement:
    """Return a statement with the principals of both: what our statements of one Sid may differ in."""
    names = [dict(each.body).get("Principal", {}).get("AWS", []) for each in (one, other)]
    if names[0] == names[1]:
        return one
    return Statement({**dict(one.body), "Principal": {"AWS": sorted({*names[0], *names[1]})}})

"""The plan for a change that is not saved yet, and the documents of a connection that is still being typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from roles import context
from roles.errors import AwsError
from roles.models import AuditEvent, AwsAccount, CutOff, IamRole, ProvisioningRun, User
from roles.policies.builders import (
    assume_statements,
    bucket_statements,
    pass_role_statements,
    source_role_trust_statements,
    trust_statements,
)
from roles.policies.document import PolicyDocument, Statement
from roles.policies.gains import gains_and_losses
from roles.policies.ownership import TRUST_SIDS, merged_trust
from roles.provisioning import access, desired, orders, outbox
from roles.provisioning.facts import Facts
from roles.provisioning.observed import Accounts, observe, observe_all, portal_principals
from roles.provisioning.others import with_news
from roles.provisioning.plan import Slot, change_for, digest_of, own_part, plan_of, slot_of
from roles.provisioning.resources import (
    STEP_TITLES,
    Change,
    Desired,
    DesiredAccess,
    DesiredNoRole,
    Observed,
    Plan,
    Step,
)
from roles.values.arns import AccessLevel, BucketArn, RoleArn

T = TypeVar("T")

PORTAL_PLACEHOLDER = "<the portal's own identity>"


@dataclass(frozen=True, slots=True)
class PreviewedDocument:
    """A document of one of the procedure's steps, as it would be without anything of others in it."""

    step: Step
    title: str
    resource: str
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rehearsal(Generic[T]):
    """What a change would do: `result` is what it returned, with rows that are gone again.

    `wishes` are those of all source roles for which it queues a run, each thing once; `digest` is the one that the
    operation compares; `said` tells in sentences what people gain and lose. Nothing of it was asked of AWS.
    """

    result: T
    wishes: tuple[Desired, ...]
    digest: str
    said: tuple[str, ...]

    @property
    def alters(self) -> bool:
        """Whether anything in AWS, or anybody's access, may change."""
        return bool(self.wishes or self.said)

    def plan(self, *, partly: bool = False) -> Plan:
        """Return the plan against AWS as it is now, all source roles as one. Raises an `AwsError`.

        With `partly`, what is in accounts that cannot be read is shown as the portal's own part, with a warning; only
        when none of the accounts can be read the error is raised.
        """
        wishes, accounts = self.wishes, Accounts(is_page=True)
        if any(map(desired.asks_who_the_portal_is, wishes)):
            found = portal_principals(_region(wishes))
            wishes = desired.with_principals(wishes, lambda: found)
        changes = (
            _partial_changes(wishes, accounts) if partly else plan_of(wishes, observe_all(wishes, accounts)).changes
        )
        return Plan(with_news(changes, accounts), self.digest)


def plan_now(role: IamRole) -> Plan:
    """Return what a run of this source role would do now. Reads AWS, changes nothing. Raises an `AwsError`."""
    return _plan_after(lambda: None, role)[0]


def plans_if_cut_off(*rows: CutOff) -> tuple[Plan, ...]:
    """Return what the runs would do if these cut-offs, which are not saved, began: one plan for each source role.

    Raises an `AwsError`.
    """
    return _plan_after(lambda: CutOff.objects.bulk_create(rows), *dict.fromkeys(row.source for row in rows))


def _plan_after(write: Callable[[], object], *sources: IamRole) -> tuple[Plan, ...]:
    """Return one plan for each source role as it would be after `write`, which is rolled back."""
    # Asked before: STS is not to be called inside a transaction.
    principals = {source: portal_principals(source.account.region) for source in sources}
    with transaction.atomic():
        write()
        wished = [desired.wishes_for(source, partial(tuple, principals[source])) for source in sources]
        transaction.set_rollback(True)
    return tuple(_plan(wishes) for wishes in wished)


def _plan(wishes: tuple[Desired, ...]) -> Plan:
    accounts = Accounts(is_page=True)
    plan = plan_of(wishes, observe_all(wishes, accounts))
    return replace(plan, changes=with_news(plan.changes, accounts))


def plan_if(change: Callable[[], object]) -> Plan:
    """Return the one plan of all runs that `change`, an operation, would queue. Raises also an `AwsError`."""
    return rehearse(change).plan()


def rehearse(change: Callable[[], T]) -> Rehearsal[T]:
    """Call `change`, an operation, in a transaction that is rolled back, and return what it would do.

    Nothing is left of it: no row, no message, no token taken out of the cache. Asks the database only, so that no
    lock is held while AWS answers. Raises what `change` raises.
    """
    began = timezone.now()
    with transaction.atomic():
        with context.rehearsal() as here, outbox.gathered() as runs:
            result = change()
        ids = sorted({run.role_id for run in runs})
        facts = Facts.of_runs(ids)
        wishes = _merged(orders.wishes_of(run, tuple, beside=ids, facts=facts) for run in _one_each(runs))
        digest = orders.digest_for(runs)
        people = access.people_of(_concerned(ids, here.request_id), since=began)
        after = access.access_of(people)
        transaction.set_rollback(True)
    said = gains_and_losses(access.named(people, access.access_of(people)), access.named(people, after))
    return Rehearsal(result, wishes, digest, said)


def _one_each(runs: Iterable[ProvisioningRun]) -> list[ProvisioningRun]:
    """Return one of the runs that do the same: bring AWS in line for the same source role. Each order is its own."""
    found = {(run.role_id, run.purpose, run.puts_back_id): run for run in runs}
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def _concerned(roles: list[int], request_id: str) -> access.Concerned:
    """Return whom a change concerns that was made under a request id of its own: no change is without its event."""
    events = AuditEvent.objects.filter(request_id=request_id)
    groups, users, accounts = set(), set(), set()
    for kind, pk, group in events.values_list("subject_type", "subject_id", "group_name"):
        groups.add(group)
        users |= {int(pk)} if kind == User._meta.model_name else set()
        accounts |= {int(pk)} if kind == AwsAccount._meta.model_name else set()
    through = access.sources_through(accounts).values_list("pk", flat=True)
    return access.Concerned([*roles, *through], groups, users)


def _merged(each: Iterable[tuple[Desired, ...]]) -> tuple[Desired, ...]:
    """Return the wishes of several runs in the procedure's order, what they share once."""
    found = {digest_of((wish,)): wish for wishes in each for wish in wishes}
    if any(isinstance(wish, DesiredNoRole) for wish in found.values()):
        return tuple(found.values())  # what hangs on a role goes before it
    return tuple(sorted(found.values(), key=lambda wish: int(wish.step.value)))


def _partial_changes(wishes: tuple[Desired, ...], accounts: Accounts) -> tuple[Change, ...]:
    """Return the changes as far as accounts can be read. Raises an `AwsError` if none of them can."""
    observed: dict[Slot, Observed] = {}
    unread: dict[str, AwsError] = {}
    for wish in wishes:
        account = wish.access.account_id
        if account not in unread and slot_of(wish) not in observed:
            try:
                observed[slot_of(wish)] = observe(wish, accounts)
            except AwsError as error:
                unread[account] = error
    if unread and not {wish.access.account_id for wish in wishes} - unread.keys():
        raise next(iter(unread.values()))
    changes: list[Change] = []
    for wish in wishes:
        if isinstance(wish, DesiredAccess) or wish.access.account_id not in unread:
            change, observed[slot_of(wish)] = change_for(wish, observed.get(slot_of(wish)))
        else:
            why = unread[wish.access.account_id].message
            change = own_part(wish, f"What AWS has there cannot be read now: {why} Shown is the portal's own part.")
        changes.append(change)
    return tuple(changes)


def _region(wishes: tuple[Desired, ...]) -> str:
    """Return the region of the first source role's account, in whose partition the portal is; there must be one."""
    return next(wish.access.region for wish in wishes if desired.asks_who_the_portal_is(wish))


def documents_if_connected(
    *, source: RoleArn, target: RoleArn, bucket: BucketArn, level: AccessLevel, prefix: str, attribution: bool
) -> tuple[PreviewedDocument, ...]:
    """Return the documents of steps 1 to 6, in the procedure's order. Asks neither the database nor AWS."""
    portal = settings.XACCT_PORTAL_PRINCIPALS or [PORTAL_PLACEHOLDER]
    shown = partial(_shown, source=source, target=target, bucket=bucket)
    return (
        shown(
            Step.SOURCE_ROLE,
            source_role_trust_statements(source.partition, services=True, portal_principals=portal),
        ),
        shown(Step.ASSUME_POLICY, assume_statements([(target, attribution)])),
        shown(Step.PASS_ROLE_POLICY, pass_role_statements(source)),
        shown(Step.TARGET_ROLE, merged_trust(None, (), owned=TRUST_SIDS).statements),
        shown(Step.TARGET_TRUST, trust_statements([source], attribution=attribution)),
        shown(Step.BUCKET_POLICY, bucket_statements(target, bucket, level, prefix)),
    )


def _shown(
    step: Step, statements: tuple[Statement, ...], *, source: RoleArn, target: RoleArn, bucket: BucketArn
) -> PreviewedDocument:
    resource: RoleArn | BucketArn = source
    if step is Step.BUCKET_POLICY:
        resource = bucket
    elif step in (Step.TARGET_ROLE, Step.TARGET_TRUST):
        resource = target
    return PreviewedDocument(step, STEP_TITLES[step], str(resource), PolicyDocument(statements).as_dict())

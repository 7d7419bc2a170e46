"""Create or change an AWS account."""

from __future__ import annotations

from typing import Any

from roles.errors import Conflict, InputError
from roles.history.recorder import record
from roles.models import AwsAccount, IamRole
from roles.operations._concerned import queue_runs, sources_concerned
from roles.operations._own_identities import require_no_role_of_ours
from roles.operations._planned import planned
from roles.operations._rows import keep, locked, refused_as, validate
from roles.permissions import Rule, require
from roles.values.accounts import new_external_id
from roles.values.arns import role_arn

# What runs that could not go on may have waited for.
_OPENS = ("region", "access_mode", "provisioner_role_arn", "external_id", "trust_policy_characters")
_FIELDS = ("account_id", "name", "partition", *_OPENS)


def save_account(*, actor: Any, account: AwsAccount, expected_plan: str = "") -> AwsAccount:
    """Save a new or changed account and return it. Its id and partition never change.

    An account whose provisioner role the portal is to assume gets an external id of its own if it has none; one that it
    has is kept when nothing is given, as its owner's trust policy asks for it.

    When the way in or the quota changes, the roles in use there are provisioned again: what waited for it may go on.
    Raises `NotPermitted`, `NotFound`, `InputError` with its field, `Conflict`.
    """
    is_new = account.pk is None
    require(actor, Rule.MANAGE_ACCOUNTS, None if is_new else account)
    with planned(expected_plan):
        before = None if is_new else _kept(account)
        _give_external_id(account, before)
        validate(account)
        _check_provisioner(account)
        if before is None or before["provisioner_role_arn"] != account.provisioner_role_arn:
            require_no_role_of_ours(account)
        after = _content(account)
        if after == before:
            return account
        with refused_as(Conflict("Another account has that id or name already.", hint="Look at the accounts again.")):
            account.save()
        code = "account.created" if before is None else "account.changed"
        record(code, actor=actor, subject=account, account_id=account.account_id, before=before, after=after)
        if before is not None and any(before[name] != after[name] for name in _OPENS):
            there = IamRole.objects.filter(account=account).select_related("account")
            queue_runs(sources_concerned(there), actor=actor, trigger=code)
    return account


def _kept(account: AwsAccount) -> dict[str, Any]:
    """Return what is stored, after making sure that it is still about the same account."""
    stored = locked(AwsAccount, account.pk)
    keep(account, stored, ("account_id", "partition"), "All that hangs on it is in that account. Add another account.")
    return _content(stored)


def _give_external_id(account: AwsAccount, before: dict[str, Any] | None) -> None:
    if account.external_id or not account.is_assumed:
        return
    known = before["external_id"] if before else ""
    # A role that works without one is not touched: nobody has told its owner of an id.
    was_assumed = before is not None and AwsAccount(**{name: before[name] for name in _OPENS}).is_assumed
    if known or not was_assumed:
        account.external_id = known or new_external_id()


def _check_provisioner(account: AwsAccount) -> None:
    if not account.provisioner_role_arn:
        return
    arn = role_arn(account.provisioner_role_arn, field="provisioner_role_arn")
    if (arn.account, arn.partition) != (account.account_id, account.partition):
        raise InputError(
            f"{arn} is not in account {account.account_id} of partition '{account.partition}'.",
            field="provisioner_role_arn",
            allowed=f"a role such as arn:{account.partition}:iam::{account.account_id}:role/xacct-provisioner",
        )


def _content(account: AwsAccount) -> dict[str, Any]:
    return {name: getattr(account, name) for name in _FIELDS}

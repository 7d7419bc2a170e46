"""The portal's own identities in AWS are never roles that it hands out: whoever got one could change every policy."""

from __future__ import annotations

from fnmatch import fnmatchcase

from django.conf import settings

from roles.errors import InputError, InvalidArn
from roles.models import AwsAccount, IamRole
from roles.policies.provisioner import OWN_NAMES
from roles.values.arns import RoleArn, role_arn

_HINT = "Whoever is handed a token of one of the portal's own identities could change what it may change."


def require_not_the_portals(role: IamRole) -> None:
    """Raise `InputError` at `name` for a role that is, or by its name may be, one of the portal's own."""
    is_provisioner = any(
        _is_same(account.provisioner_role_arn, role.arn)
        for account in AwsAccount.objects.filter(account_id=role.account.account_id).exclude(provisioner_role_arn="")
    )
    if is_provisioner or fnmatchcase(role.name.lower(), OWN_NAMES):
        raise InputError(
            f"{role.name} is one of the portal's own identities.",
            field="name",
            allowed=f"a role that is no provisioner role and is not called {OWN_NAMES}",
            hint=_HINT,
        )


def require_no_role_of_ours(account: AwsAccount) -> None:
    """Raise `InputError` at `provisioner_role_arn` if that role is one which the portal gives access with."""
    if not account.provisioner_role_arn:
        return
    name = role_arn(account.provisioner_role_arn).name
    if IamRole.objects.filter(account__account_id=account.account_id, name__iexact=name).exists():
        raise InputError(
            f"{name} is a role that the portal gives access with.",
            field="provisioner_role_arn",
            allowed="a role that nobody but the portal uses",
            hint=_HINT,
        )


def require_handed_out(target: IamRole) -> None:
    """Raise `InputError` at `target` for a role that the portal itself runs as (XACCT_PORTAL_PRINCIPALS)."""
    if any(_is_same(principal, target.arn) for principal in settings.XACCT_PORTAL_PRINCIPALS):
        raise InputError(f"The portal itself runs as {target}.", field="target", allowed="another role", hint=_HINT)


def _is_same(text: str, role: RoleArn) -> bool:
    """Return whether `text` is the ARN of that role. IAM ignores case, and a name is unique whatever its path."""
    try:
        other = role_arn(text)
    except InvalidArn:
        return False
    return (other.partition, other.account, other.name.lower()) == (role.partition, role.account, role.name.lower())

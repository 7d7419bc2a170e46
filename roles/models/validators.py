"""Django validators over the value rooms: one rule, one place, at the field."""

from __future__ import annotations

from collections.abc import Callable

from django.core.exceptions import ValidationError

from roles.errors import InputError
from roles.values import accounts, arns


def _validate(parse: Callable[[str], object], text: str) -> None:
    try:
        parse(text)
    except InputError as error:
        allowed = f" Allowed: {error.allowed}." if error.allowed and error.allowed not in error.message else ""
        raise ValidationError(f"{error.message}{allowed}", code=error.code) from error


def validate_account_id(text: str) -> None:
    """Refuse what is not exactly twelve digits."""
    _validate(accounts.account_id, text)


def validate_external_id(text: str) -> None:
    """Refuse what STS would not take as ExternalId."""
    _validate(accounts.external_id, text)


def validate_role_name(text: str) -> None:
    """Refuse what IAM would not take as a role name."""
    _validate(arns.role_name, text)


def validate_role_path(text: str) -> None:
    """Refuse what IAM would not take as a path."""
    _validate(arns.role_path, text)


def validate_role_arn(text: str) -> None:
    """Refuse what is not an IAM role's ARN."""
    _validate(arns.role_arn, text)


def validate_bucket_name(text: str) -> None:
    """Refuse what S3 would not take as a bucket name."""
    _validate(arns.bucket_name, text)


def validate_prefix(text: str) -> None:
    """Refuse a prefix that a policy would read differently."""
    _validate(arns.object_prefix, text)


def validate_policy_arn(text: str) -> None:
    """Refuse what is not a managed policy's ARN."""
    _validate(arns.policy_arn, text)

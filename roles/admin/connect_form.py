"""What the procedure's reader fills in, as one form; checked field by field as one types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from roles.admin.fields import AutocompleteField
from roles.models import AwsAccount, GroupRole, UserGroup
from roles.models.choices import AccessLevelChoice, AccessModeChoice
from roles.models.validators import (
    validate_account_id,
    validate_bucket_name,
    validate_external_id,
    validate_prefix,
    validate_role_arn,
    validate_role_name,
)
from roles.values.accounts import REGION_PATTERN, AccountId, Partition, partition_of_region
from roles.values.arns import AccessLevel, BucketArn, RoleArn, object_prefix

# What stands in the documents until it is filled in: the procedure's own words.
PLACEHOLDERS = {
    "source_account_id": "<deployment-acct-id>",
    "source_role": "MyRoleA",
    "target_account_id": "<bucket-owner-acct-id>",
    "target_role": "MyRoleB",
    "bucket": "<s3-bucket-name>",
}


def _region(text: str) -> None:
    if not REGION_PATTERN.match(text):
        raise forms.ValidationError(f"'{text}' is not an AWS region. Allowed: a region code such as us-east-1.")


def _text(label: str, placeholder: str, *validators: Callable[[str], None], **kwargs: Any) -> forms.CharField:
    attrs = {"placeholder": placeholder, "autocomplete": "off", "spellcheck": "false", **kwargs.pop("attrs", {})}
    return forms.CharField(
        label=label, validators=list(validators), widget=UnfoldAdminTextInputWidget(attrs=attrs), **kwargs
    )


def _access_mode() -> forms.ChoiceField:
    return forms.ChoiceField(
        label="How the portal gets in",
        choices=AccessModeChoice.choices,
        initial=AccessModeChoice.ASSUME_ROLE,
        widget=UnfoldAdminSelectWidget(),
        help_text="For an account the portal knows already, what is stored there counts.",
    )


class ConnectForm(forms.Form):
    """Two accounts, two roles, a bucket, a level, and the group that gets access."""

    source_account_id = _text("Deployment account id", "111111111111", validate_account_id, help_text="12 digits.")
    source_role = _text("Role in the deployment account (MyRoleA)", "MyRoleA", validate_role_name)
    source_access_mode = _access_mode()
    source_provisioner_role_arn = _text(
        "Provisioner role ARN",
        "arn:aws:iam::111111111111:role/xacct-provisioner",
        validate_role_arn,
        required=False,
        help_text="The role there that the portal assumes to provision.",
    )
    source_external_id = _text(
        "External id",
        "as its trust policy asks",
        validate_external_id,
        required=False,
        help_text="Made for a new account. Change it only if the role exists and its trust asks for another.",
    )

    target_account_id = _text("Bucket owner account id", "222222222222", validate_account_id, help_text="12 digits.")
    target_role = _text("Role in the bucket owner account (MyRoleB)", "MyRoleB", validate_role_name)
    target_access_mode = _access_mode()
    target_provisioner_role_arn = _text(
        "Provisioner role ARN",
        "arn:aws:iam::222222222222:role/xacct-provisioner",
        validate_role_arn,
        required=False,
        help_text="The role there that the portal assumes to provision.",
    )
    target_external_id = _text(
        "External id",
        "as its trust policy asks",
        validate_external_id,
        required=False,
        help_text="Made for a new account. Change it only if the role exists and its trust asks for another.",
    )
    attribution = forms.BooleanField(
        label="Sessions carry the user's name",
        required=False,
        initial=True,
        widget=UnfoldBooleanSwitchWidget(),
        help_text="Adds sts:SetSourceIdentity and sts:TagSession as statements of their own, so that CloudTrail in the "
        "bucket owner's account names the person.",
    )

    bucket = _text("Bucket name", "example-data", validate_bucket_name)
    region = _text("Bucket region", "us-east-1", _region, initial="us-east-1")
    prefix = _text(  # type: ignore[assignment]  # a field; the form's own prefix is set per instance
        "Prefix", "team/raw/", validate_prefix, required=False, help_text="Empty is the whole bucket."
    )
    access = forms.ChoiceField(
        label="Access level",
        choices=AccessLevelChoice.choices,
        initial=AccessLevelChoice.READWRITE,
        widget=UnfoldAdminSelectWidget(),
    )

    group = AutocompleteField(
        GroupRole,
        "group",
        queryset=UserGroup.objects.all(),
        required=False,
        label="Existing user group",
        placeholder="Choose a group",
    )
    new_group = _text("… or a new user group", "analysts", required=False, max_length=150)
    reason = _text("Reason", "Ticket OPS-12: quarterly report", required=False, max_length=500)

    def clean_prefix(self) -> str:
        """Return the prefix as a folder."""
        return object_prefix(self.cleaned_data["prefix"])

    def clean(self) -> dict[str, Any]:
        """Check what spans fields."""
        super().clean()
        data = self.cleaned_data
        known = set(
            AwsAccount.objects.filter(
                account_id__in=[data.get("source_account_id", ""), data.get("target_account_id", "")]
            ).values_list("account_id", flat=True)
        )
        for side in ("source", "target"):
            self._check_access(side, known)
        if not data.get("group") and not data.get("new_group"):
            self.add_error("group", "Choose a user group, or name a new one below.")
        if data.get("group") and data.get("new_group"):
            self.add_error("new_group", "Choose a group above or name a new one, not both.")
        return data

    def _check_access(self, side: str, known: set[str]) -> None:
        data, arn = self.cleaned_data, f"{side}_provisioner_role_arn"
        account = data.get(f"{side}_account_id")
        if not account or account in known or data.get(f"{side}_access_mode") != AccessModeChoice.ASSUME_ROLE:
            return
        if arn in self.errors:
            return
        if not data.get(arn):
            self.add_error(arn, "Access mode 'assume role' needs the provisioner role's ARN.")
        elif f"::{account}:" not in data[arn]:
            self.add_error(arn, f"This role is not in account {account}.")

    def fields_in(self, *prefixes: str) -> list[forms.BoundField]:
        """Return the bound fields whose name begins with one of `prefixes`, in order."""
        return [self[name] for name in self.fields if name.startswith(prefixes)]


def documents_input(form: ConnectForm) -> dict[str, Any]:
    """Return the arguments of `documents_if_connected` from what is valid so far, placeholders for the rest."""
    data = {**PLACEHOLDERS, **{name: value for name, value in form.cleaned_data.items() if value}}
    region = data.get("region") or "us-east-1"
    partition: Partition = partition_of_region(region)
    return {
        "source": RoleArn(partition, AccountId(data["source_account_id"]), data["source_role"]),
        "target": RoleArn(partition, AccountId(data["target_account_id"]), data["target_role"]),
        "bucket": BucketArn(partition, data["bucket"]),
        "level": AccessLevel(data.get("access") or AccessLevel.READWRITE),
        "prefix": form.cleaned_data.get("prefix") or "",
        "attribution": bool(form.cleaned_data.get("attribution")),
    }

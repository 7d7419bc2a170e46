"""AWS accounts and how the portal gets into them."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from roles.errors import InputError
from roles.models.choices import AccessModeChoice, PartitionChoice
from roles.models.validators import validate_account_id, validate_external_id, validate_role_arn
from roles.values.accounts import (
    TRUST_POLICY_CHARACTERS,
    TRUST_POLICY_CHARACTERS_RAISED,
    AccessMode,
    AccountAccess,
    AccountId,
    Partition,
    region_name,
)
from roles.values.arns import role_arn as parse_role_arn


class AwsAccount(models.Model):
    """One AWS account."""

    account_id = models.CharField(
        "account id",
        max_length=12,
        unique=True,
        validators=[validate_account_id],
        help_text="12 digits, e.g. 111111111111.",
    )
    name = models.SlugField(max_length=64, unique=True, help_text="A short name for people, e.g. bucket-owner.")
    partition = models.CharField(max_length=10, choices=PartitionChoice, default=PartitionChoice.AWS)
    region = models.CharField(max_length=32, default="us-east-1", help_text="Its STS endpoint is used, e.g. us-east-1.")
    access_mode = models.CharField(max_length=12, choices=AccessModeChoice, default=AccessModeChoice.ASSUME_ROLE)
    provisioner_role_arn = models.CharField(
        "provisioner role ARN",
        max_length=700,
        blank=True,
        validators=[validate_role_arn],
        help_text="The role in this account that the portal assumes to provision.",
    )
    external_id = models.CharField(
        max_length=1224,
        blank=True,
        validators=[validate_external_id],
        help_text="What the provisioner role's trust asks for.",
    )
    trust_policy_characters = models.PositiveSmallIntegerField(
        "trust policy length",
        default=TRUST_POLICY_CHARACTERS,
        validators=[MinValueValidator(TRUST_POLICY_CHARACTERS), MaxValueValidator(TRUST_POLICY_CHARACTERS_RAISED)],
        help_text="The account's IAM quota 'Role trust policy length': 2,048 characters unless AWS has raised it, "
        "4,096 at most.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "AWS account"
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                name="account_id_is_12_digits",
                condition=Q(account_id__regex=r"^[0-9]{12}$"),
                violation_error_message="An account id is exactly 12 digits.",
            ),
            models.CheckConstraint(
                name="assume_role_names_its_role",
                condition=~Q(access_mode=AccessModeChoice.ASSUME_ROLE) | ~Q(provisioner_role_arn=""),
                violation_error_message="Access mode 'assume-role' needs the provisioner role's ARN.",
            ),
            models.CheckConstraint(name="account_partition_known", condition=Q(partition__in=PartitionChoice.values)),
            models.CheckConstraint(
                name="account_access_mode_known", condition=Q(access_mode__in=AccessModeChoice.values)
            ),
            models.CheckConstraint(
                name="account_trust_quota_is_aws",
                condition=Q(
                    trust_policy_characters__gte=TRUST_POLICY_CHARACTERS,
                    trust_policy_characters__lte=TRUST_POLICY_CHARACTERS_RAISED,
                ),
                violation_error_message="AWS lets a trust policy have 2,048 to 4,096 characters.",
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.account_id})"

    @property
    def is_assumed(self) -> bool:
        """Whether the portal assumes a role in the account: to provision, or in a handoff account to read."""
        return self.access_mode != AccessModeChoice.AMBIENT and bool(self.provisioner_role_arn)

    def clean(self) -> None:
        """Check the rules that span fields."""
        try:
            region_name(self.region, partition=self.partition)
        except InputError as error:
            raise ValidationError({"region": f"{error.message} Allowed: {error.allowed}."}) from error
        if self.access_mode == AccessModeChoice.ASSUME_ROLE and not self.provisioner_role_arn:
            raise ValidationError(
                {"provisioner_role_arn": "Access mode 'assume-role' needs the provisioner role's ARN."}
            )
        if self.provisioner_role_arn and self.account_id not in self.provisioner_role_arn:
            raise ValidationError({"provisioner_role_arn": f"This role is not in account {self.account_id}."})

    def access(self) -> AccountAccess:
        """Return what `roles.aws` needs to get in."""
        return AccountAccess(
            account_id=AccountId(self.account_id),
            partition=Partition(self.partition),
            region=self.region,
            mode=AccessMode(self.access_mode),
            role_arn=str(parse_role_arn(self.provisioner_role_arn)) if self.provisioner_role_arn else "",
            external_id=self.external_id,
            trust_characters=self.trust_policy_characters,
        )

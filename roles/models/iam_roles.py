"""IAM roles, and which of them may assume which."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Lower

from roles.models.accounts import AwsAccount
from roles.models.choices import RoleOwnership, RunPurpose, RunStatus
from roles.models.intervals import Interval, IntervalQuerySet, ends_after_start
from roles.models.validators import validate_policy_arn, validate_role_name, validate_role_path
from roles.values.accounts import AccountId, Partition
from roles.values.arns import RoleArn


class IamRole(models.Model):
    """An IAM role in an account: a source role (MyRoleA), a target role (MyRoleB), or both."""

    account = models.ForeignKey(AwsAccount, on_delete=models.PROTECT, related_name="roles")
    name = models.CharField(max_length=64, validators=[validate_role_name], help_text="As in IAM, e.g. MyRoleA.")
    path = models.CharField(max_length=512, default="/", validators=[validate_role_path])
    ownership = models.CharField(max_length=8, choices=RoleOwnership, default=RoleOwnership.MANAGED)
    attribution = models.BooleanField(
        "session attribution",
        default=True,
        help_text="As a target: let sessions carry the user's name (sts:SetSourceIdentity) and tags (sts:TagSession).",
    )
    permissions_boundary = models.CharField(
        max_length=700,
        blank=True,
        default="",
        validators=[validate_policy_arn],
        help_text="ARN of a managed policy that limits what the role can ever do. The portal sets it when it creates "
        "the role, and never changes it afterwards.",
    )
    inline_of_others = models.PositiveIntegerField(
        "inline policies of others",
        default=0,
        editable=False,
        help_text="Characters in the inline policies of others on an adopted role, as they were last read.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "IAM role"
        ordering = ("account__name", "name")
        constraints = (
            models.UniqueConstraint(
                "account",
                Lower("name"),
                name="role_unique_in_account",
                violation_error_message="This account already has a role of that name; IAM ignores case and path.",
            ),
            models.CheckConstraint(
                name="role_name_valid",
                condition=Q(name__regex=r"^[A-Za-z0-9_+=,.@-]{1,64}$"),
                violation_error_message="A role name is 1 to 64 letters, digits or any of _+=,.@-",
            ),
            models.CheckConstraint(name="role_path_has_slashes", condition=Q(path__startswith="/", path__endswith="/")),
            models.CheckConstraint(name="role_ownership_known", condition=Q(ownership__in=RoleOwnership.values)),
        )

    def __str__(self) -> str:
        return f"{self.account.name}/{self.name}"

    @classmethod
    def named(cls, arn: RoleArn) -> models.QuerySet[IamRole]:
        """Return the role of this ARN, path included, with its account; nothing where the portal has none."""
        account = {"account__account_id": arn.account, "account__partition": arn.partition}
        return cls._default_manager.filter(**account, name=arn.name, path=arn.path).select_related("account")

    @property
    def arn(self) -> RoleArn:
        """The role's ARN; needs `account` loaded."""
        return RoleArn(Partition(self.account.partition), AccountId(self.account.account_id), self.name, self.path)


class AssumeRoleGrantQuerySet(IntervalQuerySet):
    """Grants by what AWS may know of them."""

    def maybe_in_aws(self) -> Self:
        """Return the open grants, and those that a run may have written and none has found gone since they ended."""
        source, run = IamRole.objects.filter(pk=OuterRef("source")), Q(runs__purpose=RunPurpose.RECONCILE)
        in_sync_since = run & Q(runs__status=RunStatus.IN_SYNC, runs__started_at__gte=OuterRef("ended_at"))
        is_there = Exists(source.filter(run)) & ~Exists(source.filter(in_sync_since))
        return self.filter(Q(ended_at__isnull=True) | is_there)


class AssumeRoleGrant(Interval):
    """ "Source role may assume target role": steps 2, 3 and 5 of the procedure."""

    source = models.ForeignKey(IamRole, on_delete=models.PROTECT, related_name="grants_as_source")
    target = models.ForeignKey(IamRole, on_delete=models.PROTECT, related_name="grants_as_target")

    objects = AssumeRoleGrantQuerySet.as_manager()  # type: ignore[misc]  # narrows the base's manager

    class Meta:
        verbose_name = "assume-role grant"
        ordering = ("-started_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("source", "target"),
                condition=Q(ended_at__isnull=True),
                name="assume_role_grant_open_once",
                violation_error_message="This source role may already assume this target role.",
            ),
            models.CheckConstraint(
                name="assume_role_grant_two_roles",
                condition=~Q(source=F("target")),
                violation_error_message="A role does not need a grant to assume itself.",
            ),
            ends_after_start("assume_role_grant_interval"),
        )

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"

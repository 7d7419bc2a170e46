"""S3 buckets, and what target roles may do in them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from roles.models.accounts import AwsAccount
from roles.models.choices import AccessLevelChoice
from roles.models.iam_roles import IamRole
from roles.models.intervals import Interval, ends_after_start
from roles.models.validators import validate_bucket_name, validate_prefix
from roles.values.accounts import Partition
from roles.values.arns import BucketArn


class Bucket(models.Model):
    """An S3 bucket in an account."""

    account = models.ForeignKey(AwsAccount, on_delete=models.PROTECT, related_name="buckets")
    name = models.CharField(
        max_length=63, unique=True, validators=[validate_bucket_name], help_text="As in S3, e.g. example-data."
    )
    region = models.CharField(max_length=32, default="us-east-1")
    kms_key_arn = models.CharField(
        "KMS key ARN", max_length=2048, blank=True, help_text="If the bucket encrypts with a customer-managed key."
    )
    grants_in_identity_policy = models.BooleanField(
        "place grants in the roles' own policies",
        default=False,
        help_text="Off: each grant is in the bucket's policy, as in the procedure; it holds 20 KB, about 28 grants on "
        "folders, and shows who may use the bucket. On: each grant is in the target role's own policy, where every "
        "role has room of its own; who looks at the bucket's policy no longer sees who may use it, and a Deny that the "
        "bucket's owner adds there still holds.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                name="bucket_name_valid",
                condition=Q(name__regex=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$"),
                violation_error_message="A bucket name is 3 to 63 lowercase letters, digits, '.' or '-'.",
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> BucketArn:
        """The bucket's ARN; needs `account` loaded."""
        return BucketArn(Partition(self.account.partition), self.name)


class BucketGrant(Interval):
    """ "Target role may READ / WRITE / READWRITE this bucket under this prefix": step 6 of the procedure."""

    role = models.ForeignKey(IamRole, on_delete=models.PROTECT, related_name="bucket_grants")
    bucket = models.ForeignKey(Bucket, on_delete=models.PROTECT, related_name="grants")
    access = models.CharField(max_length=9, choices=AccessLevelChoice, default=AccessLevelChoice.READWRITE)
    prefix = models.CharField(
        max_length=1024,
        blank=True,
        default="",
        validators=[validate_prefix],
        help_text="A folder such as team/raw/; empty is the whole bucket.",
    )

    multipart_cleanup = models.BooleanField(
        "clean up multipart uploads",
        default=False,
        help_text="Also let the role abort multipart uploads and list their parts here, and list the unfinished "
        "uploads of the bucket: of all of it, as S3 cannot limit that to a folder, with the names of their objects.",
    )

    class Meta:
        verbose_name = "bucket grant"
        ordering = ("-started_at",)
        constraints = (
            models.UniqueConstraint(
                fields=("role", "bucket", "prefix"),
                condition=Q(ended_at__isnull=True),
                name="bucket_grant_open_once",
                violation_error_message="This role already has a grant there; end it to change its level.",
            ),
            models.CheckConstraint(name="bucket_grant_access_known", condition=Q(access__in=AccessLevelChoice.values)),
            models.CheckConstraint(
                name="bucket_grant_prefix_is_folder", condition=Q(prefix="") | Q(prefix__endswith="/")
            ),
            ends_after_start("bucket_grant_interval"),
        )

    def __str__(self) -> str:
        return f"{self.role} {self.access} {self.bucket}/{self.prefix}"

"""The account's own quota for trust policies, what others use of inline policies, and boundaries that differ."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("roles", "0009_run_sent_at"),
    ]

    operations = [
        migrations.AddField(
            model_name="awsaccount",
            name="trust_policy_characters",
            field=models.PositiveSmallIntegerField(
                default=2048,
                help_text="The account's IAM quota 'Role trust policy length': 2,048 characters unless AWS has raised "
                "it, 4,096 at most.",
                validators=[MinValueValidator(2048), MaxValueValidator(4096)],
                verbose_name="trust policy length",
            ),
        ),
        migrations.AddField(
            model_name="iamrole",
            name="inline_of_others",
            field=models.PositiveIntegerField(
                default=0,
                editable=False,
                help_text="Characters in the inline policies of others on an adopted role, as they were last read.",
                verbose_name="inline policies of others",
            ),
        ),
        migrations.RemoveConstraint(model_name="driftfinding", name="drift_kind_known"),
        migrations.AlterField(
            model_name="driftfinding",
            name="kind",
            field=models.CharField(
                choices=[
                    ("missing", "Missing"),
                    ("changed", "Changed"),
                    ("extra", "Not wished for"),
                    ("stale", "Names a deleted identity"),
                    ("foreign_stale", "Others name a deleted identity"),
                    ("not_ours", "Not the portal's"),
                    ("boundary", "Another permissions boundary"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="driftfinding",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    kind__in=["missing", "changed", "extra", "stale", "foreign_stale", "not_ours", "boundary"]
                ),
                name="drift_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="awsaccount",
            constraint=models.CheckConstraint(
                condition=models.Q(trust_policy_characters__gte=2048, trust_policy_characters__lte=4096),
                name="account_trust_quota_is_aws",
                violation_error_message="AWS lets a trust policy have 2,048 to 4,096 characters.",
            ),
        ),
    ]

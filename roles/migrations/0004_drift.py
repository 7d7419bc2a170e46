"""Findings of drift, and who may see, repair and accept them."""

import django.db.models.deletion
import django.utils.timezone
from django.apps import apps as live_apps
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def let_groups_see_and_repair(apps, schema_editor):
    # Permissions are otherwise made after all migrations, which is too late to hand them out here.
    config = live_apps.get_app_config("roles")
    models_module, config.models_module = config.models_module, True
    create_permissions(config, verbosity=0, using=schema_editor.connection.alias)
    config.models_module = models_module

    permission = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="roles")
    group = apps.get_model("auth", "Group").objects
    view = permission.filter(codename="view_driftfinding")
    repair = permission.filter(codename="repair_driftfinding")
    group.get_or_create(name="Portal admin")[0].permissions.add(*view, *repair)
    group.get_or_create(name="Auditor")[0].permissions.add(*view)


class Migration(migrations.Migration):
    dependencies = [
        ("roles", "0003_tool_bearer"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="DriftFinding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_id", models.CharField(max_length=12)),
                ("resource", models.CharField(help_text="ARN of the role, profile or bucket.", max_length=700)),
                ("step", models.PositiveSmallIntegerField(help_text="The procedure's number, 1 to 6.")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("missing", "Missing"),
                            ("changed", "Changed"),
                            ("extra", "Not wished for"),
                            ("stale", "Names a deleted identity"),
                            ("foreign_stale", "Others name a deleted identity"),
                            ("not_ours", "Not the portal's"),
                        ],
                        max_length=16,
                    ),
                ),
                ("title", models.CharField(max_length=200)),
                ("before", models.JSONField(blank=True, null=True)),
                ("after", models.JSONField(blank=True, null=True)),
                (
                    "foreign_statements",
                    models.PositiveSmallIntegerField(default=0, help_text="Statements of others in it."),
                ),
                (
                    "note",
                    models.TextField(
                        blank=True, help_text="What else to know: a dead principal, why it cannot be written."
                    ),
                ),
                (
                    "done_by",
                    models.CharField(blank=True, help_text="Who may have done it; empty is unknown.", max_length=300),
                ),
                ("found_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("last_seen_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("resolved_at", models.DateTimeField(blank=True, null=True)),
                (
                    "resolution",
                    models.CharField(
                        blank=True,
                        choices=[("gone", "Gone by itself"), ("repaired", "Repaired"), ("accepted", "Accepted")],
                        max_length=8,
                    ),
                ),
                (
                    "bucket",
                    models.ForeignKey(
                        blank=True,
                        help_text="The bucket it is at.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="drift",
                        to="roles.bucket",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        blank=True,
                        help_text="The role it is at.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="drift",
                        to="roles.iamrole",
                    ),
                ),
            ],
            options={
                "verbose_name": "drift",
                "verbose_name_plural": "drift",
                "ordering": ("-id",),
                "permissions": (("repair_driftfinding", "Can look for drift, repair and accept it"),),
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["resolved_at", "-id"], name="drift_open_first")],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("resolved_at__isnull", True)),
                        fields=("resource", "step"),
                        name="drift_open_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("step__gte", 1), ("step__lte", 6)), name="drift_step_is_1_to_6"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("kind__in", ["missing", "changed", "extra", "stale", "foreign_stale", "not_ours"])
                        ),
                        name="drift_kind_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("resolution__in", ["", "gone", "repaired", "accepted"])),
                        name="drift_resolution_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("bucket__isnull", True), ("role__isnull", False)),
                            models.Q(("bucket__isnull", False), ("role__isnull", True)),
                            _connector="OR",
                        ),
                        name="drift_at_a_role_or_a_bucket",
                    ),
                ],
            },
        ),
        migrations.RunPython(let_groups_see_and_repair, migrations.RunPython.noop),
    ]

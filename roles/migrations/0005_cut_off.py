"""Cut-offs of credentials that were handed out, and who may see and begin them."""

import django.db.models.deletion
import django.utils.timezone
from django.apps import apps as live_apps
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def let_groups_see_and_start(apps, schema_editor):
    # Permissions are otherwise made after all migrations, which is too late to hand them out here.
    config = live_apps.get_app_config("roles")
    models_module, config.models_module = config.models_module, True
    create_permissions(config, verbosity=0, using=schema_editor.connection.alias)
    config.models_module = models_module

    permission = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="roles")
    group = apps.get_model("auth", "Group").objects
    view = permission.filter(codename="view_cutoff")
    start = permission.filter(codename="start_cutoff")
    group.get_or_create(name="Portal admin")[0].permissions.add(*view, *start)
    group.get_or_create(name="Auditor")[0].permissions.add(*view)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("roles", "0004_drift"),
    ]

    operations = [
        migrations.AddField(
            model_name="issuedtoken",
            name="session_name",
            field=models.CharField(blank=True, help_text="What AWS calls the user in this session.", max_length=64),
        ),
        migrations.AddField(
            model_name="issuedtoken",
            name="target",
            field=models.ForeignKey(
                blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="roles.iamrole"
            ),
        ),
        migrations.CreateModel(
            name="CutOff",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("ended_at", models.DateTimeField(blank=True, editable=False, null=True)),
                (
                    "reason",
                    models.CharField(
                        blank=True, help_text="Why: a ticket or a sentence that an auditor can follow.", max_length=500
                    ),
                ),
                ("names", models.JSONField(blank=True, default=list)),
                ("cut_before", models.DateTimeField()),
                ("lifts_at", models.DateTimeField()),
                (
                    "ended_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "mapping",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cut_offs",
                        to="roles.grouprole",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="roles.iamrole"
                    ),
                ),
                (
                    "started_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "target",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="cut_offs", to="roles.iamrole"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cut_offs",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "cut-off",
                "ordering": ("-id",),
                "permissions": (("start_cutoff", "Can cut off credentials and lift that"),),
                "default_permissions": ("view",),
                "indexes": [models.Index(fields=["ended_at", "lifts_at"], name="cut_off_due")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ended_at__isnull", True), ("ended_at__gte", models.F("started_at")), _connector="OR"
                        ),
                        name="cut_off_interval",
                        violation_error_message="Ends before it starts.",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("user", None), ("mapping", None), _connector="OR"),
                        name="cut_off_for_one_thing",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("source", models.F("target")), _negated=True), name="cut_off_between_roles"
                    ),
                ],
            },
        ),
        migrations.RunPython(let_groups_see_and_start, migrations.RunPython.noop),
    ]

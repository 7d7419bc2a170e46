"""Runs that delete a role or put a document back, and who may ask for them."""

import django.db.models.deletion
from django.apps import apps as live_apps
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def let_admins_delete_and_put_back(apps, schema_editor):
    # Permissions are otherwise made after all migrations, which is too late to hand them out here.
    config = live_apps.get_app_config("roles")
    models_module, config.models_module = config.models_module, True
    create_permissions(config, verbosity=0, using=schema_editor.connection.alias)
    config.models_module = models_module

    permission = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="roles")
    may = permission.filter(codename__in=("delete_iamrole", "restore_provisioningstep"))
    apps.get_model("auth", "Group").objects.get_or_create(name="Portal admin")[0].permissions.add(*may)


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("roles", "0006_own_policies"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="provisioningstep",
            options={
                "ordering": ("run", "attempt", "sequence"),
                "permissions": (("restore_provisioningstep", "Can put back what a step replaced"),),
                "verbose_name": "step",
            },
        ),
        migrations.AddField(
            model_name="provisioningrun",
            name="exactly",
            field=models.BooleanField(default=False, help_text="Put back statements of others too."),
        ),
        migrations.AddField(
            model_name="provisioningrun",
            name="plan_seen",
            field=models.CharField(
                blank=True, help_text="What AWS had when an order was confirmed; empty for other runs.", max_length=64
            ),
        ),
        migrations.AddField(
            model_name="provisioningrun",
            name="purpose",
            field=models.CharField(
                choices=[
                    ("reconcile", "Bring AWS in line"),
                    ("delete_role", "Delete a role"),
                    ("put_back", "Put a document back"),
                ],
                default="reconcile",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="provisioningrun",
            name="puts_back",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="put_back_by",
                to="roles.provisioningstep",
            ),
        ),
        migrations.AddConstraint(
            model_name="provisioningrun",
            constraint=models.CheckConstraint(
                condition=models.Q(("purpose__in", ["reconcile", "delete_role", "put_back"])), name="run_purpose_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="provisioningrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("purpose", "put_back"), ("puts_back__isnull", False)),
                    models.Q(models.Q(("purpose", "put_back"), _negated=True), ("puts_back__isnull", True)),
                    _connector="OR",
                ),
                name="run_puts_back_a_step",
            ),
        ),
        migrations.RunPython(let_admins_delete_and_put_back, migrations.RunPython.noop),
    ]

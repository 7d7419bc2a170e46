"""Create the three groups: Portal admin, Auditor, User."""

from django.apps import apps as live_apps
from django.contrib.auth.management import create_permissions
from django.db import migrations

ADMIN_ACTIONS = ("add", "change", "view")
READ_ONLY = ("auditevent", "provisioningrun", "provisioningstep", "issuedtoken")
ENTERED = (
    "awsaccount",
    "iamrole",
    "bucket",
    "assumerolegrant",
    "bucketgrant",
    "usergroup",
    "membership",
    "grouprole",
    "user",
)


def create_groups(apps, schema_editor):
    # Permissions are otherwise made after all migrations, which is too late to hand them out here.
    config = live_apps.get_app_config("roles")
    models_module, config.models_module = config.models_module, True
    create_permissions(config, verbosity=0, using=schema_editor.connection.alias)
    config.models_module = models_module

    permission = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="roles")
    group = apps.get_model("auth", "Group").objects

    viewing = [f"view_{name}" for name in (*ENTERED, *READ_ONLY)]
    entering = [f"{action}_{name}" for action in ADMIN_ACTIONS for name in ENTERED]
    extra = ["export_auditevent", "retry_provisioningrun"]

    group.get_or_create(name="Portal admin")[0].permissions.set(
        permission.filter(codename__in=viewing + entering + extra)
    )
    group.get_or_create(name="Auditor")[0].permissions.set(
        permission.filter(codename__in=[*viewing, "export_auditevent"])
    )
    group.get_or_create(name="User")


class Migration(migrations.Migration):
    dependencies = [
        ("roles", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(create_groups, migrations.RunPython.noop)]

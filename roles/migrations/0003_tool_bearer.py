"""Bearers for people's tools, and who may see and revoke them."""

import django.db.models.deletion
import django.utils.timezone
from django.apps import apps as live_apps
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import migrations, models


def let_groups_see_and_revoke(apps, schema_editor):
    # Permissions are otherwise made after all migrations, which is too late to hand them out here.
    config = live_apps.get_app_config("roles")
    models_module, config.models_module = config.models_module, True
    create_permissions(config, verbosity=0, using=schema_editor.connection.alias)
    config.models_module = models_module

    permission = apps.get_model("auth", "Permission").objects.filter(content_type__app_label="roles")
    group = apps.get_model("auth", "Group").objects
    view = permission.filter(codename="view_toolbearer")
    revoke = permission.filter(codename="revoke_toolbearer")
    group.get_or_create(name="Portal admin")[0].permissions.add(*view, *revoke)
    group.get_or_create(name="Auditor")[0].permissions.add(*view)


class Migration(migrations.Migration):

    dependencies = [
        ('roles', '0002_permission_groups'),
        ('auth', '0012_alter_user_first_name_max_length'),
        ('contenttypes', '0002_remove_content_type_name'),
    ]

    operations = [
        migrations.CreateModel(
            name='ToolBearer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('container', 'Container credentials'), ('program', 'xacct-credentials')], max_length=16)),
                ('name', models.CharField(blank=True, help_text='What the computer calls itself; nobody checked it.', max_length=64)),
                ('token_hash', models.CharField(max_length=64, unique=True)),
                ('sealed_session', models.TextField()),
                ('session_hash', models.CharField(db_index=True, max_length=64)),
                ('challenge', models.CharField(blank=True, max_length=64)),
                ('collect_until', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('last_address', models.CharField(blank=True, max_length=64)),
                ('last_user_agent', models.CharField(blank=True, max_length=300)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('mapping', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='roles.grouprole')),
                ('target', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='roles.iamrole')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'signed-in tool',
                'ordering': ('-id',),
                'permissions': (('revoke_toolbearer', 'Can revoke signed-in tools of others'),),
                'default_permissions': ('view',),
                'indexes': [models.Index(fields=['user', 'revoked_at'], name='bearer_by_user')],
                'constraints': [models.CheckConstraint(condition=models.Q(('challenge', ''), ('collect_until__isnull', False), _connector='OR'), name='bearer_waits_until', violation_error_message='A bearer that waits to be collected says until when.')],
            },
        ),
        migrations.RunPython(let_groups_see_and_revoke, migrations.RunPython.noop),
    ]

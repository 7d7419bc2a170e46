"""What a token may do, until when the cache keeps it, and an index to find people by what AWS calls them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("roles", "0010_limits"),
    ]

    operations = [
        migrations.AddField(
            model_name="issuedtoken",
            name="scope",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="issuedtoken",
            name="cached_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="issuedtoken",
            name="session_name",
            field=models.CharField(
                blank=True, db_index=True, help_text="What AWS calls the user in this session.", max_length=64
            ),
        ),
    ]

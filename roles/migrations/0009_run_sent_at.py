"""When the broker last took the message of a run."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("roles", "0008_suspension"),
    ]

    operations = [
        migrations.AddField(
            model_name="provisioningrun",
            name="sent_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]

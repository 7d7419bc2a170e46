"""Nobody has agreed to the portal's reading accounts that are in their owners' hands already."""

from __future__ import annotations

from typing import Any

from django.db import migrations


def forget_ways_in(apps: Any, _editor: Any) -> None:
    """Take out the role that was entered before the account was handed over: from now on it would be read with."""
    apps.get_model("roles", "AwsAccount").objects.filter(access_mode="handoff").update(provisioner_role_arn="")


class Migration(migrations.Migration):
    dependencies = [("roles", "0011_token_scope")]
    operations = [migrations.RunPython(forget_ways_in, migrations.RunPython.noop)]

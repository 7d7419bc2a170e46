"""`manage.py export_config`: everything an admin can enter, as the YAML that `import_config` reads."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from roles.management.config_export import export_text


class Command(BaseCommand):
    """Print the configuration."""

    help = "Print accounts, roles, buckets, grants, groups and mappings as YAML; import_config reads it back."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it to standard output."""
        with transaction.atomic():
            text = export_text()
        self.stdout.write(text, ending="")

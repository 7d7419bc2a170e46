"""Start-up of the app: system checks and sign-in receivers."""

from __future__ import annotations

from django.apps import AppConfig


class RolesConfig(AppConfig):
    """The portal."""

    name = "roles"
    verbose_name = "Cross-account access"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load what registers itself."""
        from roles import checks  # noqa: F401, PLC0415
        from roles.tokens import receivers  # noqa: F401, PLC0415

"""How the admin looks: Unfold's settings."""

from __future__ import annotations

from typing import Any

UNFOLD: dict[str, Any] = {"SITE_TITLE": "xacct portal", "SITE_HEADER": "xacct portal"}

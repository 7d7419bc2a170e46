"""What every page's frame needs beyond Unfold's own context."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib import admin

register = template.Library()


@register.simple_tag(takes_context=True)
def portal_navigation(context: template.Context) -> list[dict[str, Any]]:
    """Return the sidebar's groups that hold at least one page which the person may open.

    Unfold itself builds the sidebar for staff only; members have pages too. Each item's own permission decides.
    """
    site: Any = admin.site
    groups = site.get_sidebar_list(context["request"])
    return [group for group in groups if any(item["has_permission"] for item in group["items"])]

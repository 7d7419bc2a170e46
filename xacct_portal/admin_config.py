"""Puts our admin site in the place of Django's: `admin.site` is then `xacct_portal.admin_site.PortalAdminSite`."""

from __future__ import annotations

from django.contrib.admin.apps import AdminConfig


class PortalAdminConfig(AdminConfig):
    """Django's admin, with our site as the default one."""

    default_site = "xacct_portal.admin_site.PortalAdminSite"

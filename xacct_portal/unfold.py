"""How every page looks: Unfold's settings, and the sidebar that serves members, auditors and admins alike.

The callables decide what the sidebar shows, never what is allowed: each view authorises for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse_lazy

Permission = Callable[[HttpRequest], bool]


def _signed_in(request: HttpRequest) -> bool:
    return request.user.is_authenticated


def _staff(request: HttpRequest) -> bool:
    return request.user.is_active and bool(getattr(request.user, "is_staff", False))


def _has(*permissions: str) -> Permission:
    """Return a callable that is true for staff with all of `permissions` (of the app `roles`)."""
    names = [f"roles.{name}" for name in permissions]
    return lambda request: _staff(request) and request.user.has_perms(names)


def _sees_history(request: HttpRequest) -> bool:
    return request.user.has_perm("roles.view_auditevent")


def _item(title: str, icon: str, link: str, permission: Permission) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(link), "permission": permission}


def _model(title: str, icon: str, model: str) -> dict[str, Any]:
    return _item(title, icon, f"admin:roles_{model}_changelist", _has(f"view_{model}"))


def _exact(name: str) -> Callable[[HttpRequest], bool]:
    """Return a callable that is true on the page `name` alone, where Unfold would also match pages below it."""
    return lambda request: request.path == str(reverse_lazy(name))


NAVIGATION: list[dict[str, Any]] = [
    {
        "title": "",
        "items": [
            _item("My access", "key", "my_access", _signed_in),
            _item("Signed-in tools", "apps", "signed_in_tools", _signed_in),
            _item("History", "history", "history", _sees_history),
        ],
    },
    {
        "title": "Administration",
        "separator": True,
        "items": [
            {**_item("Overview", "space_dashboard", "admin:index", _staff), "active": _exact("admin:index")},
            _item("Connect a bucket", "add_link", "admin:connect_bucket", _has("change_grouprole")),
            _model("User groups", "groups", "usergroup"),
            _model("Mappings", "conversion_path", "grouprole"),
            _model("Runs", "sync", "provisioningrun"),
            _model("Drift", "difference", "driftfinding"),
        ],
    },
    {
        "title": "AWS",
        "separator": True,
        "items": [
            _model("Accounts", "cloud", "awsaccount"),
            _model("IAM roles", "badge", "iamrole"),
            _model("Buckets", "database", "bucket"),
            _model("Assume-role grants", "move_up", "assumerolegrant"),
            _model("Bucket grants", "folder_managed", "bucketgrant"),
        ],
    },
    {
        "title": "People",
        "separator": True,
        "items": [
            _model("Users", "person", "user"),
            _model("Issued tokens", "vpn_key", "issuedtoken"),
            _model("Cut-offs", "key_off", "cutoff"),
            _model("Signed-in tools", "apps", "toolbearer"),
            _model("Events", "list_alt", "auditevent"),
        ],
    },
]


def _reversible(item: dict[str, Any]) -> bool:
    try:
        str(item["link"])
    except NoReverseMatch:
        return False
    return True


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar's groups."""
    return [{**group, "items": [item for item in group["items"] if _reversible(item)]} for group in NAVIGATION]


SEARCHABLE = ["roles.usergroup", "roles.awsaccount", "roles.iamrole", "roles.bucket", "roles.user"]

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "xacct portal",
    "SITE_HEADER": "xacct portal",
    "SITE_SUBHEADER": "Cross-account access",
    "SITE_SYMBOL": "lock_open_right",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("xacct/icon.svg")},
    ],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": False,
    "BORDER_RADIUS": "6px",
    "COLORS": {
        # A blue with at least 4.5:1 for white text from 600 on, and for text on white.
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(65.3% .19 257.8)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        },
    },
    "STYLES": [
        lambda request: static("xacct/portal.css"),
        lambda request: static("xacct/admin.css"),
    ],
    "SCRIPTS": [
        lambda request: static("xacct/admin.js"),
    ],
    "ACCOUNT": {"navigation": [{"title": "Change password", "link": reverse_lazy("password_change")}]},
    "COMMAND": {"search_models": SEARCHABLE, "show_history": False},
    "SIDEBAR": {
        "show_search": _staff,
        "command_search": True,
        "show_all_applications": False,
        "navigation": navigation,
    },
}

"""The admin: one module per model over our `ModelAdmin`, and the pages that belong to no single model.

Knows operations and what is below; never the other surfaces. Django imports this package once all models are loaded;
each module then registers its models.
"""

from django.contrib import admin
from django.contrib.auth.models import Group

from roles.admin import (
    accounts,
    bearers,
    buckets,
    drift,
    grants,
    groups,
    history,
    iam_roles,
    mappings,
    runs,
    tokens,
    users,
)

__all__ = [
    "accounts",
    "bearers",
    "buckets",
    "drift",
    "grants",
    "groups",
    "history",
    "iam_roles",
    "mappings",
    "runs",
    "tokens",
    "users",
]

# What the permission groups may do is decided by migrations; who is in them, on the person's page.
admin.site.unregister(Group)

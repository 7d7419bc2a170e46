"""What an event was about, as a link to its page for whoever may be let in there."""

from __future__ import annotations

from typing import Any

from django import template
from django.apps import apps
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

RUN = "provisioningrun"


@register.simple_tag(takes_context=True)
def thing_link(context: template.Context, event: Any) -> str | SafeString:
    """Return the name of what `event` is about: a link for staff, whose pages decide what they see; else plain text."""
    user = context.get("user")
    address = address_of(event.subject_type, event.subject_id) if getattr(user, "is_staff", False) else ""
    name: str = event.subject_name
    return format_html('<a class="xp-link" href="{}">{}</a>', address, name) if address else name


@register.filter
def kind_in_words(subject_type: str) -> str:
    """Return what a kind of thing is called on the pages; an unknown kind is its own name.

    >>> kind_in_words("grouprole")
    'mapping'
    """
    try:
        return str(apps.get_model("roles", subject_type)._meta.verbose_name)
    except LookupError:
        return subject_type


def address_of(subject_type: str, subject_id: str) -> str:
    """Return the address of a thing's page; empty if there is no page for its kind."""
    if not subject_id:
        return ""
    name = "run" if subject_type == RUN else f"admin:roles_{subject_type}_change"
    try:
        return reverse(name, args=[subject_id])
    except NoReverseMatch:
        return ""

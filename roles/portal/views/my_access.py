"""Where users land: what they may use now, and how to get at it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from roles.permissions import Rule, can
from roles.portal.page import show, signed_in
from roles.portal.queries import access_cards


@require_safe
def my_access(request: HttpRequest) -> HttpResponse:
    """Show a card for each bucket of each mapping of the user's groups."""
    user = signed_in(request)
    shown = {
        "cards": access_cards(user, request.session),
        "may_map": can(user, Rule.MAP_ROLES),
        "may_view_history": can(user, Rule.VIEW_HISTORY),
    }
    return show(request, "portal/my_access.html", shown, title="My access")

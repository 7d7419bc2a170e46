"""The page that asks before all access through a role or an account ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from roles.admin.base import PortalModelAdmin, change_url
from roles.models import AwsAccount, IamRole, User
from roles.permissions import Rule, can


def view(
    model_admin: PortalModelAdmin,
    request: HttpRequest,
    row: IamRole | AwsAccount,
    retire: Callable[[str], Any],
    people: list[User],
) -> HttpResponse:
    """Ask once, with the plan and the people; on POST call `retire` with the reason."""
    if not can(request.user, Rule.MAP_ROLES) or not can(request.user, Rule.MANAGE_GRANTS):
        raise PermissionDenied
    count = len(people)

    def done(_row: Any) -> HttpResponse:
        messages.success(request, f"All access through {row} has ended. AWS is being brought in line.")
        return redirect(change_url(row))

    return model_admin.ask(
        request,
        lambda: retire(request.POST.get("reason", "").strip()),
        done=done,
        title=f"Retire {row}?",
        effects=[
            f"All mappings and grants that go through {row} end.",
            "Cached tokens that reach it are removed at once. "
            "Credentials that were handed out already work until AWS has the new policies.",
            "Nothing is deleted: it stays in the list, as the history names it, and roles and buckets stay in AWS. "
            "A role that the portal made can be deleted there afterwards, on its page.",
        ],
        people=people,
        button=f"End access of {count} {'person' if count == 1 else 'people'}" if count else f"Retire {row}",
        back=change_url(row),
    )

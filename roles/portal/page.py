"""Render a page inside Unfold's frame."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from roles.models import User


def show(
    request: HttpRequest, template: str, shown: Mapping[str, Any] | None = None, *, title: str, status: int = 200
) -> HttpResponse:
    """Return the page: `template` with the frame's context, `title` as its heading and `shown`."""
    return render(
        request, template, {**admin.site.each_context(request), "title": title, **(shown or {})}, status=status
    )


def signed_in(request: HttpRequest) -> User:
    """Return the person who is signed in. Every page but the exempt ones is behind Django's sign-in middleware."""
    user = request.user
    if not isinstance(user, User):
        raise TypeError("This view is reached only behind LoginRequiredMiddleware.")
    return user

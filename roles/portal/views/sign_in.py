"""Signing in and out, and changing one's password."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import logout, views
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse_lazy
from django.views.decorators.http import require_POST

from roles.operations.sign_out_everywhere import sign_out_everywhere
from roles.portal.forms import NewPasswordForm, SignInForm
from roles.portal.page import signed_in
from roles.tokens import cache


class _Framed:
    """Give a class-based view the frame's context."""

    request: HttpRequest

    def get_context_data(self, **shown: Any) -> dict[str, Any]:
        """Return the frame's context and the view's own."""
        own: dict[str, Any] = super().get_context_data(**shown)  # type: ignore[misc]  # mixed into Django's views
        return {**admin.site.each_context(self.request), **own}


class SignIn(_Framed, views.LoginView):
    """The sign-in page."""

    form_class = SignInForm
    template_name = "registration/login.html"
    extra_context = {"title": "Sign in"}


class SignOut(views.LogoutView):
    """Sign out, by POST only; the session and everything cached under it is gone."""

    http_method_names = ["post", "options"]


class ChangePassword(_Framed, views.PasswordChangeView):
    """Change one's own password."""

    form_class = NewPasswordForm
    template_name = "registration/password_change_form.html"
    success_url = reverse_lazy("password_change_done")
    extra_context = {"title": "Change password"}

    def get_form_kwargs(self) -> dict[str, Any]:
        """Give the form the request, which wrong passwords are counted by."""
        return {**super().get_form_kwargs(), "request": self.request}

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        """Save it. Tokens are forgotten with that, and this session leads to none of them even if the cache is down."""
        answer = super().form_valid(form)
        cache.new_namespace(self.request.session)
        return answer


class PasswordChanged(_Framed, views.PasswordChangeDoneView):
    """Say that it was changed."""

    template_name = "registration/password_change_done.html"
    extra_context = {"title": "Password changed"}


@require_POST
def sign_out_of_all(request: HttpRequest) -> HttpResponse:
    """End all sessions of whoever asks, this one too."""
    person = signed_in(request)
    sign_out_everywhere(actor=person, user=person)
    logout(request)
    return redirect("login")


def home(_request: HttpRequest) -> HttpResponse:
    """Send everybody to their own access; those who administer find the admin in the menu."""
    return redirect("my_access")

"""Refusals in the admin: at the field of a form, in the history."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest

from roles.errors import NotPermitted, PortalError, text_of
from roles.history.recorder import record_denial


def note_refusal(request: HttpRequest, error: PortalError) -> None:
    """Record a denial in the history; called once its transaction is gone."""
    if isinstance(error, NotPermitted):
        record_denial(error, actor=request.user)


def add_refusal(form: forms.BaseForm, error: PortalError) -> None:
    """Put the refusal at the field it names, or above the form."""
    field = getattr(error, "field", "")
    form.add_error(field if field in form.fields else None, text_of(error))

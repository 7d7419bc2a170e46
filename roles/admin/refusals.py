"""Refusals in the admin: as a text, at the field of a form, in the history."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest

from roles.errors import NotPermitted, PortalError
from roles.history.recorder import record_denial


def text_of(error: PortalError) -> str:
    """Return the message and the hint as one text, with what would be accepted and AWS's own code where known."""
    parts = [error.message, error.hint]
    allowed = getattr(error, "allowed", "")
    if allowed and allowed not in str(error):
        parts.append(f"Allowed: {allowed}.")
    if aws_code := getattr(error, "aws_code", ""):
        request_id = getattr(error, "request_id", "")
        parts.append(f"({aws_code}{f', request {request_id}' if request_id else ''})")
    return " ".join(part for part in parts if part)


def note_refusal(request: HttpRequest, error: PortalError) -> None:
    """Record a denial in the history; called once its transaction is gone."""
    if isinstance(error, NotPermitted):
        record_denial(error, actor=request.user)


def add_refusal(form: forms.BaseForm, error: PortalError) -> None:
    """Put the refusal at the field it names, or above the form."""
    field = getattr(error, "field", "")
    form.add_error(field if field in form.fields else None, text_of(error))

"""Forms of the pages for members and auditors."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib.auth import authenticate
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.http import HttpRequest
from django.utils import timezone

from roles.history.queries import HistoryFilter
from roles.models.choices import Outcome, RunStatus

_INPUT = {"class": "xp-input"}


def _dress(fields: dict[str, forms.Field]) -> None:
    for field in fields.values():
        field.widget.attrs.setdefault("class", "xp-input")


class SignInForm(AuthenticationForm):
    """Name and password."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _dress(self.fields)


class NewPasswordForm(PasswordChangeForm):
    """The old password and twice the new one."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        _dress(self.fields)

    def clean_old_password(self) -> str:
        """Check it as a sign-in is checked, where wrong ones are counted: a stolen cookie must not try them all."""
        typed: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=typed) != self.user:
            raise forms.ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return typed


class HistoryForm(forms.Form):
    """What to look for in the history. Lives in the URL, so that a search can be kept and sent to somebody.

    Dates are days in the person's zone, both included.
    """

    since = forms.DateField(label="From", required=False, widget=forms.DateInput({**_INPUT, "type": "date"}))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput({**_INPUT, "type": "date"}))
    actor = forms.CharField(label="Person", required=False, max_length=150, widget=forms.TextInput(_INPUT))
    group = forms.CharField(label="Group", required=False, max_length=150, widget=forms.TextInput(_INPUT))
    account = forms.CharField(
        label="Account id",
        required=False,
        max_length=12,
        widget=forms.TextInput({**_INPUT, "inputmode": "numeric", "placeholder": "111111111111"}),
    )
    resource = forms.CharField(
        label="Role, bucket or ARN",
        required=False,
        max_length=700,
        widget=forms.TextInput({**_INPUT, "placeholder": "MyRoleA"}),
    )
    outcome = forms.ChoiceField(label="Outcome", required=False, widget=forms.Select(_INPUT))
    code = forms.CharField(
        label="Event code",
        required=False,
        max_length=64,
        widget=forms.TextInput({**_INPUT, "placeholder": "mapping.added"}),
    )
    request = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput())

    def __init__(self, data: Any, *, of_runs: bool = False) -> None:
        super().__init__(data)
        words = RunStatus.choices if of_runs else Outcome.choices
        outcome = self.fields["outcome"]
        if isinstance(outcome, forms.ChoiceField):
            outcome.choices = [("", "All"), *words]

    def clean(self) -> dict[str, Any]:
        """Refuse an empty span of time."""
        cleaned: dict[str, Any] = super().clean() or {}
        since, until = cleaned.get("since"), cleaned.get("until")
        if since and until and until < since:
            self.add_error("until", "This is before the day in 'From'.")
        return cleaned

    def wanted(self) -> HistoryFilter:
        """Return what to look for; what was entered wrongly is left out and shown at its field."""
        self.is_valid()
        given = {name: value for name, value in self.cleaned_data.items() if value}
        since, until = given.pop("since", None), given.pop("until", None)
        return HistoryFilter(
            since=_start_of(since) if since else None,
            until=_start_of(until + timedelta(days=1)) if until else None,
            **given,
        )


def _start_of(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))

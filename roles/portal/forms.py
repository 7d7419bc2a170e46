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
from roles.history.reach import ReachFilter
from roles.models import Bucket, User
from roles.models.choices import Outcome, RunStatus
from roles.values.arns import AccessLevel
from roles.values.spans import Span

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


class ReachForm(forms.Form):
    """Who could reach which bucket on which day, a day in the person's zone. Lives in the URL."""

    bucket = forms.CharField(
        required=False, max_length=63, widget=forms.TextInput({**_INPUT, "list": "buckets", "autocomplete": "off"})
    )
    person = forms.CharField(required=False, max_length=150, widget=forms.TextInput(_INPUT))
    day = forms.DateField(label="On", widget=forms.DateInput({**_INPUT, "type": "date"}))
    level = forms.ChoiceField(
        label="To",
        required=False,
        choices=[("", "Read or write"), (AccessLevel.READ.value, "Read"), (AccessLevel.WRITE.value, "Write")],
        widget=forms.Select(_INPUT),
    )

    def clean_bucket(self) -> Bucket | None:
        """Find the bucket."""
        name = self.cleaned_data["bucket"]
        found = Bucket.objects.select_related("account").filter(name=name).first()
        if name and found is None:
            raise forms.ValidationError(f"The portal knows no bucket '{name}'.")
        return found

    def clean_person(self) -> User | None:
        """Find the person, ignoring case unless several differ in it alone."""
        name = self.cleaned_data["person"]
        rows = list(User.objects.filter(username__iexact=name)[:2])
        found = rows[0] if len(rows) == 1 else next((one for one in rows if one.username == name), None)
        if name and found is None:
            raise forms.ValidationError(f"There is no user '{name}'.")
        return found

    def clean_day(self) -> Span:
        """Return the day as a span; today ends now."""
        day = self.cleaned_data["day"]
        start, end = _start_of(day), _start_of(day + timedelta(days=1))
        if start >= timezone.now():
            raise forms.ValidationError("This day has not begun yet.")
        return Span(start, min(end, timezone.now()))

    def clean(self) -> dict[str, Any]:
        """Ask for a bucket or a person."""
        cleaned: dict[str, Any] = super().clean() or {}
        if not self.errors and not cleaned["bucket"] and not cleaned["person"]:
            self.add_error("bucket", "Name a bucket, a person or both.")
        return cleaned

    def wanted(self) -> ReachFilter | None:
        """Return what to ask, None while something is missing or wrong."""
        if not self.is_valid():
            return None
        given = self.cleaned_data
        level = AccessLevel(given["level"]) if given["level"] else None
        return ReachFilter(given["day"], given["bucket"], given["person"], level)


def _start_of(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))

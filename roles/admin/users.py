"""Users in the admin: create, change, deactivate, and what they may do in the portal."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.forms import AdminUserCreationForm
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from roles.admin import cut_offs, queries
from roles.admin.base import PortalModelAdmin, badge, change_url
from roles.errors import PortalError
from roles.models import IssuedToken, Membership, User, UserGroup
from roles.operations.cut_off import Whose
from roles.operations.deactivate_user import deactivate_user
from roles.operations.save_user import save_user
from roles.operations.sign_out_everywhere import sign_out_everywhere
from roles.permissions import Rule, can

PERMISSIONS_HELP = "What this person may do in the portal. Admins and auditors also need access to the admin."


class UserAddForm(AdminUserCreationForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """A new person. Without a password they sign in some other way, or not at all."""

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "is_staff", "groups")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _dress(self)


class UserChangeForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """What may be changed of a person; the password is theirs."""

    class Meta:
        model = User
        fields = ("username", "first_name", "last_name", "email", "time_zone", "is_staff", "groups")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _dress(self)


def _dress(form: forms.BaseForm) -> None:
    for name, field in form.fields.items():
        if name in ("password1", "password2"):
            field.widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"})
        elif isinstance(field, forms.BooleanField):
            field.widget = UnfoldBooleanSwitchWidget()
        elif isinstance(field, forms.CharField):
            field.widget = UnfoldAdminTextInputWidget()
    if "usable_password" in form.fields:
        choices = form.fields["usable_password"].widget.choices
        form.fields["usable_password"].widget = UnfoldAdminRadioSelectWidget(choices=choices)
    groups = form.fields.get("groups")
    if isinstance(groups, forms.ModelMultipleChoiceField):
        groups.widget = UnfoldAdminCheckboxSelectMultipleWidget()
        groups.queryset = Group.objects.order_by("name")
        groups.label, groups.help_text = "Permission groups", PERMISSIONS_HELP
    if "is_staff" in form.fields:
        form.fields["is_staff"].label = "Access to the admin"
        form.fields["is_staff"].help_text = "Admins and auditors need it; people who only use buckets do not."


def _cached_tokens(person: User) -> str:
    """Return how many tokens of a person the cache holds, with the verb."""
    count = IssuedToken.objects.cached().filter(user=person).count()
    return f"{count} cached {'token is' if count == 1 else 'tokens are'}"


@admin.register(User)
class UserAdmin(PortalModelAdmin):
    """People who sign in."""

    list_display = ("username", "display_name", "email", "display_active", "display_permissions", "last_login")
    list_filter = ("is_active", "groups")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    form = UserChangeForm
    add_form = UserAddForm
    change_form_template = "admin/roles/user/change_form.html"
    fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email", "time_zone")}),
        ("Permissions", {"fields": ("is_staff", "groups")}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "first_name", "last_name", "email")}),
        ("Password", {"fields": ("usable_password", "password1", "password2")}),
        ("Permissions", {"fields": ("is_staff", "groups")}),
    )

    @admin.display(description="Name", ordering="last_name")
    def display_name(self, obj: User) -> str:
        """Show the full name."""
        return obj.get_full_name() or "–"

    @admin.display(description="State", ordering="is_active")
    def display_active(self, obj: User) -> str:
        """Show whether they may sign in."""
        return badge("done", "Active") if obj.is_active else badge("removed", "Deactivated")

    @admin.display(description="Permissions")
    def display_permissions(self, obj: User) -> str:
        """Name the permission groups; they are loaded with the list."""
        return ", ".join(sorted(group.name for group in obj.groups.all())) or "–"

    def get_queryset(self, request: HttpRequest) -> Any:
        """Load the permission groups of all users at once."""
        return super().get_queryset(request).prefetch_related("groups")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Offer only active people where members are added."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        if request.GET.get("model_name") == Membership._meta.model_name:
            found = found.filter(is_active=True)
        return found, duplicates

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Use the form with a password for a new person."""
        if obj is None:
            kwargs["form"] = self.add_form
        return super().get_form(request, obj, change=change, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        """Add the pages that ask before a person is deactivated or signed out."""
        wrap = self.admin_site.admin_view
        own = [
            path("<int:object_id>/deactivate/", wrap(self.deactivate_view), name="roles_user_deactivate"),
            path("<int:object_id>/sign-out/", wrap(self.sign_out_view), name="roles_user_sign_out"),
            path("<int:object_id>/cut-off/", wrap(self.cut_off_view), name="roles_user_cut_off"),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Add the groups they are in."""
        person = self.get_object(request, object_id)
        extra = {
            "person": person,
            "memberships": Membership.objects.open()
            .filter(user=person)
            .select_related("group")
            .annotate(why_disabled=queries.why_disabled("group", "group_id")),
            "may_change": self.has_change_permission(request, person),
            "may_cut_off": can(request.user, Rule.CUT_OFF),
            "cut_offs": queries.open_cut_offs(user=person) if person is not None else [],
        }
        response: HttpResponse = super().change_view(request, object_id, form_url, {**extra, **(extra_context or {})})
        return response

    def perform(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> User:
        """Save through the operation."""
        return save_user(actor=request.user, user=obj, groups=tuple(form.cleaned_data["groups"]))

    def sign_out_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, naming the effect; sign the person out everywhere on POST."""
        person = self.row_or_404(request, object_id, change=True)
        if request.method == "POST":
            try:
                sign_out_everywhere(actor=request.user, user=person)
            except PortalError as error:
                self.tell_refusal(request, error)
            else:
                messages.success(request, f"{person} is signed out everywhere.")
            return redirect(change_url(person))
        return self.page(
            request,
            "admin/confirm.html",
            title=f"Sign {person} out everywhere?",
            effects=[
                f"All sessions of {person} end, and they can sign in again.",
                f"{_cached_tokens(person)} removed at once. Credentials that were handed out already work until they "
                "expire, at most one hour.",
            ],
            people=[person],
            button=f"Sign {person} out",
            back=change_url(person),
        )

    def cut_off_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask before the person's credentials are cut off: all of them, or those of one group if it is named."""
        person = self.row_or_404(request, object_id)
        group_id = request.GET.get("group", "")
        group = get_object_or_404(UserGroup, pk=group_id) if group_id.isdigit() else None
        back = change_url(group or person)
        return cut_offs.view(self, request, Whose(user=person, group=group), back=back)

    def deactivate_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, naming the effect; deactivate on POST."""
        person = self.row_or_404(request, object_id, change=True)
        groups = Membership.objects.open().filter(user=person).select_related("group").order_by("group__name")

        def done(_deactivated: User) -> HttpResponse:
            messages.success(request, f"{person} is deactivated.")
            return redirect(change_url(person))

        return self.ask(
            request,
            lambda: deactivate_user(actor=request.user, user=person),
            done=done,
            title=f"Deactivate {person}?",
            effects=[
                f"{person} is signed out and can no longer sign in.",
                f"{_cached_tokens(person)} removed at once. "
                "Credentials that were handed out already work until they expire, at most one hour.",
                "Member of: " + (", ".join(row.group.name for row in groups) or "no group") + ".",
                "AWS is not changed.",
            ],
            people=[person],
            button=f"Deactivate {person}",
            back=change_url(person),
            asks_reason=False,
        )

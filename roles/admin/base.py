"""Our `ModelAdmin` over Unfold's: every change goes through an operation, every refusal becomes a message.

An operation that refuses raises through `save_model` and out of Django's transaction; the form is then shown again
with what was typed and the refusal as its message. Nothing is deleted here: access is an interval that ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from copy import copy
from typing import Any, TypeVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from roles.admin import confirming
from roles.admin.refusals import add_refusal, note_refusal
from roles.errors import PortalError, StalePlan, text_of
from roles.operations.confirmed import Look

T = TypeVar("T")
REFUSAL = "xacct_refusal"
# What no page shows and no address may ask about: `?password__startswith=` would read a hash out, letter by letter.
NEVER_ASKED = {"password", "token_hash", "sealed_session", "challenge", "cache_key", "session_hash"}
SLUG_SCRIPTS = ("/urlify.js", "/prepopulate.js", "/xregexp.js", "/xregexp.min.js")


def badge(state: str, text: str = "") -> SafeString:
    """Return the HTML of a state's badge."""
    return render_to_string("admin/includes/state.html", {"state": state, "text": text})


def copyable(text: object, label: str = "") -> SafeString:
    """Return the HTML of an ARN or id with a copy button."""
    return render_to_string("components/copyable.html", {"text": str(text), "label": label or str(text)})


def link_to(row: models.Model | None, text: str = "") -> str | SafeString:
    """Return a link to the admin page of `row`; a dash for none."""
    if row is None:
        return "–"
    return format_html('<a class="xa-link" href="{}">{}</a>', change_url(row), text or str(row))


def change_url(row: models.Model, page: str = "change") -> str:
    """Return the address of a page of `row` in the admin."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])


def moment(field: str, title: str) -> Callable[[Any], str]:
    """Return a column that shows the time in `field`: relative in words, exact in the person's zone on hover."""

    @admin.display(description=title, ordering=field)
    def column(row: Any) -> str:
        return render_to_string("admin/includes/moment.html", {"moment": getattr(row, field)})

    column.__name__ = f"display_{field}"
    return column


def seen_of(*parts: object) -> str:
    """Return a short digest of what a live part shows, so that it is sent again only when that changed."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def settled(response: HttpResponse, *, when: bool) -> HttpResponse:
    """Tell the page that nothing more will happen, `when` that is so: parts of it then load themselves again, once."""
    if when:
        response["HX-Trigger"] = "settled"
    return response


def zone_help(text: str) -> str:
    """Return the help of a field with a time: `text`, and the zone that it is in."""
    return f"{text} In your time zone, {timezone.get_current_timezone_name()}."


def _refused(form_class: Any, refusal: PortalError) -> Any:
    """Return a form class whose forms are all invalid for the reason that the operation gave."""

    class RefusedForm(form_class):  # type: ignore[misc]  # made per request
        def _post_clean(self) -> None:
            super()._post_clean()
            add_refusal(self, refusal)

    return RefusedForm


def _shown_again(form_class: Any) -> Any:
    """Return a form class whose forms are shown with what was typed and are not saved."""

    class ShownAgain(form_class):  # type: ignore[misc]  # made per request
        def is_valid(self) -> bool:
            return False

    return ShownAgain


class PortalModelAdmin(ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """The base of all. A subclass lists its columns and says in `perform` which operation saves.

    With `shows_plan`, what would alter AWS or anybody's access is shown before it is saved.
    """

    shows_plan = False

    list_per_page = 50
    show_full_result_count = False
    list_filter_sheet = True
    warn_unsaved_form = True
    actions_on_top = False
    actions = ()
    empty_hint = ""
    empty_value_display = "–"

    @property
    def media(self) -> forms.Media:
        """Leave out Django's scripts that make slugs: no form has one, and they are a sixth of a page's weight."""
        parts: forms.Media = super().media
        scripts = [path for path in parts._js if not str(path).endswith(SLUG_SCRIPTS)]  # type: ignore[attr-defined]
        return forms.Media(css=parts._css, js=scripts)  # type: ignore[attr-defined]

    # --- permissions: nobody deletes ---

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse: rows end or stay."""
        return False

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Refuse to filter by what no page shows; Django lets an address name any of a row's own fields."""
        if NEVER_ASKED.intersection(lookup.split("__")):
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    # --- saving ---

    def perform(self, request: HttpRequest, obj: Any, form: forms.ModelForm[Any], change: bool) -> models.Model:
        """Call the operation that does what the form says and return its row."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Let the operation save, and give its row to Django, which shows it in the message."""
        row = confirming.do(request, lambda: self.perform(request, obj, form, change))
        obj.pk = row.pk
        obj.refresh_from_db()

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        """Do nothing: the operation saved everything, many-to-many fields included."""

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> None:
        """Do nothing: the operation recorded it in the history."""

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> None:
        """Do nothing: the operation recorded it in the history."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save the form. A refusal by an operation arrives here, outside of Django's transaction."""
        try:
            return self._plan_first(request, object_id) or self._changeform(request, object_id, form_url, extra_context)
        except StalePlan as error:
            return self._plan_first(request, object_id, stale=text_of(error)) or redirect(request.get_full_path())
        except PortalError as error:
            if request.method != "POST":
                raise
            note_refusal(request, error)
            setattr(request, REFUSAL, error)
            response = self._changeform(request, object_id, form_url, extra_context)
            response.status_code = error.http_status
            return response

    def _plan_first(self, request: HttpRequest, object_id: str | None, *, stale: str = "") -> HttpResponse | None:
        """Return the page that shows what saving would do, or None when there is nothing to ask or it was answered."""
        step = request.POST.get("step", "plan")
        if request.method != "POST" or not self.shows_plan or step == "edit":
            return None
        typed = self._typed(request, object_id)
        if typed is None:
            return None
        form, obj = typed
        try:
            look = confirming.look(request, lambda: self.perform(request, obj, form, object_id is not None))
        except PortalError:
            return None  # saving is refused for the same reason, and told at the form
        if step == "confirm" and not stale:
            stale = confirming.moved(look, request)
            if not stale:
                return None
        elif not look.alters and not stale:
            return None
        name = str(form.instance) if object_id else f"this {self.opts.verbose_name}"
        return self.page(
            request,
            "admin/confirm.html",
            title=f"{'Save' if object_id else 'Add'} {name}?",
            status=409 if stale else 200,
            stale=stale,
            effects=self.effects_of_saving(form.instance),
            button="Apply this plan" if look.plan and look.plan.writes else "Save",
            is_form=True,
            back=request.get_full_path(),
            **confirming.context(look, request, typed=True),
        )

    def _typed(self, request: HttpRequest, object_id: str | None) -> tuple[Any, Any] | None:
        """Return the form as it was sent and a row to try the change on; None where Django's own page says no."""
        row = self.get_object(request, unquote(object_id)) if object_id else None
        allowed = self.has_change_permission(request, row) if object_id else self.has_add_permission(request)
        if not allowed or (object_id and row is None):
            return None
        fields = flatten_fieldsets(self.get_fieldsets(request, row))
        form = self.get_form(request, row, change=row is not None, fields=fields)(
            request.POST, request.FILES, instance=row or self.model()
        )
        if not form.is_valid():
            return None
        # A copy: the change is rolled back, but not the ids and times that it leaves at the row.
        return form, copy(self.save_form(request, form, change=row is not None))

    def effects_of_saving(self, row: Any) -> list[str]:
        """Say in sentences what saving `row` does besides what the plan shows."""
        return []

    def _changeform(
        self, request: HttpRequest, object_id: str | None, form_url: str, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        one_button = {"show_save_and_add_another": False, "show_save_and_continue": False}
        response: HttpResponse = super().changeform_view(
            request, object_id, form_url, {**one_button, **(extra_context or {})}
        )
        return response

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form; after a refusal, one that carries it and so is shown again with what was typed."""
        form_class = super().get_form(request, obj, change=change, **kwargs)
        if self.shows_plan and request.POST.get("step") == "edit":
            return _shown_again(form_class)
        refusal: PortalError | None = getattr(request, REFUSAL, None)
        return form_class if refusal is None else _refused(form_class, refusal)

    # --- pages of our own ---

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send to the events about this thing."""
        query = urlencode({"subject_type__exact": self.opts.model_name, "subject_id__exact": object_id})
        return redirect(f"{reverse('admin:roles_auditevent_changelist')}?{query}")

    def page(
        self, request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any
    ) -> TemplateResponse:
        """Return a page in the admin's frame."""
        request.current_app = self.admin_site.name
        return TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "title": title, **context}, status=status
        )

    def row_or_404(self, request: HttpRequest, object_id: int, *, change: bool = False) -> Any:
        """Return the row if this person may view it (or change it); else raise as Django's own views do."""
        row = self.get_object(request, str(object_id))
        if row is None:
            raise Http404(f"There is no {self.opts.verbose_name} {object_id}.")
        allowed = self.has_change_permission if change else self.has_view_or_change_permission
        if not allowed(request, row):
            raise PermissionDenied
        return row

    def ask(
        self,
        request: HttpRequest,
        change: Callable[[], T],
        *,
        done: Callable[[T], HttpResponse],
        back: str,
        asks_reason: bool = True,
        **shown: Any,
    ) -> HttpResponse:
        """Ask once, with the plan of `change`, an operation; on POST do it as it was seen and return `done` of it."""

        def show(look: Look, stale: str) -> HttpResponse:
            reason = request.POST.get("reason", "")
            context = {
                **shown,
                "back": back,
                "asks_reason": asks_reason,
                "reason": reason,
                **confirming.context(look, request),
            }
            return self.page(request, "admin/confirm.html", stale=stale, status=409 if stale else 200, **context)

        is_confirmed = request.method == "POST" and "adopt_next" not in request.POST
        try:
            answer = confirming.asked_or_done(request, change, show=show, is_confirmed=is_confirmed)
        except PortalError as error:
            self.tell_refusal(request, error)
            return redirect(back)
        return answer if isinstance(answer, HttpResponse) else done(answer)

    def tell_refusal(self, request: HttpRequest, error: PortalError) -> None:
        """Record a denial and show the refusal as a message on the next page."""
        note_refusal(request, error)
        messages.error(request, text_of(error))


class ReadOnlyModelAdmin(PortalModelAdmin):
    """Rows that the portal writes and people only read. Counted never, so that long tables stay quick."""

    paginator = InfinitePaginator
    show_facets = ShowFacets.NEVER
    warn_unsaved_form = False
    ordering = ("-id",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse."""
        return False

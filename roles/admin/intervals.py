"""What grants and mappings share in the admin: rows are begun with a form and ended on a page that names the effect."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from unfold.decorators import action

from roles.admin.base import PortalModelAdmin, badge, change_url, moment


class OpenFilter(admin.SimpleListFilter):
    """Open rows unless asked for ended ones."""

    title = "in force"
    parameter_name = "in_force"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Name the choices besides "open"."""
        return [("ended", "Ended"), ("all", "Open and ended")]

    def choices(self, changelist: Any) -> Any:
        """Call the default by what it shows."""
        for number, choice in enumerate(super().choices(changelist)):
            yield {**choice, "display": "Open"} if number == 0 else choice

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Cut the list."""
        if self.value() == "all":
            return queryset
        return queryset.filter(ended_at__isnull=self.value() != "ended")


class IntervalAdmin(PortalModelAdmin):
    """The base for intervals: add with a form, then read only; `end` asks once and calls `perform_end`."""

    actions_detail = ("end",)
    ordering = ("-id",)
    end_label = "End this grant"
    shows_plan = True

    def interval_of(self, row: Any) -> tuple[Any, ...]:
        """Return the fields that tell of the interval: the reason alone for a new row, the end once it ended."""
        if row is None:
            return ("reason",)
        end = (moment("ended_at", "Ended"), "ended_by") if row.ended_at is not None else ()
        return (moment("started_at", "Since"), "started_by", *end, "reason")

    @admin.display(description="In force")
    def display_open(self, obj: Any) -> str:
        """Say whether the row is open."""
        if obj.ended_at is None:
            return badge("done", "Open")
        return badge("removed", "Ended")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: what was granted is not edited but ended, so that the history stays true."""
        return False

    def may_end(self, request: HttpRequest) -> bool:
        """Say whether this person may end rows of this kind."""
        return bool(super().has_change_permission(request))

    def has_end_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Show the button to those who may, while the row is open."""
        if not self.may_end(request):
            return False
        row = self.model._default_manager.filter(pk=object_id).first()
        return row is not None and row.ended_at is None

    @action(description="End", permissions=["end"], icon="block")  # type: ignore[untyped-decorator]
    def end(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Go to the page that asks."""
        return redirect(reverse(f"admin:roles_{self.opts.model_name}_end_confirm", args=[object_id]))

    def get_urls(self) -> list[URLPattern]:
        """Add the page that asks before a row is ended."""
        confirm = path(
            "<int:object_id>/end-this/",
            self.admin_site.admin_view(self.end_view),
            name=f"roles_{self.opts.model_name}_end_confirm",
        )
        return [confirm, *super().get_urls()]

    def effects(self, row: Any) -> list[str]:
        """Say in sentences what ending `row` does."""
        raise NotImplementedError

    def subject(self, row: Any) -> str:
        """Name `row` on the page that asks."""
        return str(row)

    def affected(self, row: Any) -> list[Any]:
        """Return the people who lose something."""
        raise NotImplementedError

    def perform_end(self, request: HttpRequest, row: Any, reason: str) -> Any:
        """Call the operation that ends the row and return what it returns."""
        raise NotImplementedError

    def end_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Ask once, with the effect and the people; end on POST."""
        row = self.row_or_404(request, object_id)
        if not self.may_end(request):
            raise PermissionDenied
        if request.method != "POST" and row.ended_at is not None:
            messages.info(request, f"{row} has ended already.")
            return redirect(change_url(row))

        def done(_ended: Any) -> HttpResponse:
            messages.success(request, f"Ended: {row}. AWS is being brought in line.")
            return redirect(change_url(row))

        people = self.affected(row)
        count = len(people)
        label = f"{self.end_label}: {count} {'person loses' if count == 1 else 'people lose'} it"
        return self.ask(
            request,
            lambda: self.perform_end(request, row, request.POST.get("reason", "").strip()),
            done=done,
            title=f"{self.end_label}?",
            subject=self.subject(row),
            effects=self.effects(row),
            people=people,
            button=label if count else self.end_label,
            back=change_url(row),
        )

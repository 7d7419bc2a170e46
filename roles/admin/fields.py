"""Form fields that look rows up as one types, through the admin's own autocomplete, so that its permissions decide."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelect, AutocompleteSelectMultiple
from django.db import models


class _Placeholder:
    """Show what to choose while nothing is chosen: Django's own widgets always leave that empty."""

    def build_attrs(self, base_attrs: dict[str, Any], extra_attrs: dict[str, Any] | None = None) -> dict[str, Any]:
        attrs: dict[str, Any] = super().build_attrs(base_attrs, extra_attrs)  # type: ignore[misc]  # mixed into widgets
        return {**attrs, "data-placeholder": attrs.pop("placeholder", "")}


class _Select(_Placeholder, AutocompleteSelect):
    pass


class _SelectMany(_Placeholder, AutocompleteSelectMultiple):
    pass


class AutocompleteField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not subscriptable at run time
    """One row. `model` and `name` say which foreign key's target is looked up."""

    def __init__(self, model: type[models.Model], name: str, **kwargs: Any) -> None:
        placeholder = kwargs.pop("placeholder", "")
        widget = _Select(model._meta.get_field(name), admin.site, attrs={"placeholder": placeholder})
        super().__init__(widget=widget, **kwargs)


class AutocompleteManyField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # as above
    """Several rows. `model` and `name` say which many-to-many field's target is looked up."""

    def __init__(self, model: type[models.Model], name: str, **kwargs: Any) -> None:
        placeholder = kwargs.pop("placeholder", "")
        widget = _SelectMany(model._meta.get_field(name), admin.site, attrs={"placeholder": placeholder})
        super().__init__(widget=widget, **kwargs)

"""What a browser fetches to show a page for the first time stays small, and no icon is missing for that."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.urls import reverse

from roles.models import GroupRole, User
from roles.templatetags import xacct_badges
from tests.portal.conftest import signed_in

FIRST_LOAD_MAX_BYTES = 300_000
ICONS = Path(settings.BASE_DIR) / "static/unfold/fonts/material-symbols/icons.txt"
LITERAL_ICON = re.compile(r'material-symbols-outlined[^>]*>\s*([a-z0-9_]+)\s*<|icon="([a-z0-9_]+)"')


def found(url: str) -> Path:
    path = finders.find(url.removeprefix(settings.STATIC_URL))
    assert isinstance(path, str), url
    return Path(path)


def test_the_first_load_of_a_page_is_small(mapping: GroupRole, bob: User) -> None:
    page = signed_in(bob).get(reverse("my_access")).content
    urls = re.findall(r'<(?:script src|link href)="([^"]+)"', page.decode())
    assert any(url.endswith("alpine.js") for url in urls) and any(url.endswith("portal.css") for url in urls)
    fonts = [
        *(found(f"unfold/fonts/inter/Inter-{weight}-Latin.woff2") for weight in ("Regular", "Medium", "SemiBold")),
        found("unfold/fonts/material-symbols/Material-Symbols-Subset.woff2"),
    ]
    size = len(gzip.compress(page)) + sum(len(gzip.compress(found(url).read_bytes())) for url in urls)
    size += sum(font.stat().st_size for font in fonts)
    assert size < FIRST_LOAD_MAX_BYTES


def test_our_fonts_stand_in_the_place_of_unfolds() -> None:
    for url in ("unfold/fonts/inter/styles.css", "unfold/fonts/material-symbols/styles.css"):
        assert found(url).is_relative_to(settings.BASE_DIR / "static")
        for name in re.findall(r'url\("([^"]+)"\)', found(url).read_text()):
            assert found(url.replace("styles.css", name)).is_file()


def test_each_icon_that_is_used_is_in_the_font() -> None:
    have = set(ICONS.read_text().split())
    used = {icon for _tone, icon in xacct_badges._LOOKS.values()}
    for template in Path(settings.BASE_DIR, "templates").rglob("*.html"):
        used |= {name for pair in LITERAL_ICON.findall(template.read_text()) for name in pair if name}
    for group in settings.UNFOLD["SIDEBAR"]["navigation"](None):
        used |= {item["icon"] for item in group["items"]}
    assert len(used) > 20
    assert used - have == set()


def test_each_icon_that_unfolds_styles_draw_is_in_the_font() -> None:
    have = set(ICONS.read_text().split())
    styles = found("unfold/css/styles.css").read_text()
    drawn = set(re.findall(r'content:"([a-z][a-z0-9_]{3,})"', styles))
    assert "calendar_today" in drawn
    assert drawn - have == set()

"""Times and sizes in words, with the exact value on hover."""

from __future__ import annotations

from datetime import datetime

from django import template
from django.template.defaultfilters import date as format_date
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from roles.values.spans import in_minutes

register = template.Library()
register.filter("in_minutes", in_minutes)

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
_STEP = 1024
_SPANS = ((86400, "day"), (3600, "hour"), (60, "minute"))
_JUST_NOW_SECONDS = 10
_LONG_AGO_SECONDS = 30 * 86400
_EXACT = "Y-m-d H:i:s T"
_CLOCK = "H:i:s"


@register.filter
def time_ago(moment: datetime | None) -> SafeString | str:
    """Return a `<time>`: relative in words, the exact time in the person's zone on hover. Empty for None.

    Past and future: "3 minutes ago", "in 2 hours"; a plain date once it is more than 30 days away.
    """
    if moment is None:
        return ""
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), format_date(local, _EXACT), _words(moment)
    )


@register.filter
def exact_time(moment: datetime | None) -> SafeString | str:
    """Return a `<time>` with the exact time in the person's zone. Empty for None."""
    if moment is None:
        return ""
    return format_html(
        '<time datetime="{}">{}</time>', moment.isoformat(), format_date(timezone.localtime(moment), _EXACT)
    )


@register.filter
def clock(moment: datetime) -> SafeString:
    """Return a `<time>` with the time of day in the person's zone, the exact time on hover."""
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        format_date(local, _EXACT),
        format_date(local, _CLOCK),
    )


@register.filter
def local_day(moment: datetime) -> str:
    """Return the day in the person's zone as in a form: `2026-03-14`."""
    return timezone.localtime(moment).date().isoformat()


@register.filter
def binary_size(size: int | None) -> str:
    """Return a size in bytes in binary units.

    >>> binary_size(1536)
    '1.5 KiB'
    """
    if size is None:
        return ""
    amount, unit = float(size), _UNITS[0]
    for unit in _UNITS:
        if amount < _STEP or unit == _UNITS[-1]:
            break
        amount /= _STEP
    return f"{int(amount)} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


@register.filter
def milliseconds(duration: int | None) -> str:
    """Return a duration in milliseconds in words.

    >>> milliseconds(1340)
    '1.3 s'
    """
    if not duration:
        return ""
    return f"{duration} ms" if duration < 1000 else f"{duration / 1000:.1f} s"  # noqa: PLR2004 (a second)


@register.filter
def file_name(key: str) -> str:
    """Return the last part of an object's key or of a folder's prefix.

    >>> file_name("team/raw/")
    'raw'
    """
    return key.rstrip("/").rpartition("/")[2]


@register.filter
def code_in_words(code: str) -> str:
    """Return an event's code as words.

    >>> code_in_words("bucket_grant.ended")
    'bucket grant ended'
    """
    return code.replace("_", " ").replace(".", " ")


def _words(moment: datetime) -> str:
    seconds = (timezone.now() - moment).total_seconds()
    distance = abs(seconds)
    if distance < _JUST_NOW_SECONDS:
        return "just now"
    if distance > _LONG_AGO_SECONDS:
        return format_date(timezone.localtime(moment), "j M Y")
    for span, name in _SPANS:
        if distance >= span:
            count = int(distance // span)
            text = f"{count} {name}{'' if count == 1 else 's'}"
            break
    else:
        text = f"{int(distance)} seconds"
    return f"{text} ago" if seconds > 0 else f"in {text}"

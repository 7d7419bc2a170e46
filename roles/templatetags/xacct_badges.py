"""State badges: one word, one colour, one icon for each state, wherever it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.timesince import timeuntil

from roles.models.choices import MappingState, Outcome, RunStatus, StepAction, StepStatus

register = template.Library()


@dataclass(frozen=True, slots=True)
class Badge:
    """How a state looks. `tone` is one of grey, blue, amber, green, red; `icon` a Material Symbols name."""

    tone: str
    icon: str
    text: str
    spins: bool = False


DISABLED = "disabled"  # of a user group or an account, or what goes through it
_LOOKS: dict[str, tuple[str, str]] = {
    RunStatus.QUEUED: ("grey", "schedule"),
    RunStatus.APPLYING: ("blue", "progress_activity"),
    RunStatus.WAITING: ("amber", "hourglass_top"),
    RunStatus.IN_SYNC: ("green", "check_circle"),
    RunStatus.NEEDS_OWNER: ("amber", "person_alert"),
    RunStatus.FAILED: ("red", "error"),
    MappingState.DRIFTED: ("red", "difference"),
    MappingState.REMOVING: ("blue", "progress_activity"),
    MappingState.REMOVED: ("grey", "block"),
    DISABLED: ("amber", "block"),
    StepStatus.PLANNED: ("grey", "radio_button_unchecked"),
    StepStatus.DONE: ("green", "check_circle"),
    StepAction.CREATE: ("green", "add_circle"),
    StepAction.UPDATE: ("blue", "edit"),
    StepAction.DELETE: ("red", "delete"),
    StepAction.NONE: ("grey", "check"),
    StepAction.VERIFY: ("blue", "verified_user"),
    Outcome.OK: ("green", "check_circle"),
    Outcome.DENIED: ("red", "block"),
}
_TEXTS: dict[str, str] = {
    value: str(label)
    for choices in (StepAction, Outcome, StepStatus, MappingState)
    for value, label in zip(choices.values, choices.labels, strict=True)
} | {DISABLED: "Disabled"}
_SPINNING = {RunStatus.APPLYING, MappingState.REMOVING}
SOON_DAYS = 7


def badge_of(state: str, text: str = "") -> Badge:
    """Return how `state` (a value of the choices in `roles.models.choices`) looks; an unknown one is grey text."""
    tone, icon = _LOOKS.get(state, ("grey", "help"))
    return Badge(tone, icon, text or _TEXTS.get(state, state), spins=state in _SPINNING)


def expiry_badge_of(expires_at: datetime, now: datetime | None = None) -> Badge:
    """Return "Expires in …" or "Expired"; the last week is amber."""
    at = now or timezone.now()
    if expires_at <= at:
        return Badge("red", "timer_off", "Expired")
    soon = (expires_at - at).days < SOON_DAYS
    return Badge("amber" if soon else "grey", "timer", f"Expires in {timeuntil(expires_at, at, depth=1)}")


@register.inclusion_tag("components/badge.html")
def state_badge(state: str, text: str = "", title: str = "") -> dict[str, Any]:
    """Show the badge of a state: `{% state_badge mapping.state %}`."""
    return {"badge": badge_of(state, text), "title": title}


@register.inclusion_tag("components/badge.html")
def expiry_badge(expires_at: datetime | None) -> dict[str, Any]:
    """Show when time-limited access ends, with the exact time on hover; nothing for access without end."""
    if expires_at is None:
        return {"badge": None}
    return {"badge": expiry_badge_of(expires_at), "when": expires_at}


@register.inclusion_tag("components/badge.html")
def plain_badge(text: str, tone: str = "grey", icon: str = "") -> dict[str, Any]:
    """Show a badge that is no state: `{% plain_badge "Adopted" "amber" "handshake" %}`."""
    return {"badge": Badge(tone, icon, text)}


@register.inclusion_tag("components/copyable.html")
def copyable(text: Any, label: str = "") -> dict[str, Any]:
    """Show an ARN or id in monospace with a copy button; `label` names it for screen readers."""
    return {"text": str(text), "label": label or str(text)}

"""What the console's templates say in one way: moments in the reader's zone, numbers, states."""

from collections.abc import Mapping
from datetime import UTC, datetime

from django import template
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

# The colour of each state's label, by unfold's names.
COLOURS = {
    "in step": "success",
    "done": "success",
    "applied": "success",
    "live": "success",
    "ok": "success",
    "pinned": "info",
    "read-only": "info",
    "running": "info",
    "applying": "info",
    "approved": "info",
    "behind": "warning",
    "altered": "warning",
    "waiting": "warning",
    "plan waits": "warning",
    "cached": "warning",
    "mock": "warning",
    "stale": "warning",
    "degraded": "warning",
    "missing": "danger",
    "orphaned": "warning",
    "failed": "danger",
    "down": "danger",
    "destructive": "danger",
    "meaning": "warning",
    "strengthening": "warning",
    "additive": "success",
    "rename": "info",
    "proposed": "warning",
}


@register.filter
def moment(value: datetime | str | None) -> SafeString | str:
    """A moment in UTC that times.js shows in the reader's own zone; nothing for None."""
    found = parse_datetime(value) if isinstance(value, str) else value
    if found is None:
        return ""
    utc = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    return format_html('<time datetime="{}" class="spawn-time">{}</time>', utc.isoformat(), f"{utc:%Y-%m-%d %H:%M:%S} UTC")


@register.filter
def whole(value: float | None) -> str:
    """A whole number with its thousands apart."""
    return "" if value is None else f"{value:,.0f}"


@register.filter
def get(found: Mapping[str, object], key: str) -> object:
    """What a mapping has under a key, or None."""
    return found.get(key)


@register.filter
def share(value: float) -> str:
    """A share of 1 in percent: whole ends are exact, and what is between never looks like one of them."""
    if value in (0, 1):
        return f"{value:.0%}"
    return f"{min(max(value, 0.0001), 0.9999):.2%}"


@register.inclusion_tag("unfold/helpers/label.html")
def state(text: str) -> dict[str, str | None]:
    """A state's word on its colour."""
    return {"text": text, "type": COLOURS.get(text)}

"""Tags of the stock pages: a channel's mark, a bar of the waterfall, addresses that keep their filters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import now as utc_now

from inventory import explain
from inventory.history import Explanation, Step
from inventory.models import OrderLine
from inventory.queries import Mark
from storestudio.accounts.templatetags.studio import quantity, shape, signed

register = template.Library()

KINDS = {
    explain.LOST: "bad",
    explain.DRIFT: "warn",
    explain.BLOCKED: "warn",
    explain.PENDING: "busy",
    explain.PAUSED: "idle",
    explain.UNKNOWN: "idle",
    explain.AGREES: "ok",
    explain.UNLINKED: "idle",
}
WORDS = {
    explain.LOST: "out of contact",
    explain.DRIFT: "drift",
    explain.BLOCKED: "waits for you",
    explain.PENDING: "being told",
    explain.PAUSED: "paused",
    explain.UNKNOWN: "not read yet",
    explain.AGREES: "agrees",
    explain.UNLINKED: "not linked",
}
# What belongs to one answer, not to the filter: dropped from every address built here.
_PASSING = ("after", "before", "seen", "part")


@register.filter
def state_kind(state: str) -> str:
    """The kind of status (ok, warn, bad, busy, idle) of a channel's state."""
    return KINDS[state]


@register.filter
def state_word(state: str) -> str:
    """The word for a channel's state."""
    return WORDS[state]


@register.simple_tag
def channel_mark(mark: Mark, variant_id: int) -> SafeString:
    """A channel in a stock row: its shape and the number it shows, or the one word that matters more."""
    word = WORDS[mark.state]
    kind = KINDS[mark.state]
    if mark.state == explain.UNLINKED:
        return format_html('<span class="mark mark-off">{}</span>', word)
    return format_html(
        '<span class="mark mark-{}" title="{}: {}">{}<span data-moves="{}">{}</span>'
        '<span class="visually-hidden"> {}</span>{}</span>',
        kind,
        mark.channel.label,
        mark.words,
        shape(kind),
        f"c{mark.channel.connection_id}-{variant_id}",
        quantity(mark.shown),
        word,
        _besides(mark),
    )


def _besides(mark: Mark) -> SafeString | str:
    """By how much a drifting channel is off; what a pending one is being told."""
    if mark.state == explain.DRIFT and mark.difference:
        return format_html('<span class="mark-by">{}</span>', signed(mark.difference))
    if mark.state == explain.PENDING and mark.desired is not None:
        return format_html(
            '<span class="mark-by"><span class="arrow" aria-hidden="true">→</span>{}</span>',
            quantity(mark.desired),
        )
    if mark.state in (explain.LOST, explain.BLOCKED):
        return format_html('<span class="mark-by">{}</span>', WORDS[mark.state])
    return ""


@register.simple_tag
def bar(step: Step, why: Explanation) -> SafeString:
    """One bar of the waterfall, on the scale of all of them; the numbers beside it say the same."""
    low, high = why.span
    reach = (high - low) or Decimal(1)
    scale = Decimal(100) / reach
    kind = "total" if step.is_total else "up" if step.amount >= 0 else "down"
    if step.is_total and step.amount < 0:
        kind = "below"
    return format_html(
        '<svg class="fall" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<line class="fall-zero" x1="{0}" x2="{0}" y1="0" y2="10"/>'
        '<rect class="fall-{1}" x="{2}" y="1" width="{3}" height="8"/></svg>',
        f"{(0 - low) * scale:.2f}",
        kind,
        f"{(step.low - low) * scale:.2f}",
        f"{max((step.high - step.low) * scale, Decimal('0.6')):.2f}",
    )


@register.simple_tag(takes_context=True)
def address(context: template.Context, **changes: Any) -> str:
    """The page's own address with some of its query changed; None or "" takes a part out. Paging starts anew."""
    query = context["request"].GET.copy()
    for name in _PASSING:
        query.pop(name, None)
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    text = query.urlencode()
    path: str = context["request"].path
    return f"{path}?{text}" if text else path


@register.simple_tag(takes_context=True)
def look(context: template.Context, part: str, digest: str) -> str:
    """Where a living part looks for news of itself: this very page, this part, unless it is still as `digest`."""
    query = context["request"].GET.copy()
    query.pop("seen", None)
    query["part"] = part
    return f"{context['request'].path}?{query.urlencode()}&seen={digest}"


@register.filter
def day(when: date | None) -> str:
    """A day as people say it: “Thu 3 Dec”, with the year where it is another one."""
    if when is None:
        return ""
    return f"{when:%a} {when.day} {when:%b}" + (f" {when.year}" if when.year != utc_now().year else "")


@register.filter
def at(rows: Sequence[Any], place: int) -> Any:
    """rows|at:0: one of a list."""
    return rows[place]


@register.simple_tag(takes_context=True)
def local_input(context: template.Context, when: datetime | None) -> str:
    """An instant as a date-time field wants it, in the shop's zone."""
    return when.astimezone(ZoneInfo(context["merchant"].timezone)).strftime("%Y-%m-%dT%H:%M:%S") if when else ""


@register.simple_tag
def held_of(line: OrderLine, name: str) -> Decimal:
    """The sum of one kind of hold over all places of an order line, in units."""
    return sum((getattr(hold, name) for hold in line.holds.all()), Decimal(0))


@register.simple_tag(takes_context=True)
def sort_link(context: template.Context, name: str, label: str, current: str) -> SafeString:
    """A table head that sorts; pressed again, the other way round. The arrow shows which way it is sorted now."""
    arrow = {name: "↑", f"-{name}": "↓"}.get(current, "")
    there = address(context, sort=f"-{name}" if current == name else name)
    shown = format_html('<span aria-hidden="true">{}</span>', arrow) if arrow else ""
    return format_html('<a class="sort" href="{}">{}{}</a>', there, label, shown)

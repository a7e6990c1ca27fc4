"""Filters and tags for every page: quantities, ages, icons, statuses, charts; see docs/design.md."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import template
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import now as utc_now

register = template.Library()

MINUS = "−"
THIN_SPACE = "\u202f"
NO_BREAK = "\u00a0"
Number = Decimal | int | float


@register.filter
def quantity(value: Number | None) -> str:
    """Units as people write them: no needless zeros, a true minus; “–” for unknown, which is not 0."""
    if value is None or value == "":
        return "–"
    number = Decimal(str(value)).quantize(Decimal("0.00001")).normalize()
    text = f"{abs(number):,f}".replace(",", THIN_SPACE)
    return MINUS + text if number < 0 else text


@register.filter
def signed(value: Number | None) -> str:
    """A change: +3, −2, 0."""
    text = quantity(value)
    return f"+{text}" if value and value > 0 else text


@register.filter
def duration(seconds: Number | timedelta | None) -> str:
    """A span of time in two digits or so: 340 ms, 1.8 s, 42 s, 3 min, 5 h, 2 days; “–” for unknown."""
    if seconds is None or seconds == "":  # "" is what a template makes of a missing attribute
        return "–"
    span = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if span < 1:
        return f"{max(span, 0) * 1000:.0f}{NO_BREAK}ms"
    if span < 9.95:
        return f"{span:.1f}{NO_BREAK}s"
    if span < 90:
        return f"{span:.0f}{NO_BREAK}s"
    if span < 90 * 60:
        return f"{span / 60:.0f}{NO_BREAK}min"
    if span < 36 * 3600:
        return f"{span / 3600:.0f}{NO_BREAK}h"
    return f"{span / 86400:.0f}{NO_BREAK}days"


@register.filter
def money(value: Decimal | None, currency: str = "") -> str:
    """An amount with its currency."""
    return "–" if value is None else f"{value:,.2f}{NO_BREAK}{currency}".replace(",", THIN_SPACE).strip()


def age_words(*, then: datetime, now: datetime) -> str:
    """How long ago (or until), in words; below 5 s the exact second is noise."""
    seconds = (now - then).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    whole = abs(int(seconds))
    words = f"{whole}{NO_BREAK}s" if whole < 10 else duration(whole)
    return f"{words} ago" if seconds > 0 else f"in {words}"


@register.simple_tag(takes_context=True)
def ago(context: template.Context, when: datetime | None, never: str = "never") -> SafeString | str:
    """{% ago when %}: a relative time that keeps itself current; the absolute one on hover."""
    if when is None:
        return never
    zone = _zone(context)
    local = when.astimezone(zone)
    return format_html(
        '<time datetime="{}" title="{}" data-ago>{}</time>',
        when.astimezone(UTC).isoformat(timespec="seconds"),
        f"{local:%a %d %b %Y, %H:%M:%S} {local.tzname()}",
        age_words(then=when, now=utc_now()),
    )


@register.simple_tag(takes_context=True)
def moment(context: template.Context, when: datetime | None, style: str = "%d %b, %H:%M:%S") -> SafeString | str:
    """{% moment when %}: an absolute time in the shop's zone."""
    if when is None:
        return "–"
    local = when.astimezone(_zone(context))
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        when.astimezone(UTC).isoformat(timespec="milliseconds"),
        f"{local:%a %d %b %Y, %H:%M:%S} {local.tzname()}",
        local.strftime(style),
    )


def _zone(context: template.Context) -> ZoneInfo:
    """The shop's zone where the page is a shop's, else UTC."""
    merchant = context.get("merchant")
    return ZoneInfo(merchant.timezone) if merchant else ZoneInfo("UTC")


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """{% icon "search" %}: a drawing from static/img/icons.svg; never the only carrier of a meaning."""
    classes = f"icon icon-{size}" if size else "icon"
    return format_html(
        '<svg class="{}" viewBox="0 0 24 24" aria-hidden="true"><use href="{}#{}"></use></svg>',
        classes,
        static("img/icons.svg"),
        name,
    )


# Shapes differ so that colour is never needed: disc, triangle, square on its corner, half disc, ring.
SHAPES = {
    "ok": '<circle cx="6" cy="6" r="4.5" fill="currentColor"/>',
    "warn": '<path d="M6 1 11.4 10.5H.6Z" fill="currentColor"/>',
    "bad": '<path d="M6 .4 11.6 6 6 11.6 .4 6Z" fill="currentColor"/>',
    "busy": '<circle cx="6" cy="6" r="4.5" fill="none" stroke="currentColor" stroke-width="1.6"/>'
    '<path d="M6 1.5a4.5 4.5 0 0 1 0 9Z" fill="currentColor"/>',
    "idle": '<circle cx="6" cy="6" r="4.2" fill="none" stroke="currentColor" stroke-width="1.8"/>',
}


@register.simple_tag
def shape(kind: str) -> SafeString:
    """Only the shape of a status; put its word beside it."""
    return format_html(
        '<svg class="status-shape" viewBox="0 0 12 12" aria-hidden="true">{}</svg>',
        mark_safe(SHAPES[kind]),  # noqa: S308  our own drawings, keyed above
    )


@register.simple_tag
def status(kind: str, word: str, pill: bool = False) -> SafeString:
    """{% status "warn" "Drift +2" %}: shape, word and colour; kind is ok, warn, bad, busy or idle."""
    classes = f"status status-{kind} pill" if pill else f"status status-{kind}"
    return format_html('<span class="{}">{}{}</span>', classes, shape(kind), word)


@register.simple_tag
def sparkline(values: Sequence[Number | None], label: str = "", kind: str = "ok", peak: float = 0) -> SafeString:
    """{% sparkline values "Lag over the last hour" %}: a line of numbers oldest first; None leaves a gap.

    The scale starts at zero, so that small is seen to be small; `peak` fixes its top, to compare lines. Gaps of a
    few points are bridged: a minute without a sale says nothing about the lag.
    """
    known = [float(value) for value in values if value is not None]
    if not known:
        return format_html('<span class="small muted">{}</span>', "no data yet")
    top = max(peak, *known) or 1.0
    step = 100 / max(len(values) - 1, 1)
    points = [
        None if value is None else (round(index * step, 1), round(26 - 24 * max(float(value), 0) / top, 1))
        for index, value in enumerate(values)
    ]
    return format_html(
        '<svg class="spark spark-{}" viewBox="0 0 100 28" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">'
        '<path class="spark-area" d="{}"/><path class="spark-line" d="{}"/></svg>',
        kind,
        label or "Trend",
        " ".join(_area(run) for run in _runs(points)),
        " ".join(_line(run) for run in _runs(points)),
    )


Point = tuple[float, float]
BRIDGED_MAX = 5


def _runs(points: Sequence[Point | None]) -> list[list[Point]]:
    """Stretches whose gaps are short."""
    runs: list[list[Point]] = []
    last = 0
    for index, point in enumerate(points):
        if point is None:
            continue
        if not runs or index - last > BRIDGED_MAX:
            runs.append([])
        runs[-1].append(point)
        last = index
    return runs


def _line(run: Sequence[Point]) -> str:
    """The path through a stretch; a lone point becomes a short dash."""
    if len(run) == 1:
        x, y = run[0]
        return f"M{max(x - 1, 0):g} {y:g}H{min(x + 1, 100):g}"
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in run)


def _area(run: Sequence[Point]) -> str:
    """What lies under a stretch."""
    if len(run) == 1:
        return ""
    return f"{_line(run)}L{run[-1][0]:g} 27L{run[0][0]:g} 27Z"


@register.simple_tag
def meter(value: Number, top: Number, label: str, kind: str = "") -> SafeString:
    """{% meter done total "12 of 40 applied" %}: a bar; the label says it in words."""
    share = min(max(float(value) / float(top), 0), 1) * 100 if top else 0
    return format_html(
        '<svg class="meter{}" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect width="{}" height="1"/></svg>',
        f" meter-{kind}" if kind else "",
        label,
        f"{share:.1f}",
    )


@register.filter
def attribute(row: Any, name: str) -> Any:
    """row|attribute:"key": a mapping's value by a name held in a variable."""
    return row.get(name) if hasattr(row, "get") else getattr(row, name, None)


@register.simple_tag(takes_context=True)
def rail_link(context: template.Context, name: str, words: str, drawing: str, count: int = 0) -> SafeString | str:
    """One line of the rail, marked where we are; nothing at all while no page has that name."""
    try:
        address = reverse(name, args=[context["merchant"].slug])
    except NoReverseMatch:
        return ""
    path = context["request"].path
    is_here = path == address or (name != "today" and path.startswith(address))
    return format_html(
        '<li><a href="{}"{}>{}<span>{}</span>{}</a></li>',
        address,
        mark_safe(' aria-current="page"') if is_here else "",
        icon(drawing),
        words,
        format_html('<span class="nav-count">{}<span class="visually-hidden"> need you</span></span>', count)
        if count
        else "",
    )


@register.simple_tag(takes_context=True)
def now_in_shop(context: template.Context, style: str) -> str:
    """{% now_in_shop "%A %d %B" %}: the date or time it is where the shop is."""
    return utc_now().astimezone(_zone(context)).strftime(style)


@register.simple_tag
def hours(values: Sequence[Number], peak: Number) -> SafeString:
    """{% hours values peak %}: a bar for each hour of a day so far; the hours to come are left free."""
    top = float(peak) or 1.0
    bars = format_html_join(
        "",
        '<rect x="{}" y="{}" width="3.2" height="{}" rx=".8"/>',
        [
            (round(index * 100 / 24 + 0.4, 1), round(28 - height, 1), round(height, 1))
            for index, value in enumerate(values)
            if (height := max(26 * float(value) / top, 1.5 if value > 0 else 0)) > 0
        ],
    )
    best = max(range(len(values)), key=lambda index: values[index], default=0)
    words = f"Most between {best}:00 and {best + 1}:00" if any(values) else "None yet"
    return format_html(
        '<svg class="hours" viewBox="0 0 100 28" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path class="hours-base" d="M0 27.7H100"/>{}</svg>',
        words,
        bars,
    )

"""Charts of lag: drawn on the server as SVG, named in words, with a table behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import template

from channels.health import Charted, Spread
from storestudio.accounts.templatetags.studio import duration

register = template.Library()

WIDTH, HEIGHT = 600, 120
FLOOR_S = 0.01
MARK_WORDS = {
    0.01: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 100: "100 s", 1000: "17 min", 10_000: "3 h", 100_000: "28 h"
}  # fmt: skip


@dataclass(frozen=True)
class Bar:
    """One bin: a bar from the median up to p99, with a mark at the median. In units of the drawing."""

    x: float
    top: float
    height: float
    median: float
    words: str


@register.inclusion_tag("channels/_lag_chart.html", takes_context=True)
def lag_chart(context: template.Context, charted: Charted) -> dict[str, Any]:
    """{% lag_chart charted %}: seconds on a logarithmic scale, for a lag of 0.1 s and one of 10 s both matter."""
    merchant = context.get("merchant")
    zone = ZoneInfo(merchant.timezone if merchant else "UTC")
    marks = _marks([one for one in charted.bins if one is not None])
    starts = [charted.since + index * charted.width for index in range(len(charted.bins))]
    end = charted.since + len(charted.bins) * charted.width
    return {
        "charted": charted,
        "bars": _bars(charted, starts=starts, marks=marks, zone=zone),
        "marks": [MARK_WORDS[mark] for mark in reversed(marks)],
        "grid": [round(HEIGHT * step / (len(marks) - 1), 1) for step in range(1, len(marks) - 1)],
        "width": WIDTH,
        "height": HEIGHT,
        "bar_width": round(WIDTH / len(charted.bins) * 0.7, 1),
        "times": [moment.astimezone(zone) for moment in (charted.since, starts[len(starts) // 2], end)],
        "rows": [
            (start.astimezone(zone), spread) for start, spread in zip(starts, charted.bins, strict=True) if spread
        ][::-1],
    }


def _marks(known: Sequence[Spread]) -> list[float]:
    """The decades that all values fit between; always 0.1 s to 10 s at least."""
    lowest = min((spread.p50 for spread in known), default=1.0)
    highest = max((spread.p99 for spread in known), default=1.0)
    decades = list(MARK_WORDS)
    first = 0 if lowest < 0.1 else 1
    last = next((index for index, mark in enumerate(decades) if mark >= highest), len(decades) - 1)
    return decades[first : max(last, 3) + 1]


def _bars(charted: Charted, *, starts: Sequence[datetime], marks: Sequence[float], zone: ZoneInfo) -> list[Bar]:
    step = WIDTH / len(charted.bins)

    def height_of(seconds: float) -> float:
        low, high = math.log10(marks[0]), math.log10(marks[-1])
        share = (math.log10(max(seconds, FLOOR_S)) - low) / (high - low)
        return round(HEIGHT * (1 - min(max(share, 0), 1)), 1)

    bars = []
    for index, spread in enumerate(charted.bins):
        if spread is None:
            continue
        top, median = height_of(spread.p99), height_of(spread.p50)
        words = (
            f"{starts[index].astimezone(zone):%H:%M} half within {duration(spread.p50)}, "
            f"99 % within {duration(spread.p99)}, {spread.count} times"
        )
        bars.append(
            Bar(
                x=round(index * step, 1),
                top=top,
                height=round(max(median - top, 1), 1),
                median=min(median, HEIGHT - 2),
                words=words,
            )
        )
    return bars

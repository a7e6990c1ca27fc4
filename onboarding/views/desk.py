"""What the two cleanup desks share: things side by side, evidence as a waterfall, answers to keystrokes, their time."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from typing import Any, ParamSpec

from django.http import HttpResponse, HttpResponseBase
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from onboarding.views import marking

COLUMNS_MAX = 3  # more things stand better as the rows of a table
ROWS_A_PAGE = 40
MINUS = "−"
Parameters = ParamSpec("Parameters")
Json = Mapping[str, Any]
# From this probability on, in these words.
VERDICTS = ((0.995, "certain"), (0.95, "very likely"), (0.8, "likely"), (0.5, "perhaps"), (0.0, "doubtful"))


def timed(view: Callable[Parameters, HttpResponseBase]) -> Callable[Parameters, HttpResponseBase]:
    """Tell in `Server-Timing` how many milliseconds the answer took, and how many this thread worked. Outermost."""

    @wraps(view)
    def clocked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> HttpResponseBase:
        start, worked = time.perf_counter(), time.thread_time()
        response = view(*args, **kwargs)
        took, worked = time.perf_counter() - start, time.thread_time() - worked
        response["Server-Timing"] = f"desk;dur={took * 1000:.1f}, cpu;dur={worked * 1000:.1f}"
        return response

    return clocked


def part(name: str, html: SafeString, **data: object) -> SafeString:
    """A part of an answer; `data` become data- attributes, those that are false left out."""
    said = format_html_join("", ' data-{}="{}"', [(key, value) for key, value in data.items() if value])
    return format_html('<template data-part="{}"{}>{}</template>', name, said, html)


def answer(
    *, outcome: str, words: str, gone: Sequence[int] = (), parts: Sequence[SafeString], reload: str = ""
) -> HttpResponse:
    """What desk.js takes apart: how it ended, in words, which items are not asked any more, and parts of the page.

    `reload`: so much has changed that the page at this address must be read anew.
    """
    return HttpResponse(
        format_html(
            '<div data-outcome="{}" data-words="{}" data-gone="{}" data-reload="{}">{}</div>',
            outcome,
            words,
            " ".join(map(str, gone)),
            reload,
            format_html_join("", "{}", [(one,) for one in parts]),
        )
    )


def whole(amount: float) -> str:
    """A whole amount with thin spaces: 12 400; "" for nothing."""
    return f"{amount:,.0f}".replace(",", "\u202f") if amount >= 1 else ""


def stamp(*facts: object) -> str:
    """A short mark of what a person saw; an answer to something else is asked again."""
    return hashlib.blake2s(json.dumps(facts, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class Run:
    """Looking anew in the background: under way, or when it was last done."""

    is_waiting: bool
    stage: str = ""
    done: int = 0
    total: int = 0
    at: datetime | None = None
    error: str = ""


@dataclass(frozen=True)
class Cell:
    """One fact of one thing, its differences from the first thing marked."""

    html: SafeString
    is_known: bool
    differs: bool


@dataclass(frozen=True)
class Line:
    """One kind of fact over all things."""

    name: str
    label: str
    cells: Sequence[Cell]

    @property
    def agrees(self) -> bool:
        """Whether it says the same for all."""
        return len(self.cells) > 1 and not any(cell.differs for cell in self.cells)


@dataclass(frozen=True)
class Thing:
    """One of the things compared: a variant, a listing, a value."""

    number: int
    key: str
    kind: str
    name: str
    url: str = ""
    is_excluded: bool = False
    can_be_excluded: bool = False


@dataclass(frozen=True)
class Compared:
    """Things side by side: as columns where they are few, else as rows."""

    things: Sequence[Thing]
    lines: Sequence[Line]
    is_wide: bool

    @property
    def rows(self) -> Sequence[tuple[Thing, Sequence[tuple[Line, Cell]]]]:
        """The same, a thing a row."""
        return [(thing, [(line, line.cells[place]) for line in self.lines]) for place, thing in enumerate(self.things)]


def compare(things: Sequence[Thing], facts: Sequence[tuple[str, str, Sequence[str]]]) -> Compared:
    """`facts`: (name, label, one text a thing). A fact that nothing has is left out.

    Two things are marked against each other; of more, each against the first.
    """
    lines = [
        Line(name, label, _cells(values)) for name, label, values in facts if any(value.strip() for value in values)
    ]
    return Compared(things, lines, is_wide=len(things) > COLUMNS_MAX or any(one.kind == "Value" for one in things))


def _cells(values: Sequence[str]) -> list[Cell]:
    if not values:
        return []
    first = values[0]
    others = [one for one in values[1:] if one]
    cells = [Cell(_marked(first, others[0] if others and len(values) == 2 else first), bool(first), False)]
    cells += [
        Cell(_marked(value, first or value), bool(value), bool(first and value) and value != first)
        for value in values[1:]
    ]
    if len(values) == 2 and cells[1].differs:
        cells[0] = Cell(cells[0].html, cells[0].is_known, True)
    return cells


def _marked(value: str, other: str) -> SafeString:
    return marking.html(marking.against(value, other))


@dataclass(frozen=True)
class Step:
    """One piece of evidence: its words, its weight as people read it, and its bar from sum to sum."""

    words: str
    weight: str
    is_for: bool
    start: float
    width: float


@dataclass(frozen=True)
class Waterfall:
    """Evidence as steps that add up; `zero` and `total` are places on the same scale of 0 to 100."""

    steps: Sequence[Step] = ()
    zero: float = 0.0
    total: str = ""
    total_start: float = 0.0
    total_width: float = 0.0
    is_for: bool = True
    verdict: str = ""
    percent: str = ""
    sentence: str = field(default="")


def waterfall(evidence: Iterable[Sequence[Any]], *, confidence: float) -> Waterfall:
    """The evidence in words and weights, adding up to the verdict."""
    items = [(str(words), float(weight)) for words, weight in evidence]
    sums = [0.0]
    for _, weight in items:
        sums.append(sums[-1] + weight)
    low, high = min(sums), max(sums)
    scale = 100 / ((high - low) or 1.0)
    steps = [
        Step(
            words=words,
            weight=weighed(weight),
            is_for=weight >= 0,
            start=round((min(before, after) - low) * scale, 2),
            width=round(max(abs(after - before) * scale, 0.8), 2),
        )
        for (words, weight), before, after in zip(items, sums, sums[1:], strict=False)
    ]
    verdict = verdict_of(confidence)
    told = " · ".join(f"{step.words} {step.weight}" for step in steps)
    return Waterfall(
        steps=steps,
        zero=round(-low * scale, 2),
        total=weighed(sums[-1]),
        total_start=round((min(0.0, sums[-1]) - low) * scale, 2),
        total_width=round(max(abs(sums[-1]) * scale, 0.8), 2),
        is_for=sums[-1] >= 0,
        verdict=verdict,
        percent=percent(confidence),
        sentence=f"{told} → {verdict}" if told else verdict,
    )


def verdict_of(probability: float) -> str:
    """A probability in a word or two."""
    return next(words for least, words in VERDICTS if probability >= least)


def percent(probability: float) -> str:
    """Cut, never rounded up: 99.97 % is not 100 %."""
    digits = 1 if probability > 0.99 else 0
    cut = math.floor(probability * 100 * 10**digits + 1e-9) / 10**digits
    return f"{cut:g}\u202f%"


def weighed(weight: float) -> str:
    """+12, −2, +0.4."""
    size = abs(round(weight, 1))
    text = f"{size:.0f}" if size >= 10 or size == int(size) else f"{size:.1f}"
    return f"{MINUS if weight < 0 else '+'}{text}"

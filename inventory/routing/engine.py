"""Which places ship an order: every way to do it, narrowed rule by rule until one is left. Plain values, no database.

A plan says what leaves from where. The rules of a shop are an order of preference: each keeps the plans that it likes
best of those still there, or abstains where it knows nothing; the first that does not tie decides. What each one said
is kept as the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from itertools import permutations
from math import asin, cos, radians, sin, sqrt
from zoneinfo import ZoneInfo

ZERO = Decimal(0)
EARTH_KM = 6371.0
PLACES_AT_ONCE_MAX = 3  # a parcel more than that and nobody is served
CANDIDATES_MAX = 12  # places considered for splits: the best by rank; single places are always all considered


@dataclass(frozen=True)
class Point:
    """Degrees."""

    latitude: float
    longitude: float


@dataclass(frozen=True)
class Place:
    """A place that can ship. `rank`: 1 is liked best. `orders_left`: how many more today; None without a limit."""

    id: int
    name: str
    is_warehouse: bool = False
    rank: int = 100
    point: Point | None = None
    orders_left: int | None = None
    ships_until: time | None = None  # the day's last parcel, local time
    timezone: str = "UTC"


@dataclass(frozen=True)
class Question:
    """What is wanted (units by variant), what each place can give (units by variant), where to, and when asked.

    `used`: places that ship another part of the order already; they are among those that share it.
    """

    wanted: Mapping[int, Decimal]
    offered: Mapping[int, Mapping[int, Decimal]]
    destination: Point | None
    asked_at: datetime
    used: frozenset[int] = frozenset()


@dataclass(frozen=True, order=True)
class Take:
    """Units of one variant that leave from one place."""

    place_id: int
    variant_id: int
    quantity: Decimal


@dataclass(frozen=True)
class Plan:
    """One way to ship all of it."""

    takes: tuple[Take, ...]

    @property
    def place_ids(self) -> tuple[int, ...]:
        """The places that ship, each once."""
        return tuple(dict.fromkeys(take.place_id for take in self.takes))


class Rule(StrEnum):
    """What a shop can prefer by."""

    COMPLETE = "complete"
    CLOSEST = "closest"
    FEWEST = "fewest_splits"
    WAREHOUSE = "warehouse_first"
    RANKING = "ranking"
    CAPACITY = "capacity"
    CUT_OFF = "cut_off"


@dataclass(frozen=True)
class Step:
    """What one rule said: `kept` of `considered` plans; `words` name the best and what it was better than."""

    rule: str
    words: str
    considered: int
    kept: int


@dataclass(frozen=True)
class Decision:
    """The plan chosen, None where no plan gives everything, and how it came about."""

    plan: Plan | None
    steps: Sequence[Step]


@dataclass(frozen=True)
class _Verdict:
    """What a rule thinks of a plan: less is better."""

    score: float
    words: str


_Judge = Callable[[Plan, Question, Mapping[int, Place]], "_Verdict | None"]


def decide(*, question: Question, places: Sequence[Place], rules: Sequence[str], places_max: int) -> Decision:
    """Choose by these rules, in this order; `places_max` places may share an order (1: never split).

    Plans that no rule tells apart: the place with the better rank, then the older one.
    """
    by_id = {place.id: place for place in places}
    left = plans(question=question, places=places, places_max=places_max)
    steps: list[Step] = []
    for rule in rules:
        if len(left) < 2:
            break
        before = len(left)
        left, words = _narrow(left, _JUDGES[Rule(rule)], question, by_id)
        steps.append(Step(rule=rule, words=words, considered=before, kept=len(left)))
    if not left:
        return Decision(plan=None, steps=steps)
    best = min(left, key=lambda plan: [(by_id[place].rank, place) for place in plan.place_ids])
    return Decision(plan=best, steps=steps)


def plans(*, question: Question, places: Sequence[Place], places_max: int) -> list[Plan]:
    """Every plan that gives all that is wanted, with no place that gives nothing; single places first."""
    ranked = sorted(places, key=lambda place: (place.rank, place.id))
    useful = [place.id for place in ranked if _gives_any(question, place.id)]
    found: dict[Plan, None] = {}
    for size in range(1, min(places_max, PLACES_AT_ONCE_MAX) + 1):
        for order in permutations(useful if size == 1 else useful[:CANDIDATES_MAX], size):
            if len(question.used.union(order)) > max(places_max, len(question.used)):
                continue
            plan = _fill(question, order)
            if plan is not None:
                found.setdefault(plan)
    return list(found)


def _gives_any(question: Question, place_id: int) -> bool:
    offered = question.offered.get(place_id, {})
    return any(offered.get(variant_id, ZERO) > 0 for variant_id in question.wanted)


def _fill(question: Question, order: Sequence[int]) -> Plan | None:
    """Take from the places in this order, each variant from one place where one has enough; None if it falls short."""
    takes: list[Take] = []
    for variant_id, wanted in sorted(question.wanted.items()):
        here = {place: question.offered.get(place, {}).get(variant_id, ZERO) for place in order}
        whole = next((place for place in order if here[place] >= wanted), None)
        missing = wanted
        for place in [whole] if whole is not None else order:
            units = min(missing, here[place])
            if units > 0:
                takes.append(Take(place, variant_id, units))
                missing -= units
        if missing > 0:
            return None
    plan = Plan(tuple(sorted(takes)))
    return plan if len(plan.place_ids) == len(order) else None


def _narrow(
    left: Sequence[Plan], judge: _Judge, question: Question, places: Mapping[int, Place]
) -> tuple[list[Plan], str]:
    verdicts = [(plan, judge(plan, question, places)) for plan in left]
    known = [(plan, verdict) for plan, verdict in verdicts if verdict is not None]
    if not known:
        return list(left), "abstains: it knows nothing about this order"
    known.sort(key=lambda pair: pair[1].score)  # stable: equals stay in the order of the places
    plan, best = known[0]
    kept = [other for other, verdict in known if verdict.score == best.score]
    if len(kept) == len(left):
        return kept, f"all alike: {best.words}"
    words = f"{_names(plan, places)}: {best.words}"
    if len(kept) < len(known):
        rival, second = known[len(kept)]
        words += f"; {_names(rival, places)}: {second.words}"
    return kept, words


def _names(plan: Plan, places: Mapping[int, Place]) -> str:
    return " + ".join(places[place].name for place in plan.place_ids)


def _complete(plan: Plan, question: Question, places: Mapping[int, Place]) -> _Verdict:
    whole = len(question.used.union(plan.place_ids)) == 1
    return _Verdict(0 if whole else 1, "all from one place" if whole else "in parts")


def _fewest(plan: Plan, question: Question, places: Mapping[int, Place]) -> _Verdict:
    parcels = len(question.used.union(plan.place_ids))
    return _Verdict(parcels, "1 parcel" if parcels == 1 else f"{parcels} parcels")


def _closest(plan: Plan, question: Question, places: Mapping[int, Place]) -> _Verdict | None:
    if question.destination is None:
        return None
    points = [places[place].point for place in plan.place_ids]
    known = [point for point in points if point is not None]
    if len(known) < len(points):
        return None
    km = sum(distance_km(point, question.destination) for point in known)
    return _Verdict(round(km, 1), f"{km:.0f} km" if km >= 10 else f"{km:.1f} km")


def _warehouse(plan: Plan, question: Question, places: Mapping[int, Place]) -> _Verdict:
    units = sum((take.quantity for take in plan.takes if not places[take.place_id].is_warehouse), ZERO)
    return _Verdict(float(units), "from the warehouse" if not units else f"{units.normalize():f} from a shop's shelf")


def _ranking(plan: Plan, question: Question, places: Mapping[int, Place]) -> _Verdict:
    worst = max(places[place].rank for place in plan.place_ids)
    return _Verdict(worst, f"rank {worst}")


def _capacity(plan: Plan, question: Question, places: Mapping[int, Place]) -> _Verdict | None:
    limits = [places[place].orders_left for place in plan.place_ids]
    if all(place.orders_left is None for place in places.values()):
        return None
    is_full = any(left is not None and left <= 0 for left in limits)
    return _Verdict(int(is_full), "no room left today" if is_full else "room left today")


def _cut_off(plan: Plan, question: Question, places: Mapping[int, Place]) -> _Verdict | None:
    if all(place.ships_until is None for place in places.values()):
        return None
    is_late = any(_is_past_cut_off(places[place], question.asked_at) for place in plan.place_ids)
    return _Verdict(int(is_late), "ships tomorrow" if is_late else "ships today")


def _is_past_cut_off(place: Place, at: datetime) -> bool:
    return place.ships_until is not None and at.astimezone(ZoneInfo(place.timezone)).time() > place.ships_until


def distance_km(one: Point, other: Point) -> float:
    """Along a great circle."""
    lat, other_lat = radians(one.latitude), radians(other.latitude)
    lat_by, lon_by = other_lat - lat, radians(other.longitude - one.longitude)
    half = sin(lat_by / 2) ** 2 + cos(lat) * cos(other_lat) * sin(lon_by / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(half)))


_JUDGES: Mapping[Rule, _Judge] = {
    Rule.COMPLETE: _complete,
    Rule.CLOSEST: _closest,
    Rule.FEWEST: _fewest,
    Rule.WAREHOUSE: _warehouse,
    Rule.RANKING: _ranking,
    Rule.CAPACITY: _capacity,
    Rule.CUT_OFF: _cut_off,
}

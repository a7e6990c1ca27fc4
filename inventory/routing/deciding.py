"""A shop's routing: its rules, the choice for one order with its reasons kept, and other rules on past orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count, Q

from inventory.models import Location, OrderHold, RoutingDecision, RoutingPolicy
from inventory.routing import engine
from inventory.routing.engine import Decision, Place, Plan, Point, Question, Rule, Step, Take
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant, User

DEFAULT_RULES = (Rule.CAPACITY, Rule.COMPLETE, Rule.CLOSEST, Rule.RANKING)
LABELS = {
    Rule.COMPLETE: "Everything from one place",
    Rule.CLOSEST: "Closest to the customer",
    Rule.FEWEST: "Fewest parcels",
    Rule.WAREHOUSE: "Warehouse before shops",
    Rule.RANKING: "Your ranking of places",
    Rule.CAPACITY: "Room left today",
    Rule.CUT_OFF: "Ships today",
}
REPLAYED_MAX = 2_000
REPLAYED_FOR = timedelta(days=30)


@dataclass(frozen=True)
class Policy:
    """The rules of a shop, most important first, and how many places may share an order."""

    rules: tuple[str, ...] = DEFAULT_RULES
    places_max: int = 1


@dataclass(frozen=True)
class Changed:
    """A past order that other rules would have sent from elsewhere."""

    decision: RoutingDecision
    before: str
    after: str


@dataclass(frozen=True)
class Replay:
    """What other rules would have done with past orders; parcels and orders by place, before and after."""

    decided: int
    changed: Sequence[Changed]
    parcels: tuple[int, int]
    by_place: Mapping[str, tuple[int, int]]


def policy_of(*, merchant_id: int) -> Policy:
    """The shop's policy, or the usual one where it has not chosen."""
    row = RoutingPolicy.objects.filter(merchant=merchant_id).first()
    return Policy(tuple(row.rules), row.places_max) if row else Policy()


def choose(
    *,
    merchant_id: int,
    reference: str,
    wanted: Mapping[int, Decimal],
    offered: Mapping[int, Mapping[int, Decimal]],
    destination: Point | None,
    now: datetime,
    used: frozenset[int] = frozenset(),
) -> Decision:
    """Decide which places ship `wanted` (units by variant) and keep the decision with its reasons.

    `offered`: units by place and variant that may be promised there. Nothing is locked or promised: the caller asks the
    ledger, which may refuse. The same reference again decides anew and replaces what was kept. `used`: places that ship
    another part of the order already.
    """
    policy = policy_of(merchant_id=merchant_id)
    places = places_of(merchant_id=merchant_id, ids=offered.keys(), now=now)
    question = Question(wanted=wanted, offered=offered, destination=destination, asked_at=now, used=used)
    decision = engine.decide(question=question, places=places, rules=policy.rules, places_max=policy.places_max)
    kept = RoutingDecision(
        merchant_id=merchant_id,
        reference=reference[:120],
        decided_at=now,
        question=_to_json(question, places),
        rules=list(policy.rules),
        places_max=policy.places_max,
        takes=_takes(decision.plan),
        steps=[{"rule": s.rule, "words": s.words, "of": s.considered, "kept": s.kept} for s in decision.steps],
    )
    said = ["decided_at", "question", "rules", "places_max", "takes", "steps"]
    RoutingDecision.objects.bulk_create(
        [kept], update_conflicts=True, unique_fields=["merchant", "reference"], update_fields=said
    )
    return decision


def took(*, merchant_id: int, reference: str, plan: Plan) -> None:
    """What was chosen had gone when it was to be promised: this was taken instead."""
    RoutingDecision.objects.filter(merchant=merchant_id, reference=reference[:120]).update(takes=_takes(plan))


def belongs_to_order(*, merchant_id: int, reference: str, order_id: int) -> None:
    """What was asked under `reference` became this order: its page shows why it ships from where it does."""
    RoutingDecision.objects.filter(merchant=merchant_id, reference=reference[:120]).update(order=order_id)


def places_of(*, merchant_id: int, ids: Iterable[int], now: datetime) -> list[Place]:
    """These places, if active, as the rules see them. Two queries."""
    rows = list(Location.objects.filter(merchant=merchant_id, pk__in=list(ids), is_active=True).order_by("pk"))
    limited = [row for row in rows if row.orders_a_day_max is not None]
    load = _orders_today(limited, now=now) if limited else {}
    return [
        Place(
            id=row.pk,
            name=row.name,
            is_warehouse=row.is_warehouse,
            rank=row.rank,
            point=None if row.latitude is None else Point(float(row.latitude), float(row.longitude)),
            orders_left=None if row.orders_a_day_max is None else row.orders_a_day_max - load.get(row.pk, 0),
            ships_until=row.ships_until,
            timezone=row.timezone,
        )
        for row in rows
    ]


def _orders_today(places: Sequence[Location], *, now: datetime) -> dict[int, int]:
    """Orders placed since local midnight that each place holds or has sent."""
    today = Q()
    for place in places:
        local = now.astimezone(ZoneInfo(place.timezone))
        today |= Q(location=place, line__order__placed_at__gte=local.replace(hour=0, minute=0, second=0, microsecond=0))
    held = OrderHold.objects.filter(today).filter(Q(committed__gt=0) | Q(fulfilled__gt=0))
    return dict(held.order_by().values_list("location").annotate(Count("line__order", distinct=True)))


def set_policy(*, merchant: Merchant, actor: User, policy: Policy) -> None:
    """Use these rules from now on; who changed them is kept with what they were."""
    with transaction.atomic():
        before = policy_of(merchant_id=merchant.pk)
        row, _ = RoutingPolicy.objects.update_or_create(
            merchant=merchant, defaults={"rules": list(policy.rules), "places_max": policy.places_max}
        )
        audit.record(
            actor=actor, merchant=merchant, action="routing.rules", target=row, summary=f"Routing: {words(policy)}",
            before={"rules": list(before.rules), "places_max": before.places_max},
            after={"rules": list(policy.rules), "places_max": policy.places_max},
        )  # fmt: skip


def words(policy: Policy) -> str:
    """The policy in one line."""
    split = "no splits" if policy.places_max == 1 else f"up to {policy.places_max} places an order"
    return ", then ".join([LABELS[Rule(rule)].lower() for rule in policy.rules] or ["the older place"]) + f"; {split}"


def replay(*, merchant: Merchant, policy: Policy, since: datetime, limit: int = REPLAYED_MAX) -> Replay:
    """Decide past orders again under `policy`, each with what was known then; changes nothing."""
    rows = (
        RoutingDecision.objects.of(merchant)
        .filter(decided_at__gte=since)
        .select_related("order")
        .order_by("-decided_at", "-pk")[:limit]
    )
    changed: list[Changed] = []
    parcels = [0, 0]
    by_place: dict[str, Counter[str]] = {"before": Counter(), "after": Counter()}
    for row in rows:
        question, places = _from_json(row.question)
        names = {place.id: place.name for place in places}
        then = sorted({take["place"] for take in row.takes})
        plan = engine.decide(question=question, places=places, rules=policy.rules, places_max=policy.places_max).plan
        instead = sorted(plan.place_ids) if plan else []
        parcels = [parcels[0] + len(then), parcels[1] + len(instead)]
        by_place["before"].update(names[place] for place in then)
        by_place["after"].update(names[place] for place in instead)
        if then != instead:
            changed.append(Changed(decision=row, before=_joined(then, names), after=_joined(instead, names)))
    seen = sorted(by_place["before"].keys() | by_place["after"].keys())
    return Replay(
        decided=len(rows),
        changed=changed,
        parcels=(parcels[0], parcels[1]),
        by_place={name: (by_place["before"][name], by_place["after"][name]) for name in seen},
    )


def _joined(places: Sequence[int], names: Mapping[int, str]) -> str:
    return " + ".join(names[place] for place in places) or "no way to send all of it"


def reasons(decision: RoutingDecision) -> list[tuple[str, Step]]:
    """What each rule said, with its label, in the order asked."""
    return [
        (LABELS[Rule(step["rule"])], Step(step["rule"], step["words"], step["of"], step["kept"]))
        for step in decision.steps
    ]


def _takes(plan: Plan | None) -> list[dict[str, Any]]:
    takes: Sequence[Take] = plan.takes if plan else ()
    return [{"place": take.place_id, "variant": take.variant_id, "quantity": str(take.quantity)} for take in takes]


def _to_json(question: Question, places: Sequence[Place]) -> dict[str, Any]:
    """All that decides, so that other rules can be tried on it for ever after."""
    there = question.destination
    return {
        "wanted": {str(variant): str(units) for variant, units in question.wanted.items()},
        "to": [there.latitude, there.longitude] if there else None,
        "at": question.asked_at.isoformat(),
        "used": sorted(question.used),
        "places": [
            {
                "id": place.id,
                "name": place.name,
                "is_warehouse": place.is_warehouse,
                "rank": place.rank,
                "point": [place.point.latitude, place.point.longitude] if place.point else None,
                "orders_left": place.orders_left,
                "ships_until": place.ships_until.isoformat() if place.ships_until else None,
                "timezone": place.timezone,
                "offers": {str(variant): str(units) for variant, units in question.offered.get(place.id, {}).items()},
            }
            for place in places
        ],
    }


def _from_json(kept: Mapping[str, Any]) -> tuple[Question, list[Place]]:
    places = [
        Place(
            id=row["id"],
            name=row["name"],
            is_warehouse=row["is_warehouse"],
            rank=row["rank"],
            point=Point(*row["point"]) if row["point"] else None,
            orders_left=row["orders_left"],
            ships_until=time.fromisoformat(row["ships_until"]) if row["ships_until"] else None,
            timezone=row["timezone"],
        )
        for row in kept["places"]
    ]
    offered = {
        row["id"]: {int(variant): Decimal(units) for variant, units in row["offers"].items()} for row in kept["places"]
    }
    question = Question(
        wanted={int(variant): Decimal(units) for variant, units in kept["wanted"].items()},
        offered=offered,
        destination=Point(*kept["to"]) if kept["to"] else None,
        asked_at=datetime.fromisoformat(kept["at"]),
        used=frozenset(kept.get("used", ())),
    )
    return question, places

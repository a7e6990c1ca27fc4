"""What travels and what is made of parts: late and odd deliveries, drafts, bundles, packs, checks before a yes."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.utils.timezone import now as utc_now

from inventory import arrivals, bundles
from inventory.models import Arrival, Location, Variant
from tests import factories
from tests.browser.scenes import Scene

LONG = "Österreichische Leinenweberei und Handelsgesellschaft mbH & Co. KG, Abteilung Export nach Übersee"


@dataclass(frozen=True)
class Answer:
    """A page that only a form shows: what is filled in at `path`, by name, and the button pressed there."""

    path: str
    button: str
    fields: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


def empty_paths(scene: Scene) -> dict[str, str | Answer]:
    """The pages of a shop where nothing travels yet."""
    return {"arrivals": f"{scene.home}arrivals/", "transfer-new": f"{scene.home}arrivals/transfer/"}


def travel(scene: Scene) -> dict[str, str | Answer]:
    """Give a shop with goods all of it; the pages to look at, those that only a form shows among them."""
    here, one = f"{scene.home}arrivals/", scene.variants[0]
    late, draft = _late(scene), _draft(scene)
    bundle, pack = _bundle(scene), _pack(scene)
    stock = f"{scene.home}stock/"
    return {
        "arrivals": f"{here}?show=all",
        "arrivals-none": f"{here}?q=nothing",
        "arrival-late": f"{here}{late.pk}/",
        "arrival-draft": f"{here}{draft.pk}/",
        "arrival-short": Answer(f"{here}{draft.pk}/", "Send", status=422),
        "arrival-edit": f"{here}{draft.pk}/edit/",
        "arrival-cancel": Answer(f"{here}{late.pk}/", "Cancel it"),
        "receive": f"{here}{late.pk}/receive/",
        "receive-unsaid": Answer(f"{here}{late.pk}/receive/", "See what changes", {"Came": "99"}, 422),
        "receive-check": Answer(
            f"{here}{late.pk}/receive/", "See what changes", {"Came": "99", "Why it differs": "One box too many"}
        ),
        "transfer-new": f"{here}transfer/?variant={one.pk}",
        "delivery-wrong": Answer(f"{here}delivery/?variant={one.pk}", "Save and check", status=422),
        "bundle": f"{stock}{bundle.pk}/",
        "bundle-parts": f"{stock}{bundle.pk}/parts/",
        "bundle-check": Answer(f"{stock}{bundle.pk}/parts/", "See what it makes up"),
        "bundle-end": Answer(f"{stock}{bundle.pk}/", "End it"),
        "pack": f"{stock}{pack.pk}/",
        "pack-up": f"{stock}{pack.pk}/pack/",
        "pack-check": Answer(f"{stock}{pack.pk}/pack/", "See what changes", {"Packs": "900"}),
    }


def _plan(scene: Scene, *, to: Location, day: date | None, lines: list[tuple[Variant, int]], **says: Any) -> Arrival:
    plan = arrivals.Plan(
        says.get("origin"), says.get("supplier", ""), to, day, says.get("note", ""),
        [(variant, Decimal(units)) for variant, units in lines],
    )  # fmt: skip
    return arrivals.draft(merchant=scene.merchant, actor=scene.user, key=uuid.uuid4(), plan=plan)


def _late(scene: Scene) -> Arrival:
    """A delivery that should be there by now, part of which came, torn and too many."""
    street, now = scene.locations[0], utc_now()
    one, two, three = scene.variants[:3]
    late = _plan(
        scene, to=street, day=now.date() - timedelta(days=3), lines=[(one, 12), (two, 6), (three, 2)], supplier=LONG,
        note="PO-2026-118/" + "4711" * 20,
    )  # fmt: skip
    who: dict[str, Any] = {"merchant": scene.merchant, "actor": scene.user, "arrival_id": late.pk, "now": now}
    arrivals.send(**who, key=uuid.uuid4())
    first, _, third = (line.pk for line in late.lines.order_by("pk"))
    arrivals.receive(
        **who, key=uuid.uuid4(), arrived={first: Decimal(9), third: Decimal(3)}, damaged={first: Decimal(1)},
        rest=arrivals.WAIT, reason="One sleeve torn, one too many",
    )  # fmt: skip
    return late


def _draft(scene: Scene) -> Arrival:
    """More than its place has."""
    street, room = scene.locations[:2]
    tomorrow = utc_now().date() + timedelta(days=1)
    one, two = scene.variants[:2]
    return _plan(scene, to=room, day=tomorrow, lines=[(one, 90_000), (two, 1)], origin=street)


def _made_of(scene: Scene, title: str, sku: str, parts: Mapping[Variant, int], *, is_stocked: bool) -> Variant:
    shop = scene.merchant
    whole: Variant = factories.VariantFactory(merchant=shop, product__merchant=shop, product__title=title, sku=sku)
    made_of = [bundles.Part(part.pk, Decimal(units)) for part, units in parts.items()]
    bundles.define(variant=whole, parts=made_of, is_stocked=is_stocked, actor=scene.user)
    return whole


def _bundle(scene: Scene) -> Variant:
    _, two, three = scene.variants[:3]
    return _made_of(scene, "Gift box of a shirt and two crews, wrapped", "BOX-1", {two: 1, three: 2}, is_stocked=False)


def _pack(scene: Scene) -> Variant:
    return _made_of(scene, "Carton of mugs", "MUG-12", {scene.variants[-1]: 12}, is_stocked=True)

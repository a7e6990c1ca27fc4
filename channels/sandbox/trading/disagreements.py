"""Disagreements planted at the stand-ins as the world would cause them, and how well they were found and named.

Everything is done through the vendors' own APIs, with the tokens of those whose hand it is; news is lost, held back or
delivered as a bad network would. Nothing of ours is touched, but for the one change of stock whose answer is lost.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from channels import inbox, polling, publisher, reconcile
from channels.models import Connection, Listing, StockGap
from channels.sandbox import bringup, deliveries
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.models import Delivery, Fault, Switch
from channels.sandbox.shopify import accounts as shopify_accounts
from channels.sandbox.shopify.models import Product, Shop
from channels.sandbox.square import accounts as square_accounts
from channels.sandbox.square.models import Account
from channels.sandbox.trading.calls import Caller, Json
from channels.sandbox.trading.till import Till
from channels.sandbox.trading.web import Web
from inventory import ledger
from inventory.models import Location, StockLevel, Variant
from storestudio.accounts.models import Merchant, User

PLACE = "High Street"
CASE = 12
SLICE = timedelta(seconds=5)
Cause = StockGap.Cause
NAMES = tuple(Cause)
START = {Cause.AUTO_ADD: 0, Cause.CLAMPED: 1, Cause.UNIT_MISMATCH: 48}
START_ELSE = 20
# What a cell may come to by healing: these are never healed without a person.
NEVER_HEALED = (Cause.OTHER_APP, Cause.UNIT_MISMATCH, Cause.UNKNOWN)
SET = """
mutation Set($input: InventorySetQuantitiesInput!, $key: String!) {
  inventorySetQuantities(input: $input) @idempotent(key: $key) { userErrors { code field message } }
}
"""
DELETE = "mutation Delete($input: ProductDeleteInput!) { productDelete(input: $input) { userErrors { message } } }"


@dataclass(frozen=True)
class Planted:
    """One disagreement: of which item, why, and what our stock must be afterwards."""

    sku: str
    cause: str
    channel: str
    available: Decimal


@dataclass
class Score:
    """What became of what was planted. `confusion`: (planted, named) → how many."""

    planted: int
    found: int = 0
    rightly: int = 0
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong_heals: list[str] = field(default_factory=list)
    others: int = 0
    questions: int = 0

    def table(self) -> list[str]:
        """The confusion table, a line a cause, and the sums."""
        columns = [*NAMES, "not found"]
        lines = ["planted \\ named".ljust(16) + "".join(name[:9].rjust(11) for name in columns)]
        for cause in NAMES:
            row = "".join(str(self.confusion[cause, name] or ".").rjust(11) for name in columns)
            lines.append(cause.ljust(16) + row)
        share = 100 * self.rightly / max(self.planted, 1)
        return [
            *lines,
            f"{self.found} of {self.planted} found within one sweep, {self.rightly} named rightly ({share:.1f} %), "
            f"{len(self.wrong_heals)} wrong heals, {self.others} named where nothing was planted, "
            f"{self.questions} questions asked",
        ]


class World:
    """A shop with its till and web shop live, and everybody who changes stock there."""

    def __init__(self, *, seed: int, each: int, merchant: Merchant, actor: User) -> None:
        self.chance, self.each, self.merchant = random.Random(seed), each, merchant
        self.skus = {cause: [f"{cause.upper().replace('_', '-')}-{n:02}" for n in range(each)] for cause in NAMES}
        self.pair = bringup.bring_up(
            merchant=merchant, actor=actor, goods=self._goods(), places=[PLACE],
            domain=f"drift-{uuid.uuid4().hex[:8]}.myshopify.com", say=lambda words: None,
        )  # fmt: skip
        Switch.objects.update_or_create(
            pk="shopify.bucket", defaults={"value": [20_000, 1000]}
        )  # rationing is no cause
        self.account = Account.objects.get(pk=self.pair.till.account_id)
        self.shop = Shop.objects.get(domain=self.pair.web.account_id)
        self.planted: list[Planted] = []
        name = f"drift-{seed}-{uuid.uuid4().hex[:6]}"
        self.till = Till(
            base_url=self.pair.till.base_url, token=self.account.personal_token, goods=self._ids(self.pair.till),
            name=name,
        )  # fmt: skip
        self.admin = Caller(headers={"X-Shopify-Access-Token": str(self.shop.tokens.latest("pk").value)})
        self.graphql = f"{self.pair.web.base_url}/admin/api/2026-10/graphql.json"
        self.web = Web(
            graphql_url=self.graphql, token=str(self.shop.tokens.latest("pk").value), goods=self._ids(self.pair.web),
            name=name,
        )  # fmt: skip

    def _goods(self) -> list[Goods]:
        return [
            Goods(
                sku.lower(),
                f"Tea {sku}, case of {CASE}" if cause == Cause.UNIT_MISMATCH else f"Thing {sku}",
                [GoodsVariant(sku, Decimal("9.50"), counts={PLACE: START.get(cause, START_ELSE)})],
            )
            for cause, skus in self.skus.items()
            for sku in skus
        ]

    def _ids(self, connection: Connection) -> dict[str, str]:
        return dict(Listing.objects.filter(connection=connection).values_list("sku", "external_id"))

    # --- what happens -----------------------------------------------------------------------------------------

    def plant(self) -> None:
        """Cause every disagreement; in an order of its own, so that none leans on another."""
        steps: list[Callable[[], None]] = [
            self._missed, self._late, self._echo, self._by_hand, self._other_app, self._added_by_till,
            self._other_unit, self._listed_anew, self._stops_at_zero, self._unknown,
        ]  # fmt: skip
        self.chance.shuffle(steps)
        for step in steps:
            step()

    def _plant(self, cause: str, sku: str, *, channel: str, moved: int = 0) -> None:
        start = Decimal(START.get(Cause(cause), START_ELSE))
        self.planted.append(Planted(sku, cause, channel, start + moved))

    def _sell(self, cause: str) -> None:
        place = self.pair.till.locations.get().external_id
        for n, sku in enumerate(self.skus[Cause(cause)]):
            units = self.chance.randint(1, 4)
            if n % 2:
                self.web.buy(invoice=sku, units={sku: units})
            else:
                self.till.sell(invoice=sku, location_id=place, units={sku: units}, is_pickup=False)
            self._plant(cause, sku, channel="shopify" if n % 2 else "square", moved=-units)

    def _missed(self) -> None:
        """Sales of which no message was ever sent."""
        lost = [Fault.objects.create(vendor=name, kind="drop", operation="webhook") for name in ("square", "shopify")]
        self._sell(Cause.MISSED_WEBHOOK)
        Fault.objects.filter(pk__in=[one.pk for one in lost]).delete()

    def _late(self) -> None:
        """Sales whose messages lie somewhere on the way."""
        before = set(Delivery.objects.values_list("pk", flat=True))
        self._sell(Cause.LATE)
        Delivery.objects.exclude(pk__in=before).update(due_at=timezone.now() + timedelta(hours=1))

    def _echo(self) -> None:
        """A number of ours arrives at the web shop, and its answer is lost on the way back."""
        variants = dict(Variant.objects.filter(sku__in=self.skus[Cause.ECHO]).values_list("sku", "pk"))
        location = Location.objects.get(merchant=self.merchant)
        entries = []
        for sku in self.skus[Cause.ECHO]:
            moved = self.chance.choice((-3, -2, -1, 1, 2, 3))
            entries.append(
                ledger.Entry(
                    variants[sku], location.pk, ledger.Kind.ADJUST, f"echo:{sku}", timezone.now(),
                    on_hand=Decimal(moved),
                )
            )  # fmt: skip
            self._plant(Cause.ECHO, sku, channel="shopify", moved=moved)
        ledger.record(merchant_id=self.merchant.pk, source="planted", entries=entries)
        lost = Fault.objects.create(vendor="shopify", kind="timeout_after", operation="inventorySetQuantities")
        publisher.publish(connection_id=self.pair.web.pk, until=timezone.now() + SLICE)
        lost.delete()
        publisher.publish(connection_id=self.pair.till.pk, until=timezone.now() + SLICE)

    def _by_hand(self) -> None:
        """Staff change counts in the vendor's own pages; nobody tells."""
        token = self._hand("DASHBOARD", "sq0idp-dashboard", "Square Dashboard")
        moved = {sku: self.chance.choice((-4, -3, -2, 3, 5, 8)) for sku in self.skus[Cause.MANUAL_EDIT]}
        self._adjust(token, moved, team_member_id="TM-Kim")
        for sku, units in moved.items():
            self._plant(Cause.MANUAL_EDIT, sku, channel="square", moved=units)

    def _other_app(self) -> None:
        """Another application sets the stock."""
        token = self._hand("EXTERNAL_API", "sq0idp-countbot", "CountBot")
        skus = self.skus[Cause.OTHER_APP]
        self._adjust(token, {sku: self.chance.choice((-5, -3, -1, 2, 6)) for sku in skus})
        for sku in skus:
            self._plant(Cause.OTHER_APP, sku, channel="square")

    def _added_by_till(self) -> None:
        """The till sells what it has not, and adds it to its stock by itself."""
        token = self._hand("SQUARE_POS", "sq0idp-SquarePointOfSale", "Point of Sale")
        place = self.pair.till.locations.get().external_id
        units = dict.fromkeys(self.skus[Cause.AUTO_ADD], 1)
        self.till.sell(invoice="auto-add", location_id=place, units=units, is_pickup=False)
        self._adjust(token, units)
        for sku in units:
            self._plant(Cause.AUTO_ADD, sku, channel="square")

    def _other_unit(self) -> None:
        """Somebody counts the web shop's stock in cases."""
        self._set(dict.fromkeys(self.skus[Cause.UNIT_MISMATCH], START[Cause.UNIT_MISMATCH] // CASE))
        for sku in self.skus[Cause.UNIT_MISMATCH]:
            self._plant(Cause.UNIT_MISMATCH, sku, channel="shopify")

    def _listed_anew(self) -> None:
        """An import makes products anew: under new ids, half of them under new SKUs as well."""
        lost = Fault.objects.create(vendor="shopify", kind="drop", operation="webhook")
        place = self.shop.locations.get()
        for n, sku in enumerate(self.skus[Cause.LINK_BROKEN]):
            product = Product.objects.get(shop=self.shop, variants__item__sku=sku)
            self._admin(DELETE, {"input": {"id": product.gid}})
            name = sku if n % 2 else f"{sku}-NEW"
            row = shopify_accounts.VariantRow(name, Decimal("9.50"), [], quantities={place.pk: START_ELSE})
            shopify_accounts.load_products(
                self.shop,
                [shopify_accounts.ProductRow(handle=f"{sku.lower()}-anew", title=f"Thing {sku}", variants=[row])],
            )
            self._plant(Cause.LINK_BROKEN, sku, channel="shopify")
        lost.delete()

    def _stops_at_zero(self) -> None:
        """The till sells three of one, and its count stops at zero."""
        place = self.pair.till.locations.get().external_id
        Switch.objects.update_or_create(pk="square.clamps_at_zero", defaults={"value": True})
        units = dict.fromkeys(self.skus[Cause.CLAMPED], 3)
        self.till.sell(invoice="clamped", location_id=place, units=units, is_pickup=False)
        for sku in units:
            self._plant(Cause.CLAMPED, sku, channel="square", moved=-3)
        Switch.objects.filter(pk="square.clamps_at_zero").delete()

    def _unknown(self) -> None:
        """Numbers of the web shop are others; its API tells nothing of who or why."""
        skus = self.skus[Cause.UNKNOWN]
        self._set({sku: START_ELSE + self.chance.choice((-7, -4, -2, 3, 9)) for sku in skus})
        for sku in skus:
            self._plant(Cause.UNKNOWN, sku, channel="shopify")

    # --- how it is done ---------------------------------------------------------------------------------------

    def _hand(self, product: str, application_id: str, name: str) -> str:
        return square_accounts.other_hand(
            account=self.account, product=product, application_id=application_id, name=name
        )

    def _adjust(self, token: str, moved: Mapping[str, int], **extra: str) -> None:
        place = self.pair.till.locations.get().external_id
        now = datetime.now(UTC).isoformat()
        changes = [
            {
                "catalog_object_id": self.till.goods[sku], "from_state": "NONE" if units > 0 else "IN_STOCK",
                "to_state": "IN_STOCK" if units > 0 else "WASTE", "from_location_id": place,
                "to_location_id": place, "quantity": str(abs(units)), "occurred_at": now, **extra,
            }
            for sku, units in moved.items()
        ]  # fmt: skip
        body: Json = {
            "idempotency_key": uuid.uuid4().hex,
            "changes": [{"type": "ADJUSTMENT", "adjustment": change} for change in changes],
        }
        caller = Caller(headers={"Authorization": f"Bearer {token}", "Square-Version": "2026-09-16"})
        url = f"{self.pair.till.base_url}/v2/inventory/changes/batch-create"
        answer = caller.ask(method="POST", url=url, body=body)
        if answer.status_code != 200:
            raise RuntimeError(answer.text)

    def _set(self, numbers: Mapping[str, int]) -> None:
        items = dict(self.pair.web.listings.filter(sku__in=numbers).values_list("sku", "inventory_id"))
        place = self.pair.web.locations.get().external_id
        entries = [
            {"inventoryItemId": items[sku], "locationId": place, "quantity": number, "changeFromQuantity": None}
            for sku, number in numbers.items()
        ]
        given = {"name": "available", "reason": "correction", "quantities": entries}
        self._admin(SET, {"input": given, "key": uuid.uuid4().hex})

    def _admin(self, document: str, variables: Json) -> None:
        answer = self.admin.ask(method="POST", url=self.graphql, body={"query": document, "variables": variables})
        body = answer.json()
        if body.get("errors") or any((payload or {}).get("userErrors") for payload in body["data"].values()):
            raise RuntimeError(str(body))

    # --- one sweep, and what it came to -----------------------------------------------------------------------

    def sweep(self, *, timeout_s: float = 60.0) -> None:
        """What deliverer, dispatcher and workers do, around one whole reading of both channels, until all is judged."""
        connections = (self.pair.till, self.pair.web)
        with ThreadPoolExecutor(4) as pool:
            deliveries.send_due(pool=pool, limit=5000)
            for connection in connections:
                inbox.process(connection_id=connection.pk, until=timezone.now() + SLICE * 4)
            # The messages about counts alone are no part of the test: what they said is read in any case.
            for connection in connections:
                reconcile.sweep_whole(connection_id=connection.pk)
            until = time.monotonic() + timeout_s
            while time.monotonic() < until and not self._is_judged():
                time.sleep(0.3)
                self._work(connections)
            Delivery.objects.filter(state=Delivery.State.PENDING).update(due_at=timezone.now())
            deliveries.send_due(pool=pool, limit=5000)
            while time.monotonic() < until and any(inbox.is_behind(connection_id=one.pk) for one in connections):
                self._work(connections)

    def _work(self, connections: Sequence[Connection]) -> None:
        for connection in connections:
            inbox.process(connection_id=connection.pk, until=timezone.now() + SLICE)
            publisher.publish(connection_id=connection.pk, until=timezone.now() + SLICE)
            if connection.cells.filter(recheck_at__lte=timezone.now()).exists() or self._waits(connection):
                polling.poll(connection_id=connection.pk)

    def _waits(self, connection: Connection) -> bool:
        return StockGap.objects.filter(connection=connection, state=StockGap.State.OPEN).exists()

    def _is_judged(self) -> bool:
        return not StockGap.objects.filter(merchant=self.merchant, state=StockGap.State.OPEN).exists()

    def score(self) -> Score:
        """Compare what was found with what was planted, and our stock with what it must be."""
        gaps = StockGap.objects.filter(merchant=self.merchant).select_related("listing", "connection").order_by("pk")
        named: dict[tuple[str, str], StockGap] = {}
        for gap in gaps:
            named.setdefault((gap.connection.channel, gap.listing.sku), gap)
        levels = dict(StockLevel.objects.filter(merchant=self.merchant).values_list("variant__sku", "available"))
        score = Score(planted=len(self.planted))
        for one in self.planted:
            found = named.pop((one.channel, one.sku), None)
            score.confusion[one.cause, found.cause if found else "not found"] += 1
            score.found += found is not None
            score.rightly += found is not None and found.cause == one.cause
            is_healed = found is not None and found.state == StockGap.State.HEALED
            if levels.get(one.sku) != one.available or (is_healed and one.cause in NEVER_HEALED):
                score.wrong_heals.append(f"{one.sku}: {levels.get(one.sku)}, must be {one.available}")
        score.others = len(named)
        score.questions = len(
            set(gaps.filter(state=StockGap.State.ASKED).values_list("question", flat=True).order_by())
        )
        return score

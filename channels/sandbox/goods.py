"""Goods for sandbox shops: read from a Shopify product CSV or a trading trace, loaded into both vendors' stand-ins."""

from __future__ import annotations

import csv
import gzip
import io
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import requests

from channels.sandbox.shopify import accounts as shopify_accounts
from channels.sandbox.shopify.models import Shop
from channels.sandbox.square.models import Account
from inventory import identifiers
from inventory.models import StockLevel, Variant
from storestudio.accounts.models import Merchant

OBJECTS_MAX = 1000  # of one batch-upsert
CHANGES_MAX = 100  # of one change of inventory
TIMEOUT_S = 120


@dataclass(frozen=True)
class GoodsVariant:
    """One stocked thing; `counts` by the name of the place. `till_sku` and `web_sku` where the two disagree."""

    sku: str
    price: Decimal
    values: tuple[str, ...] = ()
    barcode: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    till_sku: str | None = None
    web_sku: str | None = None
    is_at_till: bool = True
    is_on_web: bool = True
    is_tracked_on_web: bool = True
    sells_past_zero_on_web: bool = False


@dataclass(frozen=True)
class Goods:
    """A product with the names of its options and its variants."""

    handle: str
    title: str
    variants: Sequence[GoodsVariant]
    options: tuple[str, ...] = ()
    vendor: str = ""
    category: str = ""


@contextmanager
def _open(path: Path) -> Iterator[io.TextIOBase]:
    raw = path.open("rb")
    with gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw as binary:
        yield io.TextIOWrapper(binary, encoding="utf-8-sig", newline="")


def from_product_csv(paths: Iterable[Path], *, counts: Mapping[str, int]) -> list[Goods]:
    """Products of Shopify's classic CSV. A variant without a SKU gets one of its handle and option values."""
    products: dict[str, dict[str, Any]] = {}
    for path in paths:
        with _open(path) as file:
            for row in csv.DictReader(file):
                product = products.setdefault(
                    row["Handle"], {"title": "", "vendor": "", "category": "", "options": (), "rows": []}
                )
                if row.get("Title"):
                    names = (row.get(f"Option{n} Name") or "" for n in (1, 2, 3))
                    product["options"] = tuple(name for name in names if name)
                    product["title"], product["vendor"] = row["Title"], row.get("Vendor") or ""
                    product["category"] = row.get("Type") or ""
                if row.get("Variant Price"):
                    product["rows"].append(row)
    return [_goods(handle, product, counts) for handle, product in products.items() if product["rows"]]


def _goods(handle: str, product: Mapping[str, Any], counts: Mapping[str, int]) -> Goods:
    options = () if product["options"] == ("Title",) else product["options"]
    variants, taken = [], set()
    for row in product["rows"]:
        values = tuple(row.get(f"Option{n} Value") or "-" for n in range(1, len(options) + 1))
        sku = (row.get("Variant SKU") or "").strip() or made_sku(handle, values)
        if values in taken:
            continue  # an image row that repeats a variant
        taken.add(values)
        barcode = identifiers.gtin(row.get("Variant Barcode") or "").lstrip("0")
        variants.append(GoodsVariant(sku, Decimal(row["Variant Price"]), values, barcode, counts))
    return Goods(handle, product["title"], variants, options, product["vendor"], product["category"])


def made_sku(handle: str, values: Iterable[str]) -> str:
    """The same SKU wherever it is made: handle and option values, in capitals."""
    parts = [handle, *values]
    return "-".join(re.sub(r"[^A-Z0-9]+", "-", part.upper()).strip("-") for part in parts if part)[:80]


def from_trace(path: Path, *, counts: Mapping[str, int]) -> list[Goods]:
    """One product a stock code of a trading trace: its first title, its usual price. Codes of no goods are left out."""
    titles: dict[str, str] = {}
    prices: dict[str, Decimal] = {}
    typed: dict[str, str] = {}
    with _open(path) as file:
        for row in csv.DictReader(file):
            key = identifiers.sku_key(row["sku"])
            if not is_goods(key):
                continue
            typed.setdefault(key, row["sku"].strip())
            if row["description"] and key not in titles:
                titles[key] = row["description"].strip()
            price = _price(row["unit_price"])
            if price and key not in prices:
                prices[key] = price
    return [
        Goods(
            handle=made_sku(sku, ()).lower(),
            title=titles.get(key, sku),
            variants=[GoodsVariant(sku, prices.get(key, Decimal("1.00")), counts=counts)],
        )
        for key, sku in typed.items()
    ]


def is_goods(key: str) -> bool:
    """Stock codes begin with five digits; postage, discounts, bank charges and samples do not."""
    return re.match(r"^\d{5}", key) is not None


def _price(text: str) -> Decimal | None:
    try:
        return Decimal(text).quantize(Decimal("0.01"))
    except InvalidOperation:
        return None


def from_shop(merchant: Merchant) -> list[Goods]:
    """What a shop has ever counted, with what is available now, in whole units: what another channel would list."""
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    levels = StockLevel.objects.of(merchant).filter(last_seq__gt=0)
    for variant_id, place, units in levels.values_list("variant_id", "location__name", "available"):
        counts[variant_id][place] = max(0, int(units))
    by_product: dict[int, list[Variant]] = defaultdict(list)
    kept = (
        Variant.objects.of(merchant).filter(archived_at=None, pk__in=counts).exclude(sku="").select_related("product")
    )
    for variant in kept.order_by("product_id", "pk"):
        by_product[variant.product_id].append(variant)
    return [_from_variants(variants, counts) for variants in by_product.values()]


def _from_variants(variants: Sequence[Variant], counts: Mapping[int, Mapping[str, int]]) -> Goods:
    product, options = variants[0].product, tuple(variants[0].options)
    is_alike = all(tuple(variant.options) == options for variant in variants)
    return Goods(
        handle=f"{made_sku(product.title, ())[:60].lower()}-{product.pk}",
        title=product.title,
        variants=[
            GoodsVariant(
                sku=variant.sku,
                price=variant.price or Decimal("1.00"),
                values=tuple(map(str, variant.options.values())) if is_alike else (variant.title,),
                barcode=variant.gtin.lstrip("0"),
                counts=counts.get(variant.pk, {}),
            )
            for variant in variants
        ],
        options=options if is_alike else ("Variation",),
        vendor=product.vendor,
        category=product.category,
    )


def load_till(account: Account, *, base_url: str, goods: Sequence[Goods]) -> None:
    """Load through Square's own API, as a merchant's importer would: objects by the thousand, counts by the hundred."""
    places = {row.name: row.location_id for row in account.locations.all()}
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {account.personal_token}"

    def call(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = session.post(
            f"{base_url}{path}", json={"idempotency_key": uuid.uuid4().hex, **body}, timeout=TIMEOUT_S
        )
        answer.raise_for_status()
        return dict(answer.json())

    ids: dict[str, str] = {}
    for batch in _batches(goods):
        objects = [_item(number, product, account.currency) for number, product in batch]
        reply = call("/v2/catalog/batch-upsert", {"batches": [{"objects": objects}]})
        ids |= {pair["client_object_id"]: pair["object_id"] for pair in reply["id_mappings"]}
    now = datetime.now(UTC).isoformat()
    changes = [
        {"type": "PHYSICAL_COUNT", "physical_count": {
            "catalog_object_id": ids[f"#v{number}-{index}"], "location_id": places[place], "state": "IN_STOCK",
            "quantity": str(quantity), "occurred_at": now}}
        for number, product in enumerate(goods) for index, variant in enumerate(product.variants)
        if variant.is_at_till for place, quantity in variant.counts.items()
    ]  # fmt: skip
    for start in range(0, len(changes), CHANGES_MAX):
        call("/v2/inventory/changes/batch-create", {"changes": changes[start : start + CHANGES_MAX]})


def _batches(goods: Sequence[Goods]) -> Iterator[list[tuple[int, Goods]]]:
    batch: list[tuple[int, Goods]] = []
    objects = 0
    for number, product in enumerate(goods):
        size = 1 + len(product.variants)
        if objects + size > OBJECTS_MAX:
            yield batch
            batch, objects = [], 0
        if any(variant.is_at_till for variant in product.variants):
            batch.append((number, product))
            objects += size
    if batch:
        yield batch


def _item(number: int, product: Goods, currency: str) -> dict[str, Any]:
    variations = [
        {
            "type": "ITEM_VARIATION",
            "id": f"#v{number}-{index}",
            "present_at_all_locations": True,
            "item_variation_data": {
                "item_id": f"#i{number}",
                "name": " / ".join(variant.values) or "Regular",
                "sku": variant.sku if variant.till_sku is None else variant.till_sku,
                "pricing_type": "FIXED_PRICING",
                "price_money": {"amount": int(variant.price * 100), "currency": currency},
                "track_inventory": True,
                **({"upc": variant.barcode} if variant.barcode else {}),
            },
        }
        for index, variant in enumerate(product.variants)
        if variant.is_at_till
    ]
    return {
        "type": "ITEM",
        "id": f"#i{number}",
        "present_at_all_locations": True,
        "item_data": {"name": product.title[:500], "variations": variations},
    }


def load_web(shop: Shop, *, goods: Sequence[Goods]) -> None:
    """Load into the web shop's stand-in, a few statements a thousand variants."""
    places = {row.name: row.pk for row in shop.locations.all()}
    shopify_accounts.load_products(
        shop,
        [
            shopify_accounts.ProductRow(
                handle=product.handle,
                title=product.title,
                vendor=product.vendor,
                product_type=product.category,
                options=list(product.options),
                variants=[
                    shopify_accounts.VariantRow(
                        sku=variant.sku if variant.web_sku is None else variant.web_sku,
                        barcode=variant.barcode,
                        price=variant.price,
                        option_values=list(variant.values),
                        is_tracked=variant.is_tracked_on_web,
                        policy="CONTINUE" if variant.sells_past_zero_on_web else "DENY",
                        quantities={places[place]: quantity for place, quantity in variant.counts.items()},
                    )
                    for variant in product.variants
                    if variant.is_on_web
                ],
            )
            for product in goods
            if any(variant.is_on_web for variant in product.variants)
        ],
    )

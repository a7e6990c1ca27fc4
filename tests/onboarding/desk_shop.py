"""A small shop where a dozen things are wrong, each of another kind, with findings as the detectors hand them over."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils.timezone import now as utc_now

from inventory import ledger
from inventory.models import Variant
from onboarding.models import Finding
from tests import factories

Kind = Finding.Kind
KEYSTROKE_MS_MAX = 100


def text(answer: Any) -> str:
    """What a person reads, blanks folded."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", answer.content.decode().replace("</li>", " </li>")))


def outcome(answer: Any) -> str:
    """How a keystroke ended, as desk.js is told."""
    return re.search(r'data-outcome="(\w+)"', answer.content.decode())[1]


def queued(answer: Any) -> list[int]:
    """The keys of the rows of the queue."""
    return [int(pk) for pk in re.findall(r'data-row="(\d+)"', answer.content.decode())]


class DeskShop:
    """The shop, who works in it, and words for making what is wrong there."""

    def __init__(self, *, slug: str = "desk", role: str = "onboarding") -> None:
        self.merchant = factories.MerchantFactory(slug=slug, name="Meadow & Co")
        self.user = factories.UserFactory(name="Ines Marsh", email=f"ines@{slug}.example")
        factories.MembershipFactory(user=self.user, merchant=self.merchant, role=role)
        self.place = factories.LocationFactory(merchant=self.merchant, name="High Street")
        self.web = factories.ConnectionFactory(
            merchant=self.merchant, channel="shopify", label="Web shop", is_live=True
        )
        self.till = factories.ConnectionFactory(merchant=self.merchant, label="Square till", is_live=True)
        self.risk = 10_000.0

    def url(self, name: str, *arguments: object) -> str:
        return reverse(name, args=[self.merchant.slug, *arguments])

    def variant(self, title: str, /, *, units: int = 0, product: Any = None, **fields: Any) -> Variant:
        product = product or factories.ProductFactory(merchant=self.merchant, title=title)
        fields = {"title": "", "options": {}, "price": Decimal("24.00")} | fields
        variant = factories.VariantFactory(merchant=self.merchant, product=product, **fields)
        if units:
            entry = ledger.Entry(
                variant_id=variant.pk, location_id=self.place.pk, kind=ledger.Kind.OPENING, key=f"opening:{variant.pk}",
                occurred_at=utc_now(), on_hand=Decimal(units),
            )  # fmt: skip
            with transaction.atomic():
                ledger.post(merchant_id=self.merchant.pk, source="opening", entries=[entry])
        return variant

    def listing(self, variant: Variant | None, connection: Any = None, **fields: Any) -> Any:
        return factories.ListingFactory(connection=connection or self.web, variant=variant, **fields)

    def finding(self, kind: str, title: str, members: list[dict[str, Any]], proposal: dict[str, Any], **fields: Any):
        """Each is less risky than the one before, so that the queue has the order in which they are made."""
        self.risk = round(self.risk * 0.8, 2)
        given = {"evidence": [["made for a test", 2.0]], "confidence": 0.9, "risk": self.risk} | fields
        key = given.pop("key", f"{kind}:{Finding.objects.count()}")
        return Finding.objects.create(
            merchant=self.merchant, kind=kind, key=key, title=title, members=members, proposal=proposal, **given
        )

    def sku(self, title: str = "Linen Overshirt", sku: str = "lno 1", to: str = "LNO-1", **fields: Any) -> Finding:
        variant = self.variant(title, sku=sku, units=3)
        return self.finding(
            Kind.SKU_PATTERN, f"{sku} is written otherwise than your SKUs", [member(variant, units="3")],
            set_sku(variant, to), evidence=[["38 of 41 SKUs are in capitals with “-”", 3.0]], **fields,
        )  # fmt: skip

    def twins(self, title: str, *copies: dict[str, Any], both_listed: bool = False, **fields: Any) -> Finding:
        """The same thing several times, to be merged into the first."""
        made = [self.variant(title, **copy) for copy in copies]
        for variant in made[: len(made) if both_listed else 1]:
            self.listing(variant)
        return self.finding(
            Kind.DUPLICATE, f"{title} is there {len(made)} times", [member(one, units="7") for one in made],
            {"op": "merge", "survivor_id": made[0].pk, "variant_ids": [one.pk for one in made]},
            evidence=[["GTIN equal", 12.0], ["SKU equal without dashes", 6.0], ["title 0.93", 3.0],
                      ["price differs 40 %", -2.0]],
            **{"confidence": 0.981} | fields,
        )  # fmt: skip

    def family(self, title: str, values: list[str], **fields: Any) -> Finding:
        """Products that are really variants of one, by their size."""
        made = [
            self.variant(f"{title} {value}", sku=f"{title[:3].upper()}-{value}-{n}") for n, value in enumerate(values)
        ]
        rows = [{"variant_id": one.pk, "options": {"Size": value}} for one, value in zip(made, values, strict=True)]
        return self.finding(
            Kind.FAMILY, f"{len(made)} products are one: {title}", [member(one) for one in made],
            {"op": "family", "product_id": made[0].product_id, "title": title, "rows": rows,
             "editable": [{"name": "title", "label": "Product", "value": title}]},
            evidence=[["titles equal but for a size", 5.0], ["vendor equal", 2.0]], **fields,
        )  # fmt: skip

    def spelling(self, **fields: Any) -> Finding:
        """One size written four ways, one of which is none of them."""
        written = ["XL", "X-Large", "xl ", "XXL"]
        for n, value in enumerate(written):
            self.variant("Merino Crew", title=value, options={"Size": value}, sku=f"MER-{n}")
        return self.finding(
            Kind.OPTION, "Size: “XL”, “X-Large”, “xl ”, “XXL” → XL",
            [{"type": "value", "id": None, "label": value, "units": "1"} for value in written],
            {"op": "write_value", "option": "size", "values": written, "to": "XL",
             "editable": [{"name": "to", "label": "Write it", "value": "XL"}]},
            evidence=[["equal but for case and spaces", 4.0], ["a known way to write it", 3.0]], **fields,
        )  # fmt: skip

    def wish(self, kind: str, field: str, value: Any, words: str, **fields: Any) -> Finding:
        variant = self.variant("Selvedge Denim", sku=f"DNM-{kind}", units=5)
        listing = self.listing(variant, is_tracked=field != "is_tracked", sells_past_zero=field == "sells_past_zero")
        return self.finding(
            kind, words, [listed(listing), member(variant, units="5")],
            {"op": "wish", "listing_ids": [listing.pk], "field": field, "value": value},
            evidence=[["stock tracking is off there", 5.0]], **fields,
        )  # fmt: skip

    def barcode(self, **fields: Any) -> Finding:
        variant = self.variant("Ceramic Mug", sku="MUG-1", gtin="4006381333932")
        return self.finding(
            Kind.GTIN, "4006381333932: the check digit is wrong", [member(variant)],
            {"op": "set_gtin", "variant_id": variant.pk, "gtin": "4006381333931",
             "editable": [{"name": "gtin", "label": "Barcode (empty: none)", "value": "4006381333931"}]},
            evidence=[["the check digit is wrong", 5.0]], **fields,
        )  # fmt: skip

    def price(self, **fields: Any) -> Finding:
        variant = self.variant("Wool Beanie", sku="BNE-1", price=Decimal("2400.00"))
        return self.finding(
            Kind.PRICE, "Wool Beanie costs 2400.00", [member(variant)],
            {"op": "set_price", "variant_id": variant.pk, "price": "24.00",
             "editable": [{"name": "price", "label": "Price", "value": "24.00"}]},
            evidence=[["Web shop says 24.00: the point slipped", 4.0]], confidence=0.7, **fields,
        )  # fmt: skip

    def archived(self, **fields: Any) -> Finding:
        variant = self.variant("Canvas Tote", sku="TOT-1", units=8, archived_at=utc_now())
        return self.finding(
            Kind.ARCHIVED, "Canvas Tote is archived, and 8 are on the shelf", [member(variant, units="8")],
            {"op": "unarchive", "variant_id": variant.pk},
            evidence=[["archived", 2.0], ["stock is not zero", 3.0]], confidence=0.6, **fields,
        )  # fmt: skip

    def suggestion(
        self, title: str, *, sku: str = "", listed_sku: str = "", connection: Any = None, **fields: Any
    ) -> Any:
        """A waiting listing and the variant it most likely is; the first one made is asked about first."""
        self.information = getattr(self, "information", 500.0) - 1
        variant = self.variant(title, sku=sku)
        listing = self.listing(
            None, connection, is_unlinked=True, product_title=title, title="", sku=listed_sku or sku, price=Decimal(24)
        )
        given = {"information": self.information} | fields
        return factories.SuggestionFactory(listing=listing, variant=variant, **given)

    def alternative(self, best: Any, title: str, *, variant: Any = None) -> Any:
        """Another variant that the same listing may be, less likely."""
        variant = variant or self.variant(title, sku="ALT-1")
        return factories.SuggestionFactory(listing=best.listing, variant=variant, score=0.4, is_best=False)

    def dozen(self) -> list[Finding]:
        """Twelve findings, most kinds among them; the second asks a question, the third has a member too many."""
        return [
            self.twins(
                "Linen Overshirt M / Sand",
                {"sku": "LNO-M-SND", "gtin": "05012345678900", "units": 4, "price": Decimal("49.00")},
                {"sku": "LNOMSND", "gtin": "05012345678900", "price": Decimal("35.00")},
            ),
            self.twins("Oak Stool", {"sku": "OAK-1", "units": 2}, {"sku": "oak 1"}, both_listed=True),
            self.spelling(),
            self.sku("Wool Throw", "wth 7", "WTH-7"),
            self.family("Rain Jacket", ["S", "M", "L"]),
            self.family("Field Cap", ["One", "One"]),
            self.wish(Kind.UNTRACKED, "is_tracked", True, "Web shop does not count Selvedge Denim"),
            self.wish(Kind.OVERSELLING, "sells_past_zero", False, "Web shop sells Selvedge Denim when there is none"),
            self.barcode(),
            self.price(),
            self.archived(),
            self.sku("Leather Belt", "blt_90", "BLT-90"),
        ]


def member(variant: Variant, **more: Any) -> dict[str, Any]:
    return {
        "type": "variant", "id": variant.pk, "label": variant.full_title, "sku": variant.sku, "gtin": variant.gtin,
        "price": None if variant.price is None else str(variant.price), "options": variant.options, "units": "0",
        "image_url": "", "channels": ["Web shop"],
    } | more  # fmt: skip


def listed(listing: Any) -> dict[str, Any]:
    return {
        "type": "listing", "id": listing.pk, "label": listing.product_title, "sku": listing.sku, "gtin": listing.gtin,
        "price": None if listing.price is None else str(listing.price), "options": {}, "units": "5",
        "channel": listing.connection.label, "image_url": "",
    }  # fmt: skip


def set_sku(variant: Variant, sku: str) -> dict[str, Any]:
    return {
        "op": "set_sku", "variant_id": variant.pk, "sku": sku,
        "editable": [{"name": "sku", "label": "SKU", "value": sku}],
    }  # fmt: skip

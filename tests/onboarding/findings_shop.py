"""What the tests of findings share: variants as people typed them, units on a shelf, the catalog frozen to compare."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.timezone import now as utc_now

from channels.models import Listing
from inventory import ledger
from inventory.models import Location, Product, Variant, VariantAlias
from onboarding.findings import catalog, detecting, rules
from onboarding.models import Finding, ListingWish
from tests import factories

BARCODE = "00012345678905"


def variant(shop: Any, title: str, /, *, product: Product | None = None, **fields: Any) -> Variant:
    """One variant; of a product of its own unless one is given. No options, no SKU, unless said."""
    product = product or factories.ProductFactory(merchant=shop, title=title)
    made: Variant = factories.VariantFactory(
        merchant=shop, product=product, **{"title": "", "sku": "", "price": Decimal("10.00"), **fields}
    )
    return made


def stock(one: Variant, units: int, *, place: Location | None = None, key: str = "o") -> Location:
    place = place or factories.LocationFactory(merchant=one.merchant)
    entry = ledger.Entry(one.pk, place.pk, "adjust", f"{key}{one.pk}:{place.pk}", utc_now(), Decimal(units))
    with transaction.atomic():
        ledger.post(merchant_id=one.merchant_id, source="test", entries=[entry])
    return place


def units(one: Variant) -> Decimal:
    return sum(one.levels.values_list("on_hand", flat=True), Decimal(0))


def found(shop: Any, detector: Any) -> list[Any]:
    return list(detector(catalog.read(shop, apart=rules.apart(shop))))


def only(shop: Any, kind: str) -> Finding:
    """Look, and hand back the one open finding of this kind."""
    detecting.detect(merchant=shop)
    finding: Finding = Finding.objects.get(merchant=shop, kind=kind, state=Finding.State.OPEN)
    return finding


def frozen() -> dict[str, list[dict[str, Any]]]:
    """The whole catalog with its links and wishes, as it is; when a link was made is no part of it."""
    rows = {
        model.__name__: list(model.objects.order_by("pk").values())
        for model in (Product, Variant, VariantAlias, ListingWish)
    }
    links = Listing.objects.order_by("pk").values("pk", "variant", "link")
    return rows | {"links": list(links)}

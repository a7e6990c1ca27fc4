"""The vendor's inputs for orders and drafts, read into values."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from channels.sandbox.shopify.models import Location, ProductVariant, Shop
from channels.sandbox.shopify.order_state import Rejected
from channels.sandbox.shopify.orders import BYPASS, NewLine, NewOrder, variant_line
from channels.sandbox.shopify.resolving import parse_gid

Json = dict[str, Any]


def moment(value: datetime | str | None) -> datetime | None:
    """A DateTime argument; one without a zone is UTC."""
    if value is None:
        return None
    read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def location(*, shop: Shop, gid: str, field: Iterable[str], code: str | None = None) -> Location:
    """A location of the shop. Raises Rejected."""
    row = shop.locations.filter(pk=parse_gid(gid, "Location")).first()
    if row is None:
        raise Rejected("Location does not exist", code=code, field=field)
    return row


def variants(*, shop: Shop, gids: Iterable[str]) -> dict[int, ProductVariant]:
    ids = [parse_gid(gid, "ProductVariant") for gid in gids]
    rows = ProductVariant.objects.filter(shop=shop, pk__in=ids).select_related("item", "product")
    return {row.pk: row for row in rows}


def lines(*, shop: Shop, given: list[Json], field: list[str], price_of: Any) -> list[NewLine]:
    """Order lines: a variant, or a custom line with a title. Raises Rejected."""
    known = variants(shop=shop, gids=[entry["variantId"] for entry in given if entry.get("variantId")])
    made = []
    for index, entry in enumerate(given):
        here = [*field, str(index)]
        if entry["quantity"] < 1:
            raise Rejected("Quantity must be greater than 0", code="INVALID", field=[*here, "quantity"])
        price = price_of(entry)
        if entry.get("variantId"):
            variant = known.get(parse_gid(entry["variantId"], "ProductVariant"))
            if variant is None:
                raise Rejected("Product variant does not exist", code="INVALID", field=[*here, "variantId"])
            made.append(variant_line(variant=variant, quantity=entry["quantity"], price=price))
            continue
        if not entry.get("title"):
            raise Rejected("Title can't be blank", code="INVALID", field=[*here, "title"])
        made.append(
            NewLine(
                variant=None,
                quantity=entry["quantity"],
                title=entry["title"],
                price=price or Decimal(0),
                sku=entry.get("sku") or "",
                variant_title=entry.get("variantTitle") or "",
                requires_shipping=bool(entry.get("requiresShipping")),
            )
        )
    return made


def order_price(entry: Json) -> Decimal | None:
    bag = entry.get("priceSet")
    return Decimal(str(bag["shopMoney"]["amount"])) if bag else None


def draft_price(entry: Json) -> Decimal | None:
    """The price a draft line states: an override first, then the unit price with or without currency."""
    for name in ("priceOverride", "originalUnitPriceWithCurrency"):
        if entry.get(name):
            return Decimal(str(entry[name]["amount"]))
    return Decimal(str(entry["originalUnitPrice"])) if entry.get("originalUnitPrice") is not None else None


def pickup_at(*, shop: Shop, given: Json) -> Location | None:
    """Where an order is picked up: its shipping line bears the name of a location that offers pickup."""
    titles = {line["title"] for line in given.get("shippingLines") or []}
    for row in shop.locations.filter(is_active=True, name__in=titles).order_by("rank", "pk"):
        if row.local_pickup is not None:
            return row
    return None


def new_order(*, shop: Shop, given: Json, behaviour: str | None, now: datetime) -> NewOrder:
    """OrderCreateOrderInput. Raises Rejected."""
    if not given.get("lineItems"):
        raise Rejected("Line items must have at least one line item", code="INVALID", field=["order", "lineItems"])
    processed_at = moment(given.get("processedAt"))
    if processed_at is not None and processed_at > now:
        raise Rejected(
            "Processed at must not be in the future", code="PROCESSED_AT_INVALID", field=["order", "processedAt"]
        )
    place_gid = (given.get("fulfillment") or {}).get("locationId")
    sold_at = (
        location(shop=shop, gid=place_gid, field=["order", "fulfillment", "locationId"], code="INVALID")
        if place_gid
        else None
    )
    return NewOrder(
        lines=lines(shop=shop, given=given["lineItems"], field=["order", "lineItems"], price_of=order_price),
        behaviour=behaviour or BYPASS,
        source_name=given.get("sourceName") or "web",
        source_identifier=given.get("sourceIdentifier") or "",
        financial_status=given.get("financialStatus") or "PAID",
        sold_at=sold_at,
        pickup_at=pickup_at(shop=shop, given=given),
        is_fulfilled=given.get("fulfillmentStatus") == "FULFILLED",
        test=bool(given.get("test")),
        processed_at=processed_at,
        closed_at=moment(given.get("closedAt")),
        currency=given.get("currency") or "",
    )

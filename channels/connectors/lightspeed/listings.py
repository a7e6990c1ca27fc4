"""Writing catalog fields: product by product, each right after a fresh read.

https://x-series-api.lightspeedhq.com/docs/products_variants_update: no version can be given with a write, and the list
of a product's codes is replaced whole. The SKU is the first code of type CUSTOM. Whether stock is counted is a setting
of the whole family, and the name of an option belongs to all products of the retailer: neither is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from channels.connectors.lightspeed.client import Client, row
from channels.connectors.lightspeed.mapping import BARCODE_TYPES, barcode, code_type, is_tracked, options
from channels.connectors.lightspeed.values import Json, text
from channels.ports import ConnectorError, ListingFields, ListingNow, ListingResult, ListingWrite, WriteOutcome

WRITABLE = frozenset({"sku", "gtin", "options"})
GONE = "It is not there any more."
CHANGED = "It was changed at Lightspeed meanwhile."
KEPT = ("id", "sku", "product_codes", "variant_options", "has_inventory", "is_composite")


def read(client: Client, *, external_ids: Sequence[str]) -> list[ListingNow]:
    """Products as they are now; what was deleted is missing."""
    found = (product(client, name) for name in dict.fromkeys(external_ids))
    return [_now(one) for one in found if one is not None]


def product(client: Client, product_id: str) -> Json | None:
    """A product that is there. Raises ConnectorError."""
    try:
        found = row(client.product(product_id=product_id))
    except ConnectorError as error:
        if error.code == "HTTP_404":
            return None
        raise
    return None if found.get("deleted_at") else found


def _now(found: Json) -> ListingNow:
    chosen = options(found)
    return ListingNow(
        external_id=str(found["id"]),
        title=" / ".join(chosen.values()),
        fields=ListingFields(
            sku=text(found.get("sku")), gtin=barcode(found), options=chosen, is_tracked=is_tracked(found),
            sells_past_zero=False,
        ),
        own={name: found.get(name) for name in KEPT},
    )  # fmt: skip


def write(client: Client, *, writes: Sequence[ListingWrite]) -> list[ListingResult]:
    """Each by itself: one that cannot be written stops no other."""
    return [_write(client, one) for one in writes]


def _write(client: Client, one: ListingWrite) -> ListingResult:
    if any(old != new for old, new in (one.after.option_names or {}).items()):
        return ListingResult(WriteOutcome.REFUSED, "An option's name belongs to all products of a Lightspeed shop.")
    there = product(client, one.external_id)
    if there is None:
        return ListingResult(WriteOutcome.STALE, GONE)
    seen, wanted, now = parts(one.before, one.after), _wanted(one, there), parts(there, one.after)
    if now == wanted:
        return ListingResult(WriteOutcome.APPLIED, now=_now(there))
    if any(value not in (seen.get(name), wanted.get(name)) for name, value in now.items()):
        return ListingResult(WriteOutcome.STALE, CHANGED, now=_now(there))
    try:
        client.update_product(product_id=one.external_id, body={"details": details(there, wanted)})
    except ConnectorError as error:
        if not error.permanent or error.needs_reconnect:
            raise
        return ListingResult(WriteOutcome.REFUSED, str(error), now=_now(there))
    after = product(client, one.external_id)
    if after is None:
        return ListingResult(WriteOutcome.STALE, GONE)
    if parts(after, one.after) != wanted:
        return ListingResult(WriteOutcome.REFUSED, "Lightspeed took it and shows something else.", now=_now(after))
    return ListingResult(WriteOutcome.APPLIED, now=_now(after))


def codes(found: Json) -> list[tuple[str, str]]:
    """Type and text of each code, in order."""
    return [(code_type(code), text(code.get("code"))) for code in found.get("product_codes") or []]


def parts(found: Json, after: ListingFields) -> dict[str, Any]:
    """The vendor's values of the fields a write is about. All codes but the SKU are one part: they go together."""
    named: dict[str, Any] = {}
    if after.sku is not None:
        named["sku"] = text(found.get("sku"))
    if after.gtin is not None:
        named["codes"] = [code for code in codes(found) if code[0] != "CUSTOM"]
    if after.options is not None:
        named |= {f"option {name}": value for name, value in options(found).items()}
    return named


def _wanted(one: ListingWrite, there: Json) -> dict[str, Any]:
    if one.put_back is not None:
        return parts(one.put_back, one.after)
    wanted = parts(there, one.after)
    if one.after.sku is not None:
        wanted["sku"] = one.after.sku
    if one.after.gtin is not None:
        wanted["codes"] = _with_barcode(wanted["codes"], one.after.gtin)
    for name, value in (one.after.options or {}).items():
        if f"option {name}" in wanted:
            wanted[f"option {name}"] = value
    return wanted


def _with_barcode(others: Sequence[tuple[str, str]], gtin: str) -> list[tuple[str, str]]:
    """The codes with another barcode: the one that counts as such is replaced, further ones stay."""
    current = next((kind for kind in BARCODE_TYPES for code in others if code[0] == kind), "")
    place = next((index for index, code in enumerate(others) if code[0] == current), len(others))
    new = [(barcode_type(gtin), gtin)] if gtin else []
    return [*others[:place], *new, *others[place + 1 :]]


def barcode_type(gtin: str) -> str:
    """By its length: UPC has 12 digits, ITF 14, EAN 8 or 13."""
    return {12: "UPC", 14: "ITF"}.get(len(gtin), "EAN")


def details(there: Json, wanted: dict[str, Any]) -> dict[str, Any]:
    """The part of an update that is about one product: all its codes, and the option values that change."""
    body: dict[str, Any] = {}
    if "sku" in wanted or "codes" in wanted:
        customs = [code for code in codes(there) if code[0] == "CUSTOM"]
        others = wanted.get("codes", [code for code in codes(there) if code[0] != "CUSTOM"])
        if "sku" in wanted:
            customs = [*([("CUSTOM", wanted["sku"])] if wanted["sku"] else []), *customs[1:]]
        body["product_codes"] = [{"type": kind, "code": code} for kind, code in [*customs, *others]]
    ids = {text(one.get("name")): text(one.get("id")) for one in there.get("variant_options") or []}
    values = [
        {"attribute_id": ids[name.removeprefix("option ")], "attribute_value": value}
        for name, value in wanted.items()
        if name.startswith("option ") and options(there)[name.removeprefix("option ")] != value
    ]
    return body | ({"variant_attribute_values": values} if values else {})

"""What accepting a finding does: each proposal is one kind of deed, done through the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.timezone import now as utc_now

from channels.models import Listing
from inventory import identifiers
from inventory.models import Product, Variant, VariantAlias
from onboarding.findings import consolidating
from onboarding.findings.catalog import canonical_name
from onboarding.findings.questions import BadProposal
from onboarding.journal import Recorder
from onboarding.models import Finding, ListingWish
from storestudio.accounts.models import User

SKU_LENGTH_MAX = 120
VALUE_LENGTH_MAX = 120
Json = Mapping[str, Any]
Kind = Finding.Kind


@dataclass(frozen=True)
class Deed:
    """One acceptance: what is proposed (edits included), which members are left out, how a question was answered."""

    merchant_id: int
    proposal: Json
    excluded: frozenset[str]
    choice: str
    actor: User | None

    def wants(self, kind: str, row_id: object) -> bool:
        """Whether this member takes part; excluded ones are named "variant:7"."""
        return f"{kind}:{row_id}" not in self.excluded


def carry_out(deed: Deed, recorder: Recorder) -> None:
    """Do what is proposed. Raises BadProposal, Question; the caller's transaction must then be rolled back."""
    DEEDS[deed.proposal["op"]](deed, recorder)


def _set_sku(deed: Deed, recorder: Recorder) -> None:
    variant = _variant(deed)
    rename(recorder, {variant.pk: str(deed.proposal["sku"])})


def rename(recorder: Recorder, skus: Mapping[int, str]) -> None:
    """Give variants new SKUs; the old ones stay as aliases, so that late orders and old labels still find them.

    Raises BadProposal where a SKU is empty, too long, or another living variant's.
    """
    merchant_id = recorder.changeset.merchant_id
    rows = {row.pk: row for row in Variant.objects.filter(merchant=merchant_id, pk__in=skus)}
    keys: dict[str, int] = {}
    for pk, sku in skus.items():
        key = identifiers.sku_key(sku)
        if not key or len(sku) > SKU_LENGTH_MAX:
            raise BadProposal("sku", f"“{sku}” is no SKU: 1 to {SKU_LENGTH_MAX} characters are needed.")
        if keys.setdefault(key, pk) != pk:
            raise BadProposal("sku", f"{sku} would be given twice.")
    living = Variant.objects.filter(merchant=merchant_id, archived_at=None, product__archived_at=None)
    other = living.filter(sku_key__in=keys).exclude(pk__in=skus).select_related("product").first()
    if other is not None:
        raise BadProposal("sku", f"{other.sku} is the SKU of {other.full_title}.")
    recorder.update(Variant, {pk: {"sku": sku.strip()} for pk, sku in skus.items()})
    known = set(
        VariantAlias.objects.filter(merchant=merchant_id, kind="sku", variant__in=rows).values_list("variant", "key")
    )
    recorder.make(
        [
            VariantAlias(
                merchant_id=merchant_id, variant=row, kind=VariantAlias.Kind.SKU, value=row.sku, key=row.sku_key
            )
            for row in rows.values()
            if row.sku_key and row.sku_key != identifiers.sku_key(skus[row.pk]) and (row.pk, row.sku_key) not in known
        ]
    )


def _set_gtin(deed: Deed, recorder: Recorder) -> None:
    typed = str(deed.proposal.get("gtin") or "").strip()
    code = identifiers.gtin(typed)
    if typed and not code:
        raise BadProposal("gtin", f"{typed} is no GTIN: 8, 12, 13 or 14 digits with a right check digit are needed.")
    recorder.update(Variant, {_variant(deed).pk: {"gtin": code}})


def _set_price(deed: Deed, recorder: Recorder) -> None:
    try:
        price = Decimal(str(deed.proposal["price"]).strip())
    except InvalidOperation:
        raise BadProposal("price", f"“{deed.proposal['price']}” is no price.") from None
    if not 0 <= price < Decimal(10) ** 10:
        raise BadProposal("price", "A price is 0 or more.")
    recorder.update(Variant, {_variant(deed).pk: {"price": price}})


def _unarchive(deed: Deed, recorder: Recorder) -> None:
    variant = _variant(deed)
    recorder.update(Product, {variant.product_id: {"archived_at": None}})
    recorder.update(Variant, {variant.pk: {"archived_at": None}})


def _write_value(deed: Deed, recorder: Recorder) -> None:
    """One spelling of an option's value, everywhere in the shop."""
    option, to = deed.proposal["option"], _text(deed, "to")
    values = [value for value in deed.proposal["values"] if deed.wants("value", value) and value != to]
    changes: dict[int, dict[str, Any]] = {}
    for variant in _with_values(deed.merchant_id):
        options = {
            name: to if canonical_name(name) == option and value in values else value
            for name, value in variant.options.items()
        }
        if options != variant.options:
            changes[variant.pk] = {"options": options, "title": consolidating.title_of(options)}
    recorder.update(Variant, changes)


def _write_name(deed: Deed, recorder: Recorder) -> None:
    """One spelling of an option's name, everywhere in the shop."""
    to = _text(deed, "to")
    names = {name for name in deed.proposal["values"] if deed.wants("value", name)}
    changes: dict[int, dict[str, Any]] = {}
    for variant in _with_values(deed.merchant_id):
        if not names & set(variant.options) - {to}:
            continue
        options: dict[str, Any] = {}
        for name, value in variant.options.items():
            options.setdefault(to if name in names else name, value)
        changes[variant.pk] = {"options": options}
    recorder.update(Variant, changes)


def _with_values(merchant_id: int) -> Sequence[Variant]:
    return list(Variant.objects.filter(merchant=merchant_id, archived_at=None).exclude(options={}).order_by("pk"))


def _wish(deed: Deed, recorder: Recorder) -> None:
    """What listings should be like on their channel; sent only with a write-back that a person approves."""
    field, value = deed.proposal["field"], deed.proposal["value"]
    wanted = [pk for pk in deed.proposal["listing_ids"] if deed.wants("listing", pk)]
    wish(listing_ids=wanted, field=field, value=value, recorder=recorder)


def wish(*, listing_ids: Sequence[int], field: str, value: object, recorder: Recorder) -> None:
    """Note what these listings should have in a field; an older wish for the same field is replaced."""
    merchant_id = recorder.changeset.merchant_id
    there = {
        row.listing_id: row
        for row in ListingWish.objects.filter(merchant=merchant_id, listing__in=listing_ids, field=field)
    }
    ours = Listing.objects.filter(merchant=merchant_id, pk__in=listing_ids).order_by("pk")
    new = [pk for pk in ours.values_list("pk", flat=True) if pk not in there]
    recorder.make([ListingWish(merchant_id=merchant_id, listing_id=pk, field=field, value=value) for pk in new])
    recorder.update(ListingWish, {row.pk: {"value": value, "made_at": utc_now()} for row in there.values()})


def _merge(deed: Deed, recorder: Recorder) -> None:
    wanted = [pk for pk in deed.proposal["variant_ids"] if deed.wants("variant", pk)]
    consolidating.merge(
        merchant_id=deed.merchant_id, variant_ids=wanted, survivor_id=deed.proposal["survivor_id"],
        choice=deed.choice, recorder=recorder, actor=deed.actor,
    )  # fmt: skip


def _family(deed: Deed, recorder: Recorder) -> None:
    rows = {
        row["variant_id"]: row["options"] for row in deed.proposal["rows"] if deed.wants("variant", row["variant_id"])
    }
    consolidating.make_family(
        merchant_id=deed.merchant_id, product_id=deed.proposal["product_id"], title=_text(deed, "title"), rows=rows,
        choice=deed.choice, recorder=recorder, actor=deed.actor,
    )  # fmt: skip


def _variant(deed: Deed) -> Variant:
    found: Variant | None = Variant.objects.filter(merchant=deed.merchant_id, pk=deed.proposal["variant_id"]).first()
    if found is None:
        raise BadProposal("", "That variant is not there any more.")
    return found


def _text(deed: Deed, name: str) -> str:
    text = " ".join(str(deed.proposal.get(name) or "").split())
    if not text or len(text) > VALUE_LENGTH_MAX:
        raise BadProposal(name, f"1 to {VALUE_LENGTH_MAX} characters are needed.")
    return text


DEEDS: dict[str, Callable[[Deed, Recorder], None]] = {
    "set_sku": _set_sku,
    "set_gtin": _set_gtin,
    "set_price": _set_price,
    "unarchive": _unarchive,
    "write_value": _write_value,
    "write_name": _write_name,
    "wish": _wish,
    "merge": _merge,
    "family": _family,
}

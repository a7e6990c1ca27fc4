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
from onboarding.findings.catalog import canonical_name, written_so
from onboarding.findings.questions import BadProposal
from onboarding.journal import Recorder
from onboarding.models import Finding, ListingWish
from storestudio.accounts.models import User

SKU_LENGTH_MAX = 120
VALUE_LENGTH_MAX = 120
LEAVE_CLASHES = consolidating.LEAVE_OUT  # nobody is there to ask
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


def edited(proposal: Json, typed: Json | None) -> dict[str, Any]:
    """The proposal with its editable fields as typed; nothing else of it can be changed from outside."""
    fields = proposal.get("editable", ())
    said = {name: value for name, value in (typed or {}).items() if name in {field["name"] for field in fields}}
    shown = [field | {"value": said.get(field["name"], field["value"])} for field in fields]
    return dict(proposal) | said | ({"editable": shown} if fields else {})


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
    recorder.update(Variant, {pk: {"sku": skus[pk].strip()} for pk in rows})
    left = {pk: (row.sku, row.sku_key) for pk, row in rows.items() if row.sku_key != identifiers.sku_key(skus[pk])}
    _keep_names(recorder, VariantAlias.Kind.SKU, left)


def _set_gtin(deed: Deed, recorder: Recorder) -> None:
    typed = str(deed.proposal.get("gtin") or "").strip()
    code = identifiers.gtin(typed)
    if typed and not code:
        raise BadProposal("gtin", f"{typed} is no GTIN: 8, 12, 13 or 14 digits with a right check digit are needed.")
    variant = _variant(deed)
    living = Variant.objects.filter(merchant=deed.merchant_id, archived_at=None, product__archived_at=None)
    other = living.filter(gtin=code).exclude(pk=variant.pk).select_related("product").first() if code else None
    if other is not None:
        raise BadProposal("gtin", f"{typed} is the barcode of {other.full_title}.")
    _write_gtins(recorder, {variant.pk: code})


def _clear_gtins(deed: Deed, recorder: Recorder) -> None:
    """These barcodes are no GTINs; scanned, they still find their variants."""
    _write_gtins(recorder, {pk: "" for pk in deed.proposal["variant_ids"] if deed.wants("variant", pk)})


def _write_gtins(recorder: Recorder, codes: Mapping[int, str]) -> None:
    merchant_id = recorder.changeset.merchant_id
    rows = list(Variant.objects.filter(merchant=merchant_id, pk__in=codes).order_by("pk"))
    recorder.update(Variant, {row.pk: {"gtin": codes[row.pk]} for row in rows})
    left = {row.pk: (row.gtin, identifiers.gtin(row.gtin)) for row in rows if codes[row.pk] != row.gtin}
    _keep_names(recorder, VariantAlias.Kind.GTIN, left)


def _keep_names(recorder: Recorder, kind: str, left: Mapping[int, tuple[str, str]]) -> None:
    """What variants were known by (as typed, key) stays as an alias, unless it is another living variant's now."""
    merchant_id = recorder.changeset.merchant_id
    field = "sku_key" if kind == VariantAlias.Kind.SKU else "gtin"
    keys = [key for _, key in left.values() if key]
    living = Variant.objects.filter(merchant=merchant_id, archived_at=None, product__archived_at=None)
    taken = set(living.filter(**{f"{field}__in": keys}).values_list(field, flat=True))
    there = VariantAlias.objects.filter(merchant=merchant_id, kind=kind, variant__in=list(left))
    known = set(there.values_list("variant", "key"))
    recorder.make(
        [
            VariantAlias(merchant_id=merchant_id, variant_id=pk, kind=kind, value=value, key=key)
            for pk, (value, key) in left.items()
            if key and key not in taken and (pk, key) not in known
        ]
    )


def _set_price(deed: Deed, recorder: Recorder) -> None:
    try:
        price = Decimal(str(deed.proposal["price"]).strip())
    except InvalidOperation:
        raise BadProposal("price", f"“{deed.proposal['price']}” is no price.") from None
    if not price.is_finite() or not 0 <= price < Decimal(10) ** 10:
        raise BadProposal("price", "A price is 0 or more.")
    recorder.update(Variant, {_variant(deed).pk: {"price": price}})


def _unarchive(deed: Deed, recorder: Recorder) -> None:
    variant = _variant(deed)
    recorder.update(Product, {variant.product_id: {"archived_at": None}})
    recorder.update(Variant, {variant.pk: {"archived_at": None}})


def _write_value(deed: Deed, recorder: Recorder) -> None:
    """One spelling of an option's value, everywhere in the shop. Raises Question where two variants become one cell."""
    option, to = deed.proposal["option"], _text(deed, "to")
    values = {value for value in deed.proposal["values"] if deed.wants("value", value)} - {to}
    changes: dict[int, dict[str, Any]] = {}
    for variant in written_so(deed.merchant_id, part="value", spellings=values):
        options = {
            name: to if str(value) in values and canonical_name(name) == option else value
            for name, value in variant.options.items()
        }
        if options != variant.options:
            changes[variant.pk] = {"options": options}
    _place(deed, recorder, changes)


def _write_name(deed: Deed, recorder: Recorder) -> None:
    """One spelling of an option's name, everywhere in the shop."""
    to = _text(deed, "to")
    names = {name for name in deed.proposal["values"] if deed.wants("value", name)} - {to}
    changes: dict[int, dict[str, Any]] = {}
    for variant in written_so(deed.merchant_id, part="key", spellings=names):
        own = names & set(variant.options)
        if not own or (to in variant.options and any(variant.options[name] != variant.options[to] for name in own)):
            continue  # "Color" and "Colour" of one variant that say two things: nobody can know which holds
        options: dict[str, Any] = {}
        for name, value in variant.options.items():
            options.setdefault(to if name in names else name, value)
        changes[variant.pk] = {"options": options}
    _place(deed, recorder, changes)


def _place(deed: Deed, recorder: Recorder, changes: Mapping[int, Mapping[str, Any]]) -> None:
    consolidating.place(
        merchant_id=deed.merchant_id, changes=changes, choice=deed.choice, recorder=recorder, actor=deed.actor
    )


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
        row["variant_id"]: _typed_options(deed, row)
        for row in deed.proposal["rows"]
        if deed.wants("variant", row["variant_id"])
    }
    consolidating.make_family(
        merchant_id=deed.merchant_id, product_id=deed.proposal["product_id"], title=_text(deed, "title"), rows=rows,
        choice=deed.choice, recorder=recorder, actor=deed.actor,
    )  # fmt: skip


def _typed_options(deed: Deed, row: Json) -> dict[str, str]:
    """The row's options, with their values as a person typed them: "M / Sand"."""
    names = deed.proposal.get("names") or list(row["options"])
    options: dict[str, str] = {name: row["options"][name] for name in names if name in row["options"]}
    field = f"row:{row['variant_id']}"
    if field not in deed.proposal:
        return options
    values = [" ".join(value.split()) for value in str(deed.proposal[field]).split(" / ")]
    if len(values) != len(options) or not all(values) or any(len(value) > VALUE_LENGTH_MAX for value in values):
        raise BadProposal(field, f"{len(options)} values are needed: {' / '.join(options)}.")
    return dict(zip(options, values, strict=True))


def _exclude(deed: Deed, recorder: Recorder) -> None:
    """A channel lists one thing twice: one listing stays, the others are left alone on purpose."""
    listings = Listing.objects.filter(merchant=deed.merchant_id, pk__in=deed.proposal["listing_ids"], deleted_at=None)
    wanted = [row for row in listings.order_by("pk") if deed.wants("listing", row.pk)]
    kept = Listing.objects.filter(merchant=deed.merchant_id, pk=deed.proposal["kept_id"], deleted_at=None).first()
    if kept is None or not wanted or not deed.wants("listing", kept.pk):
        raise BadProposal("", "One listing that stays and one that goes are needed.")
    variant = kept.variant or next((row.variant for row in wanted if row.variant is not None), None)
    for row in wanted:
        recorder.link(listing=row, variant=None, actor=deed.actor, reason=f"the same thing as {kept.sku or kept.pk}")
    if variant is not None and kept.variant is None:
        recorder.link(listing=kept, variant=variant, actor=deed.actor)


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
    "clear_gtins": _clear_gtins,
    "exclude": _exclude,
    "merge": _merge,
    "family": _family,
}

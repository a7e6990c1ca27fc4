"""Several things in the catalog become one: duplicates merged, flat products made variants of one product.

Orders, movements, holds and channel listings hang on variants, so a family keeps them by keeping its variants; a merge
hands them over (inventory/merging.py). What cannot be decided by rule is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.timezone import now as utc_now

from channels import linking
from channels.models import Listing
from inventory import merging
from inventory.models import Product, Variant
from onboarding.findings.questions import BadProposal, Question
from onboarding.journal import Recorder
from storestudio.accounts.models import User

MERGE_THEM, LEAVE_OUT, KEEP_LISTING = "merge", "leave", "keep:"


def title_of(options: Mapping[str, Any]) -> str:
    """A variant's title: its option values."""
    return " / ".join(str(value) for value in options.values())[:300]


def merge(
    *,
    merchant_id: int,
    variant_ids: Sequence[int],
    survivor_id: int,
    choice: str,
    recorder: Recorder,
    actor: User | None,
) -> None:
    """Make duplicates part of the survivor, listings, orders, stock and all.

    Raises Question where one channel lists two of them: only one listing of a channel can show the survivor's number,
    the other is excluded on purpose. Raises BadProposal.
    """
    living = Variant.objects.filter(merchant=merchant_id, pk__in=variant_ids, archived_at=None).select_related(
        "product"
    )
    rows = {row.pk: row for row in living.order_by("pk")}
    if len(rows) < 2:
        raise BadProposal("", "Two or more variants that are in use are needed.")
    survivor = rows.pop(survivor_id, None) or rows.pop(min(rows))
    _move_listings(survivor, rows, choice=choice, recorder=recorder, actor=actor)
    for duplicate in rows.values():
        _fill_gaps(survivor, duplicate, recorder)
        try:
            recorder.merge(survivor=survivor, duplicate=duplicate, actor=actor)
        except merging.CannotMerge as error:
            raise BadProposal("", str(error)) from error
    _archive_empty(merchant_id, {row.product_id for row in rows.values()} - {survivor.product_id}, recorder)


def _move_listings(
    survivor: Variant, duplicates: Mapping[int, Variant], *, choice: str, recorder: Recorder, actor: User | None
) -> None:
    by_channel: dict[int, list[Listing]] = defaultdict(list)
    found = Listing.objects.filter(variant__in=[survivor.pk, *duplicates], deleted_at=None)
    for listing in found.select_related("connection").order_by("pk"):
        by_channel[listing.connection_id].append(listing)
    for listings in by_channel.values():
        stays = listings[0] if len(listings) == 1 else _staying(listings, choice)
        for listing in listings:
            if listing.pk != stays.pk:
                recorder.link(listing=listing, variant=None, actor=actor, reason=f"the same thing as {stays.sku}")
        if stays.variant_id == survivor.pk:
            continue
        try:
            recorder.link(listing=stays, variant=survivor, actor=actor)
        except linking.CannotLink as error:
            raise BadProposal("", str(error)) from error


def _staying(listings: Sequence[Listing], choice: str) -> Listing:
    """The listing a person chose to stay; one answer may settle several channels only by naming one of each."""
    for listing in listings:
        if f"{KEEP_LISTING}{listing.pk}" in choice.split(","):
            return listing
    asked = ",".join(part for part in choice.split(",") if part.startswith(KEEP_LISTING))
    before = f"{asked}," if asked else ""
    raise Question(
        f"{listings[0].connection.label} lists it {len(listings)} times. Which listing stays? "
        "The others are excluded on purpose: hide them there.",
        [
            (f"{before}{KEEP_LISTING}{one.pk}", f"{one.sku or 'no SKU'}: {one.product_title} {one.title}".strip())
            for one in listings
        ],
    )


def _fill_gaps(survivor: Variant, duplicate: Variant, recorder: Recorder) -> None:
    """What only the duplicate knew, the survivor knows from now on."""
    gaps = {
        name: getattr(duplicate, name)
        for name in ("sku", "gtin", "price")
        if not getattr(survivor, name) and getattr(duplicate, name)
    }
    if gaps:
        recorder.update(Variant, {survivor.pk: gaps})
        survivor.refresh_from_db()


def make_family(
    *,
    merchant_id: int,
    product_id: int,
    title: str,
    rows: Mapping[int, Mapping[str, str]],
    choice: str,
    recorder: Recorder,
    actor: User | None,
) -> None:
    """Make these variants variants of one product, with these options.

    Raises Question where two of them, or one and a variant the product has already, would be the same cell.
    Raises BadProposal.
    """
    variants = {
        row.pk: row
        for row in Variant.objects.filter(merchant=merchant_id, pk__in=rows, archived_at=None).order_by("pk")
    }
    product = Product.objects.filter(merchant=merchant_id, pk=product_id).first()
    if product is None or len(variants) < 2:
        raise BadProposal("", "A product and two or more variants that are in use are needed.")
    cells: dict[tuple[str, ...], list[int]] = defaultdict(list)
    settled = Variant.objects.filter(product=product, archived_at=None).exclude(pk__in=variants)
    for pk, options in [*settled.values_list("pk", "options"), *((pk, rows[pk]) for pk in variants)]:
        cells[_cell(options)].append(pk)
    clashes = {cell: ids for cell, ids in cells.items() if len(ids) > 1}
    if clashes and choice.split(",")[0] not in (MERGE_THEM, LEAVE_OUT):
        raise _clash(variants, clashes)
    left_out = {pk for ids in clashes.values() for pk in ids[1:]} if choice.startswith(LEAVE_OUT) else set()
    moved = [row for pk, row in variants.items() if pk not in left_out]
    old_products = {row.product_id for row in moved} - {product.pk}
    recorder.update(Product, {product.pk: {"title": title, "archived_at": None}})
    recorder.update(
        Variant,
        {
            row.pk: {"product_id": product.pk, "options": dict(rows[row.pk]), "title": title_of(rows[row.pk])}
            for row in moved
        },
    )
    if choice.startswith(MERGE_THEM):
        for ids in clashes.values():
            merge(
                merchant_id=merchant_id, variant_ids=ids, survivor_id=ids[0], choice=choice, recorder=recorder,
                actor=actor,
            )  # fmt: skip
    _archive_empty(merchant_id, old_products, recorder)


def _cell(options: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(sorted(f"{name.casefold()}={str(value).casefold()}" for name, value in options.items()))


def _clash(variants: Mapping[int, Variant], clashes: Mapping[tuple[str, ...], Sequence[int]]) -> Question:
    ids = next(iter(clashes.values()))
    named = Variant.objects.filter(pk__in=ids).select_related("product").order_by("pk")
    words = " and ".join(f"{one.full_title} ({one.sku or 'no SKU'})" for one in named)
    return Question(
        f"{words} would be the same variant. What are they?",
        [
            (MERGE_THEM, "The same thing: merge them, stock and orders and all"),
            (LEAVE_OUT, f"Two things: leave {', '.join(one.sku or one.full_title for one in named[1:])} out for now"),
        ],
    )


def _archive_empty(merchant_id: int, product_ids: set[int], recorder: Recorder) -> None:
    """Products that have lost their last living variant go out of sight."""
    kept = Variant.objects.filter(product__in=product_ids, archived_at=None).values_list("product", flat=True)
    empty = Product.objects.filter(merchant=merchant_id, pk__in=product_ids - set(kept), archived_at=None)
    now = utc_now()
    recorder.update(Product, {pk: {"archived_at": now} for pk in empty.values_list("pk", flat=True)})

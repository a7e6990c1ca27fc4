"""Several things in the catalog become one: duplicates merged, flat products made variants of one product.

Orders, movements, holds and channel listings hang on variants, so a family keeps them by keeping its variants; a merge
hands them over (inventory/merging.py). What cannot be decided by rule is asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.timezone import now as utc_now

from channels import linking, registry
from channels.models import Listing
from inventory import merging
from inventory.models import Product, Variant
from onboarding.findings.questions import BadProposal, Question
from onboarding.journal import Recorder
from storestudio.accounts.models import User

MERGE_THEM, LEAVE_OUT, ANOTHER_VALUE, KEEP_LISTING = "merge", "leave", "another", "keep:"
Cell = tuple[int, frozenset[tuple[str, str]]]


def title_of(options: Mapping[str, Any]) -> str:
    """A variant's title: its option values, in the order given; the database keeps none."""
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
    # The shop's own site lists every variant by itself, and drops what is archived.
    found = Listing.objects.filter(variant__in=[survivor.pk, *duplicates], deleted_at=None).exclude(
        connection__channel=registry.OWN
    )
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
    """The listing a person chose to stay, of those that one channel has."""
    answers = answers_of(choice)
    for listing in listings:
        if f"{KEEP_LISTING}{listing.pk}" in answers:
            return listing
    raise Question(
        f"{listings[0].connection.label} lists it {len(listings)} times. Which listing stays? "
        "The others are excluded on purpose: hide them there.",
        [
            (
                ",".join([*answers, f"{KEEP_LISTING}{one.pk}"]),
                f"{one.sku or 'no SKU'}: {' · '.join(part for part in (one.product_title, one.title) if part)}",
            )
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
    old_products = {row.product_id for row in variants.values()} - {product.pk}
    recorder.update(Product, {product.pk: {"title": title, "archived_at": None}})
    place(
        merchant_id=merchant_id,
        changes={pk: {"product_id": product.pk, "options": dict(rows[pk])} for pk in variants},
        choice=choice,
        recorder=recorder,
        actor=actor,
    )
    _archive_empty(merchant_id, old_products, recorder)


def place(
    *,
    merchant_id: int,
    changes: Mapping[int, Mapping[str, Any]],
    choice: str,
    recorder: Recorder,
    actor: User | None,
) -> None:
    """Give variants other options, and perhaps another product, so that no product has one cell twice.

    `changes`: by variant, its new `options` and, where it moves, its `product_id`. Two variants that would be the
    same cell are asked about (Question); answered, they are merged, told apart by another value, or left as they are.
    """
    products = {change["product_id"] for change in changes.values() if "product_id" in change}
    rows = Variant.objects.filter(merchant=merchant_id, archived_at=None)
    moving = {row.pk: row for row in rows.filter(pk__in=changes)}
    products |= {row.product_id for row in moving.values()}
    there = {row.pk: row for row in rows.filter(product__in=products)} | moving
    clashes = _clashes(there, changes)
    answers = answers_of(choice)
    if clashes and not {MERGE_THEM, LEAVE_OUT, ANOTHER_VALUE} & set(answers):
        raise _question(clashes, changes, answers)
    wanted = {pk: dict(change) for pk, change in changes.items() if pk in moving}
    if LEAVE_OUT in answers:
        wanted = {pk: change for pk, change in wanted.items() if all(pk not in ids[1:] for ids in clashes)}
    elif ANOTHER_VALUE in answers:
        for ids in clashes:
            _tell_apart(ids, wanted)
    for pk, change in wanted.items():
        row = moving[pk]
        change["title"] = title_of(change["options"]) if "product_id" in change else _retitled(row, change["options"])
    recorder.update(Variant, wanted)
    if MERGE_THEM in answers:
        for ids in clashes:
            merge(
                merchant_id=merchant_id, variant_ids=ids, survivor_id=ids[0], choice=choice, recorder=recorder,
                actor=actor,
            )  # fmt: skip


def _retitled(row: Variant, options: Mapping[str, Any]) -> str:
    """The title with its values as they are now, in the order it had; a title that says something else stays."""
    parts = row.title.split(" / ")
    if not row.title:
        return title_of(options)
    names = {str(value): name for name, value in row.options.items()}
    if sorted(parts) != sorted(str(value) for value in row.options.values()) or len(names) != len(parts):
        return row.title
    return " / ".join(str(options.get(names[part], part)) for part in parts)[:300]


def answers_of(choice: str) -> list[str]:
    """What was answered so far: a deed may have to ask more than once."""
    return [answer for answer in choice.split(",") if answer]


def _clashes(there: Mapping[int, Variant], changes: Mapping[int, Mapping[str, Any]]) -> list[list[int]]:
    """Variants that would come to share a cell; those that stay as they are first, then the oldest.

    What shared one before is no matter of this change.
    """
    cells: dict[Cell, list[int]] = defaultdict(list)
    before = {pk: _cell(row.product_id, row.options) for pk, row in there.items()}
    for pk in sorted(there, key=lambda one: (one in changes, one)):
        change = changes.get(pk)
        after = (
            before[pk] if change is None else _cell(change.get("product_id", there[pk].product_id), change["options"])
        )
        cells[after].append(pk)
    return [ids for ids in cells.values() if len({before[pk] for pk in ids}) > 1]


def _cell(product_id: int, options: Mapping[str, Any]) -> Cell:
    return product_id, frozenset((name.casefold(), str(value).casefold()) for name, value in options.items())


def _question(
    clashes: Sequence[Sequence[int]], changes: Mapping[int, Mapping[str, Any]], answers: Sequence[str]
) -> Question:
    named = Variant.objects.select_related("product").in_bulk([pk for ids in clashes for pk in ids])
    shown = [" and ".join(_named(named[pk]) for pk in ids) for ids in clashes[:3]]
    more = f", and so would {len(clashes) - 3} more" if len(clashes) > 3 else ""
    left = ", ".join(_named(named[pk]) for ids in clashes[:3] for pk in ids[1:])
    choices = [
        (MERGE_THEM, "The same thing: merge them, stock and orders and all"),
        (LEAVE_OUT, f"Leave {left} as it is for now"),
    ]
    if all(changes[pk]["options"] for ids in clashes for pk in ids[1:] if pk in changes):
        choices.insert(1, (ANOTHER_VALUE, "Two things: keep both, told apart by another value"))
    return Question(
        f"{'; '.join(shown)} would be the same variant{more}. What are they?",
        [(",".join([*answers, value]), words) for value, words in choices],
    )


def _named(variant: Variant) -> str:
    return f"{variant.full_title} ({variant.sku or 'no SKU'})"


def _tell_apart(ids: Sequence[int], wanted: dict[int, dict[str, Any]]) -> None:
    """ "Sand", "Sand (2)", "Sand (3)": somebody who knows the goods renames them later."""
    for number, pk in enumerate(ids[1:], start=2):
        if pk in wanted:
            options = wanted[pk]["options"]
            last = list(options)[-1]
            wanted[pk]["options"] = options | {last: f"{options[last]} ({number})"}


def _archive_empty(merchant_id: int, product_ids: set[int], recorder: Recorder) -> None:
    """Products that have lost their last living variant go out of sight."""
    kept = Variant.objects.filter(product__in=product_ids, archived_at=None).values_list("product", flat=True)
    empty = Product.objects.filter(merchant=merchant_id, pk__in=product_ids - set(kept), archived_at=None)
    now = utc_now()
    recorder.update(Product, {pk: {"archived_at": now} for pk in empty.values_list("pk", flat=True)})

"""Writing catalog fields, what every connector must do alike: based on a read, never blind, and nothing else lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as fields_of
from datetime import UTC, datetime
from typing import Any

import pytest

from channels.ports import (
    Connector,
    ConnectorError,
    ListingFields,
    ListingNow,
    ListingResult,
    ListingWrite,
    WriteOutcome,
)
from channels.sandbox.models import Fault
from tests.contract.adapters import SKUS, Adapter, Shop

pytestmark = pytest.mark.django_db(transaction=True)

EAN = "4006381333931"
APPLIED, STALE, REFUSED = WriteOutcome.APPLIED, WriteOutcome.STALE, WriteOutcome.REFUSED


def read(connector: Connector, shop: Shop, index: int) -> ListingNow:
    (now,) = connector.read_listings(external_ids=[shop.variants[index].listing_id])
    return now


def change(
    connector: Connector, shop: Shop, index: int, *, put_back: Mapping[str, Any] | None = None, **after: Any
) -> ListingWrite:
    """A write based on a fresh read."""
    variant = shop.variants[index]
    return ListingWrite(
        external_id=variant.listing_id,
        inventory_id=variant.inventory_id,
        product_external_id=variant.product_id,
        before=read(connector, shop, index).own,
        after=ListingFields(**after),
        put_back=put_back,
    )


def send(connector: Connector, *writes: ListingWrite, key: str = "key-1") -> list[ListingResult]:
    return list(connector.write_listings(writes=writes, idempotency_key=key, now=datetime.now(UTC)))


def outcomes(results: list[ListingResult]) -> list[WriteOutcome]:
    return [result.outcome for result in results]


def everything(connector: Connector) -> dict[str, Any]:
    """Another value for every field the channel says it can write."""
    name = "Variation" if connector.capabilities.joins_options else "Size"
    wanted = {
        "sku": "CLEAN-1", "gtin": EAN, "options": {name: "XL"}, "is_tracked": False, "sells_past_zero": True,
    }  # fmt: skip
    return {name: value for name, value in wanted.items() if name in connector.capabilities.listing_fields}


def test_what_a_channel_says_it_can_write_are_fields_we_know(connector: Connector) -> None:
    capabilities = connector.capabilities

    assert capabilities.listing_fields <= {field.name for field in fields_of(ListingFields)}
    assert {"sku", "gtin"} <= capabilities.listing_fields
    assert capabilities.listing_batch_max > 1


def test_listings_are_read_as_the_catalog_tells_them_and_unknown_ones_are_missing(
    connector: Connector, shop: Shop
) -> None:
    real = shop.variants[0].listing_id
    strange = real[:-4] + ("9999" if not real.endswith("9999") else "8888")

    (now,) = connector.read_listings(external_ids=[real, strange])

    (listed,) = [one for one in connector.page_catalog(cursor="", since=None).listings if one.external_id == real]
    assert (now.external_id, now.title) == (listed.external_id, listed.title)
    assert (now.fields.sku, now.fields.gtin, now.fields.options) == (listed.sku, listed.barcode, listed.options)
    assert (now.fields.is_tracked, now.fields.sells_past_zero) == (listed.is_tracked, listed.sells_past_zero)


def test_every_field_is_written_and_shown_by_the_catalog(connector: Connector, shop: Shop) -> None:
    wanted = everything(connector)

    (result,) = send(connector, change(connector, shop, 0, **wanted))

    assert result.outcome is APPLIED, result.message
    assert result.now is not None
    shown = read(connector, shop, 0)
    assert {name: getattr(shown.fields, name) for name in wanted} == wanted
    assert result.now.fields == shown.fields
    assert result.now.title == shown.title == "XL"


def test_only_the_wanted_field_changes_and_all_else_stays_as_it_was(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    before = str(adapter.described(shop=shop, variant=shop.variants[0]))
    neighbour = adapter.described(shop=shop, variant=shop.variants[1])

    assert outcomes(send(connector, change(connector, shop, 0, sku="CLEAN-1"))) == [APPLIED]

    after = str(adapter.described(shop=shop, variant=shop.variants[0]))
    assert "CLEAN-1" in after
    assert after.replace("CLEAN-1", SKUS[0]) == before
    assert adapter.described(shop=shop, variant=shop.variants[1]) == neighbour


def test_what_somebody_changed_meanwhile_is_stale_and_not_overwritten(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    mine, other = change(connector, shop, 0, sku="CLEAN-1"), change(connector, shop, 1, sku="CLEAN-2")
    adapter.rename(shop=shop, variant=shop.variants[0], sku="BY-HAND")

    results = send(connector, mine, other)

    assert outcomes(results) == [STALE, APPLIED]
    assert results[0].now is not None
    assert results[0].now.fields.sku == "BY-HAND"
    assert read(connector, shop, 0).fields.sku == "BY-HAND"


def test_what_was_deleted_meanwhile_is_stale(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    mine = change(connector, shop, 0, sku="CLEAN-1")
    adapter.remove(shop=shop, variant=shop.variants[0])

    assert outcomes(send(connector, mine)) == [STALE]


def test_the_same_write_again_has_no_further_effect(connector: Connector, shop: Shop, adapter: Adapter) -> None:
    writes = [change(connector, shop, 0, sku="CLEAN-1"), change(connector, shop, 1, gtin=EAN)]
    send(connector, *writes)
    once = [read(connector, shop, 0).own, read(connector, shop, 1).own]

    assert outcomes(send(connector, *writes)) == [APPLIED, APPLIED]
    assert outcomes(send(connector, *writes, key="key-2")) == [APPLIED, APPLIED]

    assert [read(connector, shop, 0).own, read(connector, shop, 1).own] == once


def test_a_lost_answer_leaves_the_outcome_unknown_and_the_repeat_finds_it_done(
    channel: str, connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    mine = change(connector, shop, 0, sku="CLEAN-1")
    Fault.objects.create(
        vendor=channel, kind=Fault.Kind.TIMEOUT_AFTER, operation=adapter.listing_write_operation, remaining=1
    )

    with pytest.raises(ConnectorError) as lost:
        send(connector, mine)
    done = read(connector, shop, 0)

    assert lost.value.is_outcome_unknown
    assert done.fields.sku == "CLEAN-1"
    assert outcomes(send(connector, mine)) == [APPLIED]
    assert read(connector, shop, 0) == done


def test_one_that_cannot_be_written_is_refused_and_the_others_are_written(connector: Connector, shop: Shop) -> None:
    wrong = change(connector, shop, 0, sku="X" * (connector.capabilities.sku_length_max + 1))
    right = change(connector, shop, 1, sku="CLEAN-2")

    results = send(connector, wrong, right)

    assert outcomes(results) == [REFUSED, APPLIED]
    assert results[0].message
    assert read(connector, shop, 0).fields.sku == SKUS[0]


def test_putting_back_restores_what_the_vendor_had_to_the_byte(
    connector: Connector, shop: Shop, adapter: Adapter
) -> None:
    described, seen = adapter.described(shop=shop, variant=shop.variants[0]), read(connector, shop, 0)
    wanted = everything(connector)
    send(connector, change(connector, shop, 0, **wanted))
    assert adapter.described(shop=shop, variant=shop.variants[0]) != described  # control
    back = {name: getattr(seen.fields, name) for name in wanted}

    results = send(connector, change(connector, shop, 0, put_back=seen.own, **back), key="key-2")

    assert outcomes(results) == [APPLIED]
    assert adapter.described(shop=shop, variant=shop.variants[0]) == described


def test_control_without_the_earlier_document_an_absent_barcode_stays_absent_too(
    connector: Connector, shop: Shop
) -> None:
    send(connector, change(connector, shop, 0, gtin=EAN))

    assert outcomes(send(connector, change(connector, shop, 0, gtin=""), key="key-2")) == [APPLIED]
    assert read(connector, shop, 0).fields.gtin == ""


def test_our_own_write_changes_nothing_when_the_catalog_is_read_afterwards(connector: Connector, shop: Shop) -> None:
    (result,) = send(connector, change(connector, shop, 0, **everything(connector)))

    (listed,) = [
        one
        for one in connector.page_catalog(cursor="", since=None).listings
        if one.external_id == shop.variants[0].listing_id
    ]

    assert result.now is not None
    told = result.now.fields
    assert (told.sku, told.gtin, told.options) == (listed.sku, listed.barcode, listed.options)
    assert (told.is_tracked, told.sells_past_zero) == (listed.is_tracked, listed.sells_past_zero)

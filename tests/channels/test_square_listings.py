"""What we send to Square's catalog: the whole variation, one field changed, as the vendor's schema has it."""

import copy

import pytest

from channels.connectors.square.mapping import listings
from channels.ports import ListingFields, ListingWrite
from tests.sandbox.square_shop import SCHEMAS, conforms

needs_contract = pytest.mark.skipif(
    not SCHEMAS.exists(), reason="the vendor's schemas (../shared/contracts/square) are not here"
)
VARIATION = {
    "type": "ITEM_VARIATION",
    "id": "V1",
    "version": 1786500000000,
    "updated_at": "2026-08-12T03:20:00Z",
    "is_deleted": False,
    "present_at_all_locations": True,
    "custom_attribute_values": {"till": {"name": "Aisle", "key": "till", "type": "STRING", "string_value": "4"}},
    "item_variation_data": {
        "item_id": "I1",
        "name": "Regular",
        "sku": "mug 1",
        "pricing_type": "FIXED_PRICING",
        "price_money": {"amount": 500, "currency": "GBP"},
        "location_overrides": [
            {"location_id": "L1", "track_inventory": False, "sold_out": True},
            {"location_id": "L2", "sold_out": True},
            {"location_id": "L3", "price_money": {"amount": 450, "currency": "GBP"}},
        ],
    },
}


def a_write(*, put_back=None, before=None, **after):
    return ListingWrite(
        external_id="V1", inventory_id="V1", product_external_id="I1", before=before or VARIATION,
        after=ListingFields(**after), put_back=put_back,
    )  # fmt: skip


def stored(entry):
    """Without what is Square's own to print."""
    entry = copy.deepcopy(entry)
    data = entry["item_variation_data"]
    data["location_overrides"] = [
        {name: value for name, value in one.items() if name != "sold_out"}
        for one in data["location_overrides"]
        if set(one) - {"location_id", "sold_out"}
    ]
    return entry


@needs_contract
def test_the_object_is_one_the_vendors_schema_allows():
    after = {"sku": "MUG-1", "gtin": "4006381333931", "options": {"Variation": "Red, XL"}, "is_tracked": True}
    conforms(listings.changed(a_write(**after)), "CatalogObject_ItemVariation")


@needs_contract
def test_control_a_barcode_that_is_no_text_is_told():
    entry = listings.changed(a_write(gtin="4006381333931"))
    entry["item_variation_data"]["upc"] = 4006381333931

    with pytest.raises(Exception, match="is not valid"):
        conforms(entry, "CatalogObject_ItemVariation")


def test_everything_but_the_wanted_field_goes_back_as_it_was_read():
    sent = listings.changed(a_write(sku="MUG-1"))

    assert sent["item_variation_data"].pop("sku") == "MUG-1"
    rest = stored(VARIATION)
    del rest["item_variation_data"]["sku"]
    assert sent == rest
    assert VARIATION["item_variation_data"]["sku"] == "mug 1"  # what was read is not touched


def test_counting_is_switched_on_where_a_place_had_it_off_by_exception():
    data = listings.changed(a_write(is_tracked=True))["item_variation_data"]

    assert data["track_inventory"] is True
    assert [one.get("track_inventory") for one in data["location_overrides"]] == [True, None]


def test_put_back_makes_what_was_absent_absent_again_at_every_place():
    written = listings.changed(
        a_write(sku="MUG-1", gtin="4006381333931", options={"Variation": "Red"}, is_tracked=True)
    )
    back = a_write(before=written, put_back=VARIATION, sku="mug 1", gtin="", options={}, is_tracked=False)

    assert listings.changed(back) == stored(VARIATION)
    assert not listings.is_as_wanted(back, written)
    assert listings.is_as_wanted(back, listings.changed(back))


def test_a_name_that_square_makes_of_option_sets_is_not_written():
    made = copy.deepcopy(VARIATION)
    made["item_variation_data"]["item_option_values"] = [{"item_option_id": "O1", "item_option_value_id": "V1"}]

    assert listings.refusal(a_write(before=made, options={"Variation": "Red"}))
    assert not listings.refusal(a_write(before=made, sku="MUG-1"))
    assert not listings.refusal(a_write(options={"Variation": "Red"}))

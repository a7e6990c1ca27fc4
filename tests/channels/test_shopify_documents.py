"""What we send to Shopify, held against the vendor's own schema and cost limit where that is there."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from graphql import OperationDefinitionNode, parse

from channels.connectors.shopify import connector, documents, listings, mapping, webhooks
from channels.ports import CountWrite, HintKind, ListingFields, ListingWrite

CHECK = Path(__file__).resolve().parents[3] / "shared/contracts/shopify/check.py"
needs_contract = pytest.mark.skipif(
    not CHECK.exists(), reason="the vendor contracts are not there (../shared/contracts/shopify)"
)
SENT = {
    name: text
    for name, text in vars(documents).items()
    if name.isupper() and not name.startswith("_") and isinstance(text, str)
}
# How many ids one call really carries; check.py assumes forty where a variable hides the list.
IDS_MAX = {
    "LEVELS": connector.ITEMS_MAX,
    "WIDE_LEVELS": connector.WIDE_ITEMS_MAX,
    "LISTINGS": listings.READS_MAX,
    "FULFILLMENT_ORDER_OWNERS": connector.ITEMS_MAX,
    "LIST_NODES": connector.LIST_CHUNK,
}
IDS_ASSUMED = 40
COST_MAX = 1000


@cache
def vendor() -> ModuleType:
    spec = importlib.util.spec_from_file_location("shopify_contract", CHECK)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def a_write(**changes: object) -> CountWrite:
    given = {
        "inventory_id": "gid://shopify/InventoryItem/41", "location_id": "gid://shopify/Location/21",
        "from_quantity": Decimal(10), "to_quantity": Decimal(7),
    } | changes  # fmt: skip
    return CountWrite(**given)  # type: ignore[arg-type]


def cost(name: str, text: str) -> int:
    document = parse(text)
    (operation,) = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    points = int(vendor().estimate_cost(document, operation))
    return points * IDS_MAX[name] // IDS_ASSUMED if name in IDS_MAX else points


def test_there_are_documents_to_check() -> None:
    assert len(SENT) >= 15


@needs_contract
@pytest.mark.parametrize("name", sorted(SENT))
def test_every_document_is_valid_and_uses_nothing_deprecated(name: str) -> None:
    assert vendor().check(SENT[name]) == ([], [])


@needs_contract
@pytest.mark.parametrize("name", sorted(SENT))
def test_every_document_costs_less_than_a_single_query_may(name: str) -> None:
    assert cost(name, SENT[name]) < COST_MAX


@needs_contract
def test_control_a_document_of_unknown_fields_or_too_large_pages_is_told() -> None:
    wrong = documents.SHOP_LOCATIONS.replace("isActive", "isOpen")
    large = documents.CATALOG_PAGE.replace("first: 100", "first: 250")

    assert vendor().check(wrong)[0]
    assert cost("CATALOG_PAGE", large) >= COST_MAX


@needs_contract
def test_the_mutation_that_needs_it_is_idempotent_and_control_without_it_is_told() -> None:
    assert "inventorySetQuantities" in vendor().IDEMPOTENT
    without = documents.SET_QUANTITIES.replace("@idempotent(key: $key)", "")

    assert any("@idempotent" in error for error in vendor().check(without)[0])


@needs_contract
def test_what_we_set_is_a_valid_input_of_the_vendors() -> None:
    variables = {"input": mapping.set_input([a_write()], key="K1"), "key": "K1"}

    assert vendor().check_variables(documents.SET_QUANTITIES, "StudioSet", variables) == []


@needs_contract
def test_control_an_entry_without_what_we_believe_is_told() -> None:
    given = mapping.set_input([a_write()], key="K1")
    for entry in given["quantities"]:
        del entry["changeFromQuantity"]

    variables = {"input": given, "key": "K1"}
    assert vendor().check_variables(documents.SET_QUANTITIES, "StudioSet", variables)


def a_change(**changes: object) -> ListingWrite:
    own = {
        "id": "gid://shopify/ProductVariant/31", "barcode": None, "inventoryPolicy": "CONTINUE",
        "selectedOptions": [{"name": "Size", "value": "xl "}],
        "inventoryItem": {"id": "gid://shopify/InventoryItem/41", "sku": None, "tracked": False},
    }  # fmt: skip
    after = ListingFields(
        sku="CLEAN-1", gtin="4006381333931", options={"Size": "XL"}, is_tracked=True, sells_past_zero=False
    )
    given = {
        "external_id": own["id"], "inventory_id": "gid://shopify/InventoryItem/41",
        "product_external_id": "gid://shopify/Product/21", "before": own, "after": after,
    } | changes  # fmt: skip
    return ListingWrite(**given)  # type: ignore[arg-type]


@needs_contract
def test_what_we_write_to_a_variant_is_a_valid_input_of_the_vendors_and_puts_back_nothing_as_null() -> None:
    there = listings.variant_input(a_change())
    back = listings.variant_input(a_change(before={**a_change().before, "barcode": "1"}, put_back=a_change().before))

    for entry in (there, back):
        variables = {"product": "gid://shopify/Product/21", "variants": [entry]}
        assert vendor().check_variables(documents.UPDATE_VARIANTS, "StudioUpdateVariants", variables) == []
    assert there["inventoryItem"] == {"sku": "CLEAN-1", "tracked": True}
    assert (back["barcode"], back["inventoryPolicy"]) == (None, "CONTINUE")


@needs_contract
def test_control_a_sku_beside_the_item_is_told() -> None:
    entry = listings.variant_input(a_change()) | {"sku": "CLEAN-1"}
    variables = {"product": "gid://shopify/Product/21", "variants": [entry]}

    assert vendor().check_variables(documents.UPDATE_VARIANTS, "StudioUpdateVariants", variables)


@needs_contract
def test_an_options_new_name_is_a_valid_input_of_the_vendors() -> None:
    variables = {
        "product": "gid://shopify/Product/21",
        "option": {"id": "gid://shopify/ProductOption/1", "name": "Colour"},
    }

    assert vendor().check_variables(documents.RENAME_OPTION, "StudioRenameOption", variables) == []


def test_only_the_wanted_fields_are_sent() -> None:
    entry = listings.variant_input(a_change(after=ListingFields(sku="CLEAN-1")))

    assert entry == {"id": "gid://shopify/ProductVariant/31", "inventoryItem": {"sku": "CLEAN-1"}}


@needs_contract
def test_every_topic_we_subscribe_to_exists() -> None:
    known = vendor().SCHEMA.type_map["WebhookSubscriptionTopic"].values

    assert [topic for topic in webhooks.TOPICS if topic not in known] == []


@pytest.mark.parametrize("believed", [Decimal(0), Decimal(-2), Decimal("7.00000")])
def test_what_we_believe_is_always_in_the_body_zero_too(believed: Decimal) -> None:
    (entry,) = mapping.set_input([a_write(from_quantity=believed)], key="K1")["quantities"]

    assert entry["changeFromQuantity"] == int(believed)
    assert isinstance(entry["changeFromQuantity"], int)


def test_a_batch_of_writes_names_each_pair_once_in_order() -> None:
    writes = [a_write(location_id=f"gid://shopify/Location/{n}", to_quantity=Decimal(n)) for n in range(3)]

    assert [entry["quantity"] for entry in mapping.set_input(writes, key="K1")["quantities"]] == [0, 1, 2]


def test_a_watermark_is_sent_in_utc() -> None:
    assert connector._stamp(datetime(2026, 10, 3, 12, tzinfo=UTC)) == "2026-10-03T12:00:00Z"


EXAMPLES = {
    "app_uninstalled": ("app/uninstalled", HintKind.REVOKED),
    "bulk_operations_finish": ("bulk_operations/finish", HintKind.NOTHING),
    "customers_redact": ("customers/redact", HintKind.NOTHING),
    "fulfillment_orders_moved": ("fulfillment_orders/moved", HintKind.ORDERS),
    "inventory_items_delete": ("inventory_items/delete", HintKind.CATALOG),
    "inventory_items_update": ("inventory_items/update", HintKind.CATALOG),
    "inventory_levels_connect": ("inventory_levels/connect", HintKind.STOCK),
    "inventory_levels_disconnect": ("inventory_levels/disconnect", HintKind.STOCK),
    "inventory_levels_update": ("inventory_levels/update", HintKind.STOCK),
    "inventory_levels_update_null": ("inventory_levels/update", HintKind.STOCK),
    "locations_deactivate": ("locations/deactivate", HintKind.LOCATIONS),
    "orders_cancelled": ("orders/cancelled", HintKind.ORDERS),
    "orders_create": ("orders/create", HintKind.ORDERS),
    "orders_create_pos": ("orders/create", HintKind.ORDERS),
    "orders_edited": ("orders/edited", HintKind.ORDERS),
    "products_delete": ("products/delete", HintKind.CATALOG),
    "products_update": ("products/update", HintKind.CATALOG),
    "refunds_create": ("refunds/create", HintKind.ORDERS),
    "shop_redact": ("shop/redact", HintKind.NOTHING),
}


@needs_contract
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_vendors_own_examples_are_understood(name: str) -> None:
    topic, kind = EXAMPLES[name]

    hint = webhooks.parse(topic=topic, body=(CHECK.parent / f"payloads/{name}.json").read_bytes())

    assert hint.kind is kind
    assert all(one.startswith("gid://shopify/") or one == "all" for one in hint.ids)
    assert bool(hint.ids) == (kind in (HintKind.ORDERS, HintKind.STOCK) or topic.endswith(("s/delete",)))


@needs_contract
def test_no_example_of_the_vendors_is_left_out() -> None:
    files = {path.stem for path in (CHECK.parent / "payloads").glob("*.json") if not path.stem.startswith("graphql_")}

    assert files - {"customers_data_request"} == set(EXAMPLES)

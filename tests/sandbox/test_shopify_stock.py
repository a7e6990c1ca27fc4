"""Stock on the Shopify stand-in over HTTP: compare-and-set, adjust, move, activate, and who wins at once."""

import json
import threading
import uuid

import pytest
import requests
from shopify_sales import ShopifySales

from channels.sandbox.models import Switch
from channels.sandbox.shopify.models import InventoryItem, InventoryLevel, Location

GROUP = "inventoryAdjustmentGroup { id reason changes { name delta quantityAfterChange item { id } location { id } } }"


class Stocktaker(ShopifySales):
    def change(self, name, kind, given, *, key=None, whole=False):
        query = (
            f"mutation($input: {kind}!, $key: String!) {{ {name}(input: $input) @idempotent(key: $key) "
            f"{{ {GROUP} userErrors {{ code field message }} }} }}"
        )
        body = {"query": query, "variables": {"input": given, "key": key or str(uuid.uuid4())}}
        answer = requests.post(self.url, json=body, headers={"X-Shopify-Access-Token": self.token}, timeout=20).json()
        return answer if whole else answer["data"][name]

    def set(self, *entries, name="available", whole=False, **more):
        rows = [self.entry(variant, place, quantity=units) | extra for variant, place, units, extra in entries]
        given = {"name": name, "reason": "correction", "quantities": rows} | more
        return self.change("inventorySetQuantities", "InventorySetQuantitiesInput", given, whole=whole)

    def adjust(self, variant, place, delta, *, name="available", **extra):
        row = self.entry(variant, place, delta=delta) | {"changeFromQuantity": None} | extra
        given = {"name": name, "reason": "received", "changes": [row]}
        return self.change("inventoryAdjustQuantities", "InventoryAdjustQuantitiesInput", given)

    def hold(self, variant, place, units, *, to="reserved", to_place=None, **extra):
        start = {"locationId": place.gid, "name": "available", "changeFromQuantity": None}
        end = {
            "locationId": (to_place or place).gid, "name": to, "changeFromQuantity": None,
            "ledgerDocumentUri": "gid://studio/Hold/1",
        } | extra  # fmt: skip
        change = {"inventoryItemId": variant.item.gid, "quantity": units, "from": start, "to": end}
        given = {"reason": "reservation_created", "referenceDocumentUri": "gid://studio/Hold/1", "changes": [change]}
        return self.change("inventoryMoveQuantities", "InventoryMoveQuantitiesInput", given)

    @staticmethod
    def entry(variant, place, **more):
        return {"inventoryItemId": variant.item.gid, "locationId": place.gid} | more

    def level(self, variant, place):
        return InventoryLevel.objects.get(item=variant.item, location=place)


@pytest.fixture
def shop(live_server, transactional_db, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return Stocktaker(server_url=live_server.url)


def codes(payload):
    return [error["code"] for error in payload["userErrors"]]


FROM = "changeFromQuantity"


def test_a_set_that_compares_right_is_done_and_says_what_it_changed(shop):
    mug = shop.stock(street=9)
    payload = shop.set((mug, shop.street, 7, {FROM: 9}), referenceDocumentUri="gid://studio/Push/1")
    assert payload["userErrors"] == []
    changes = {
        row["name"]: (row["delta"], row["quantityAfterChange"])
        for row in payload["inventoryAdjustmentGroup"]["changes"]
    }
    assert changes == {"available": (-2, 7), "on_hand": (-2, 7)}
    assert shop.units(mug, shop.street) == (7, 0, 7)


def test_a_stale_set_changes_nothing_and_names_the_entry(shop):
    mug, cup = shop.stock(street=9), shop.stock(street=4, sku="CUP")
    payload = shop.set((cup, shop.street, 1, {FROM: 4}), (mug, shop.street, 7, {FROM: 8}))
    assert payload["inventoryAdjustmentGroup"] is None
    assert payload["userErrors"] == [
        {
            "code": "CHANGE_FROM_QUANTITY_STALE",
            "field": ["input", "quantities", "1", "changeFromQuantity"],
            "message": "The changeFromQuantity value does not match persisted value.",
        }
    ]
    assert shop.units(cup, shop.street)[0] == 4


def test_by_switch_only_the_stale_entries_of_a_batch_fail(shop):
    Switch.objects.create(name="shopify.set_is_atomic", value=False)
    mug, cup = shop.stock(street=9), shop.stock(street=4, sku="CUP")
    payload = shop.set((cup, shop.street, 1, {FROM: 4}), (mug, shop.street, 7, {FROM: 8}))
    assert codes(payload) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert (shop.units(cup, shop.street)[0], shop.units(mug, shop.street)[0]) == (1, 9)


def test_null_skips_the_comparison_and_leaving_it_out_is_refused(shop):
    mug = shop.stock(street=9)
    assert shop.set((mug, shop.street, 7, {FROM: None}))["userErrors"] == []
    answer = shop.set((mug, shop.street, 3, {}), whole=True)
    assert answer["errors"][0]["extensions"]["code"] == "INVALID_FIELD_ARGUMENTS"
    assert (
        answer["errors"][0]["message"]
        == "InventoryQuantityInput must include the following argument: changeFromQuantity."
    )
    assert answer["data"] == {"inventorySetQuantities": None}
    assert shop.units(mug, shop.street)[0] == 7


def test_setting_on_hand_leaves_what_is_committed(shop):
    mug = shop.stock(street=9)
    shop.place((mug, 2))
    assert shop.set((mug, shop.street, 20, {FROM: 9}), name="on_hand")["userErrors"] == []
    assert shop.units(mug, shop.street) == (18, 2, 20)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": -1}, "INVALID_QUANTITY_NEGATIVE"),
        ({"quantity": 1_000_000_001}, "INVALID_QUANTITY_TOO_HIGH"),
        ({"inventoryItemId": "gid://shopify/InventoryItem/1"}, "INVALID_INVENTORY_ITEM"),
        ({"locationId": "gid://shopify/Location/1"}, "INVALID_LOCATION"),
    ],
)
def test_a_set_that_can_not_be_is_refused_by_name(shop, change, code):
    mug = shop.stock(street=9)
    assert codes(shop.set((mug, shop.street, 5, {FROM: None} | change))) == [code]
    assert shop.units(mug, shop.street)[0] == 9


def test_negatives_are_taken_where_the_switch_says_so(shop):
    Switch.objects.create(name="shopify.refuse_negative_set", value=False)
    mug = shop.stock(street=9)
    assert shop.set((mug, shop.street, -3, {FROM: 9}))["userErrors"] == []
    assert shop.units(mug, shop.street)[0] == -3


def test_an_item_and_place_twice_a_bad_name_and_a_bad_reason_are_refused(shop):
    mug = shop.stock(street=9)
    twice = (mug, shop.street, 5, {FROM: None})
    assert set(codes(shop.set(twice, twice))) == {"NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR"}
    assert codes(shop.set(twice, name="committed")) == ["INVALID_NAME"]
    assert codes(shop.set(twice, reason="whim")) == ["INVALID_REASON"]


def test_more_than_250_entries_are_refused(shop):
    mug = shop.stock(street=9)
    answer = shop.set(*[(mug, shop.street, 5, {FROM: None})] * 251, whole=True)
    assert answer["errors"][0]["extensions"]["code"] == "MAX_INPUT_SIZE_EXCEEDED"


def test_another_shops_item_can_not_be_written(shop, live_server):
    other = Stocktaker(server_url=live_server.url, domain="other.myshopify.com")
    theirs = other.stock(street=9)
    assert codes(shop.set((theirs, shop.street, 5, {FROM: None}))) == ["INVALID_INVENTORY_ITEM"]


def test_an_untracked_item_has_no_quantities_to_change(shop):
    mug = shop.stock(street=0, is_tracked=False)
    assert shop.set((mug, shop.street, 5, {FROM: None}))["inventoryAdjustmentGroup"] is None
    assert shop.units(mug, shop.street) == (0, 0, 0)


def test_an_adjustment_commutes_and_its_ledger_rule_is_kept(shop):
    mug = shop.stock(street=9)
    document = {"ledgerDocumentUri": "gid://studio/Entry/1"}
    assert shop.adjust(mug, shop.street, -2)["userErrors"] == []
    assert shop.adjust(mug, shop.street, 3, name="damaged", **document)["userErrors"] == []
    assert codes(shop.adjust(mug, shop.street, 3, name="damaged")) == ["INVALID_QUANTITY_DOCUMENT"]
    assert codes(shop.adjust(mug, shop.street, 3, **document)) == ["INVALID_AVAILABLE_DOCUMENT"]
    assert codes(shop.adjust(mug, shop.street, 3, name="committed", **document)) == ["INVALID_QUANTITY_NAME"]
    assert codes(shop.adjust(mug, shop.street, 3, **{FROM: 1})) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert codes(shop.adjust(mug, shop.street, 2_000_000_001)) == ["INVALID_QUANTITY_TOO_HIGH"]
    assert shop.units(mug, shop.street) == (7, 0, 10)


def test_a_move_takes_units_off_sale_and_leaves_them_on_hand(shop):
    mug = shop.stock(street=9)
    assert shop.hold(mug, shop.street, 4)["userErrors"] == []
    assert shop.units(mug, shop.street) == (5, 0, 9)
    assert shop.level(mug, shop.street).reserved == 4
    assert codes(shop.hold(mug, shop.street, 1, to_place=shop.market)) == ["DIFFERENT_LOCATIONS"]
    assert "INVALID_QUANTITY_NEGATIVE" in codes(shop.hold(mug, shop.street, -1))
    assert codes(shop.hold(mug, shop.street, 1, **{FROM: 99})) == ["CHANGE_FROM_QUANTITY_STALE"]
    assert codes(shop.hold(mug, shop.street, 1, ledgerDocumentUri="gid://shopify/Order/1")) == [
        "INTERNAL_LEDGER_DOCUMENT"
    ]


ACTIVATE = """mutation($item: ID!, $place: ID!, $available: Int, $key: String!) {
  inventoryActivate(inventoryItemId: $item, locationId: $place, available: $available) @idempotent(key: $key) {
    inventoryLevel { id isActive quantities(names: ["available"]) { quantity } } userErrors { field message } } }"""
TOGGLE = """mutation($item: ID!, $updates: [InventoryBulkToggleActivationInput!]!) {
  inventoryBulkToggleActivation(inventoryItemId: $item, inventoryItemUpdates: $updates) {
    inventoryItem { id } inventoryLevels { id } userErrors { code message } } }"""


def test_a_write_to_a_place_that_does_not_stock_it_sells_nothing_until_activated(shop):
    mug = shop.stock(street=1)
    attic = Location.objects.create(shop=shop.shop, name="Attic", rank=9)
    shop.listen("INVENTORY_LEVELS_CONNECT")
    assert shop.set((mug, attic, 5, {FROM: None}))["userErrors"] == []
    assert shop.level(mug, attic).is_active is False
    quantity = "query($id: ID!) { productVariant(id: $id) { inventoryQuantity } }"
    assert shop.ask(quantity, id=mug.gid)["productVariant"]["inventoryQuantity"] == 1

    level = shop.ask(ACTIVATE, item=mug.item.gid, place=attic.gid, key="k")["inventoryActivate"]["inventoryLevel"]

    assert (level["isActive"], level["quantities"][0]["quantity"]) == (True, 5)
    assert shop.ask(quantity, id=mug.gid)["productVariant"]["inventoryQuantity"] == 6
    assert len(shop.told("inventory_levels/connect")) == 1


def test_a_level_with_committed_units_stays_and_so_does_the_last_one(shop):
    mug = shop.stock(street=5, market=1)
    order = shop.place((mug, 2))
    off = [{"locationId": shop.street.gid, "activate": False}]
    payload = shop.ask(TOGGLE, item=mug.item.gid, updates=off)["inventoryBulkToggleActivation"]
    assert codes(payload) == ["COMMITTED_INVENTORY_AT_LOCATION"]
    shop.cancel(order)
    shop.listen("INVENTORY_LEVELS_DISCONNECT")

    assert shop.ask(TOGGLE, item=mug.item.gid, updates=off)["inventoryBulkToggleActivation"]["userErrors"] == []

    assert (shop.level(mug, shop.street).is_active, shop.level(mug, shop.street).available) == (False, 5)
    body = json.loads(bytes(shop.told("inventory_levels/disconnect")[0].body))
    assert set(body) == {"inventory_item_id", "location_id"}
    last = [{"locationId": shop.market.gid, "activate": False}]
    payload = shop.ask(TOGGLE, item=mug.item.gid, updates=last)["inventoryBulkToggleActivation"]
    assert codes(payload) == ["CANNOT_DEACTIVATE_FROM_ONLY_LOCATION"]


def test_tracking_is_switched_and_told(shop):
    mug = shop.stock(street=5)
    shop.listen("INVENTORY_ITEMS_UPDATE")
    change = """mutation($id: ID!, $input: InventoryItemInput!) { inventoryItemUpdate(id: $id, input:
      $input) { inventoryItem { tracked sku } userErrors { message } } }"""
    item = shop.ask(change, id=mug.item.gid, input={"tracked": False})["inventoryItemUpdate"]["inventoryItem"]
    assert item == {"tracked": False, "sku": "MUG"}
    assert InventoryItem.objects.get(pk=mug.item_id).tracked is False
    assert json.loads(bytes(shop.told("inventory_items/update")[0].body))["tracked"] is False


@pytest.mark.race
def test_of_many_that_compare_with_one_value_one_wins(shop):
    mug = shop.stock(street=9)
    barrier, won = threading.Barrier(6), []

    def write(units):
        barrier.wait()
        won.append(codes(shop.set((mug, shop.street, units, {FROM: 9}))) == [])

    threads = [threading.Thread(target=write, args=(units,)) for units in range(10, 16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 5 + [True]
    assert 10 <= shop.units(mug, shop.street)[0] <= 15


@pytest.mark.race
def test_batches_in_opposite_order_and_sales_at_once_neither_lock_up_nor_lose_units(shop):
    goods = [shop.stock(street=100, sku=f"MUG{n}") for n in range(4)]
    entries = [shop.entry(one, shop.street, delta=-1) | {FROM: None} for one in goods]
    problems, barrier = [], threading.Barrier(6)

    def adjust(order):
        barrier.wait()
        for _ in range(4):
            given = {"name": "available", "reason": "received", "changes": order}
            problems.extend(codes(shop.change("inventoryAdjustQuantities", "InventoryAdjustQuantitiesInput", given)))

    threads = [threading.Thread(target=adjust, args=(entries if n % 2 else entries[::-1],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert [shop.units(one, shop.street)[0] for one in goods] == [76] * 4

"""The Shopify stand-in's catalog over HTTP: reading without a query a row, writing, merging, exporting."""

import json
import time
from decimal import Decimal

import pytest
import requests
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from shopify_sales import CONTRACT, ShopifySales, operation

from channels.sandbox.shopify import accounts, executor
from channels.sandbox.shopify.models import InventoryLevel, Location, Product, ProductVariant
from channels.sandbox.shopify.resolving import Context

needs_contract = pytest.mark.skipif(
    not (CONTRACT / "operations.graphql").exists(), reason="the contract pages are not beside this repository"
)
SHOWN = "id title options { id name optionValues { id name } } variants(first: 50) { nodes { id sku barcode title } }"
SET = f"""mutation($identifier: ProductSetIdentifiers, $input: ProductSetInput!, $synchronous: Boolean = true) {{
  productSet(identifier: $identifier, input: $input, synchronous: $synchronous) {{
    product {{ {SHOWN} }} productSetOperation {{ id status }} userErrors {{ code field message }} }} }}"""
BULK_CREATE = """mutation($productId: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkCreate(productId: $productId, variants: $variants) {
    productVariants { id sku barcode inventoryQuantity inventoryItem { id tracked } } userErrors { code field } } }"""
BULK_UPDATE = """mutation($productId: ID!, $variants: [ProductVariantsBulkInput!]!, $partial: Boolean) {
  productVariantsBulkUpdate(productId: $productId, variants: $variants, allowPartialUpdates: $partial) {
    productVariants { id sku barcode } userErrors { code field } } }"""


@pytest.fixture
def sales(live_server, transactional_db, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return ShopifySales(server_url=live_server.url)


def rows(sales, count, *, options=("Size",)):
    return [
        accounts.ProductRow(
            handle=f"shirt-{n}",
            title=f"Shirt {n}",
            options=options,
            variants=[
                accounts.VariantRow(
                    f"S{n}-{size}", Decimal("9.00"), [size], f"40{n:05}{k}", quantities={sales.street.pk: 3}
                )
                for k, size in enumerate("SML")
            ],
        )
        for n in range(count)
    ]


def run(sales, query, **variables):
    context = Context(shop=sales.shop, app=sales.shop.app, now=timezone.now())
    answer = executor.run(context=context, query=query, variables=variables, operation_name=None)
    assert "errors" not in answer, answer
    return answer["data"]


def test_thousands_of_variants_are_loaded_in_seconds(sales):
    start = time.monotonic()
    accounts.load_products(sales.shop, rows(sales, 1000))
    assert time.monotonic() - start < 15
    assert ProductVariant.objects.count() == InventoryLevel.objects.count() == 3000
    assert list(ProductVariant.objects.filter(product__handle="shirt-7").values_list("position", flat=True)) == [
        1,
        2,
        3,
    ]


def test_pages_of_variants_cover_all_once_while_rows_are_added(sales):
    accounts.load_products(sales.shop, rows(sales, 20))
    query = """query($after: String) { productVariants(first: 25, after: $after) { nodes { id }
      pageInfo { hasNextPage endCursor } } }"""
    seen, after, more = [], None, True
    while more:
        page = sales.ask(query, after=after)["productVariants"]
        seen += [node["id"] for node in page["nodes"]]
        more, after = page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]
        if len(seen) == 25:
            sales.stock(sku="LATE")
    assert len(seen) == len(set(seen)) == 61


def test_search_finds_by_sku_barcode_and_time(sales):
    accounts.load_products(sales.shop, rows(sales, 3))
    products = "query($q: String) { products(first: 10, query: $q, sortKey: UPDATED_AT) { nodes { handle } } }"
    variants = "query($q: String) { productVariants(first: 10, query: $q) { nodes { sku } } }"

    def found(query, text):
        return [next(iter(node.values())) for node in next(iter(sales.ask(query, q=text).values()))["nodes"]]

    assert found(variants, 'sku:"S1-M"') == ["S1-M"]
    assert found(variants, "barcode:40000021") == ["S2-M"]
    assert found(products, "sku:S1-*") == ["shirt-1"], "a product with three such variants is found once"
    assert found(products, "updated_at:>='2020-01-01T00:00:00Z' AND handle:shirt-2") == ["shirt-2"]
    assert found(products, "updated_at:<'2020-01-01T00:00:00Z'") == []


@needs_contract
@pytest.mark.parametrize("name", ["ProductsPage", "VariantsPage", "LocationLevelsSince", "LevelsByIds"])
def test_a_longer_page_takes_no_more_queries(sales, name):
    def queries():
        given = {"locationId": sales.street.gid} if name == "LocationLevelsSince" else {}
        if name == "LevelsByIds":
            given = {"ids": [row.item.gid for row in ProductVariant.objects.select_related("item")[:40]]}
        with CaptureQueriesContext(
            connection,
        ) as captured:
            run(sales, operation(name), **given)
        return len(captured)

    accounts.load_products(sales.shop, rows(sales, 1))
    short = queries()
    accounts.load_products(sales.shop, [row for row in rows(sales, 10) if row.handle != "shirt-0"])
    assert queries() == short <= 16


def test_a_sku_told_twice_is_counted(sales):
    sales.stock(sku="MUG")
    mug = sales.stock(sku="CUP")
    sales.ask(BULK_UPDATE, productId=mug.product.gid, variants=[{"id": mug.gid, "inventoryItem": {"sku": "MUG"}}])
    query = "query($id: ID!) { inventoryItem(id: $id) { sku duplicateSkuCount } }"
    assert sales.ask(query, id=mug.item.gid)["inventoryItem"] == {"sku": "MUG", "duplicateSkuCount": 1}


def test_an_update_is_all_or_none_unless_told_otherwise(sales):
    mug = sales.stock()
    sales.listen("PRODUCTS_UPDATE")
    given = [{"id": mug.gid, "barcode": "4006381333931"}, {"id": "gid://shopify/ProductVariant/1"}]
    refused = sales.ask(BULK_UPDATE, productId=mug.product.gid, variants=given)["productVariantsBulkUpdate"]
    assert refused["userErrors"] == [{"code": "PRODUCT_VARIANT_DOES_NOT_EXIST", "field": ["variants", "1", "id"]}]
    assert refused["productVariants"] is None
    mug.refresh_from_db()
    assert mug.barcode == ""
    assert sales.told("products/update") == []

    sales.ask(BULK_UPDATE, productId=mug.product.gid, variants=given, partial=True)

    mug.refresh_from_db()
    assert mug.barcode == "4006381333931"
    body = json.loads(bytes(sales.told("products/update")[0].body))
    assert (body["variants"][0]["barcode"], body["status"]) == ("4006381333931", "active")


def test_quantities_are_refused_on_update(sales):
    mug = sales.stock()
    entry = {"id": mug.gid, "inventoryQuantities": [{"locationId": sales.street.gid, "availableQuantity": 3}]}
    payload = sales.ask(BULK_UPDATE, productId=mug.product.gid, variants=[entry])["productVariantsBulkUpdate"]
    assert [error["code"] for error in payload["userErrors"]] == ["NO_INVENTORY_QUANTITIES_ON_VARIANTS_UPDATE"]


def test_options_and_variants_are_added_to_a_survivor(sales):
    mug = sales.stock(street=2)
    options = """mutation($productId: ID!, $options: [OptionCreateInput!]!) {
      productOptionsCreate(productId: $productId, options: $options, variantStrategy: LEAVE_AS_IS) {
        product { options { name optionValues { name } } } userErrors { code } } }"""
    gid = mug.product.gid
    colour = [{"name": "Colour", "values": [{"name": "Red"}]}]
    assert sales.ask(options, productId=gid, options=colour)["productOptionsCreate"]["userErrors"] == []
    again = sales.ask(options, productId=gid, options=colour)["productOptionsCreate"]
    assert again["userErrors"] == [{"code": "OPTION_ALREADY_EXISTS"}]
    blue = {
        "optionValues": [{"optionName": "Colour", "name": "Blue"}],
        "inventoryItem": {"sku": "BLUE", "tracked": True},
        "inventoryQuantities": [{"locationId": sales.street.gid, "availableQuantity": 3}],
    }

    made = sales.ask(BULK_CREATE, productId=gid, variants=[blue])["productVariantsBulkCreate"]

    assert made["userErrors"] == []
    assert (made["productVariants"][0]["sku"], made["productVariants"][0]["inventoryQuantity"]) == ("BLUE", 3)
    assert mug.product.variants.count() == 2
    same = sales.ask(BULK_CREATE, productId=gid, variants=[blue])["productVariantsBulkCreate"]
    assert [error["code"] for error in same["userErrors"]] == ["VARIANT_ALREADY_EXISTS"]
    foreign = blue | {"optionValues": [{"optionName": "Colour", "name": "Green"}]}
    foreign["inventoryQuantities"] = [{"locationId": "gid://shopify/Location/1", "availableQuantity": 3}]
    refused = sales.ask(BULK_CREATE, productId=gid, variants=[foreign])["productVariantsBulkCreate"]
    assert [error["code"] for error in refused["userErrors"]] == ["TRACKED_VARIANT_LOCATION_NOT_FOUND"]


def test_a_product_set_deletes_what_it_does_not_list(sales):
    accounts.load_products(sales.shop, rows(sales, 1))
    product = Product.objects.get()
    small, medium, _ = product.variants.order_by("position")
    sales.listen("INVENTORY_ITEMS_DELETE")
    given = {
        "productOptions": [{"name": "Size", "values": [{"name": "S"}, {"name": "XL"}]}],
        "variants": [
            {"id": small.gid, "optionValues": [{"optionName": "Size", "name": "S"}], "sku": "NEW-S"},
            {
                "optionValues": [{"optionName": "Size", "name": "XL"}],
                "sku": "XL",
                "inventoryQuantities": [{"locationId": sales.market.gid, "name": "available", "quantity": 4}],
            },
        ],
    }

    payload = sales.ask(SET, identifier={"id": product.gid}, input=given)["productSet"]

    assert payload["userErrors"] == []
    nodes = payload["product"]["variants"]["nodes"]
    assert [(node["sku"], node["title"]) for node in nodes] == [("NEW-S", "S"), ("XL", "XL")]
    assert nodes[0]["id"] == small.gid
    assert not ProductVariant.objects.filter(pk=medium.pk).exists()
    assert len(sales.told("inventory_items/delete")) == 2
    assert InventoryLevel.objects.get(item__sku="XL", location=sales.market).available == 4


def test_a_product_set_not_waited_for_is_polled(sales):
    payload = sales.ask(SET, input={"title": "Plate"}, synchronous=False)["productSet"]
    assert (payload["product"], payload["productSetOperation"]["status"]) == (None, "CREATED")
    query = """query($id: ID!) { productOperation(id: $id) { status product { title } ... on
      ProductSetOperation { userErrors { code } } } }"""
    done = sales.ask(query, id=payload["productSetOperation"]["id"])["productOperation"]
    assert done == {"status": "COMPLETE", "product": {"title": "Plate"}, "userErrors": []}


def test_a_product_set_with_an_unknown_variant_changes_nothing(sales):
    mug = sales.stock()
    given = {
        "title": "Other",
        "productOptions": [{"name": "Size", "values": [{"name": "S"}]}],
        "variants": [{"id": "gid://shopify/ProductVariant/1", "optionValues": [{"optionName": "Size", "name": "S"}]}],
    }
    payload = sales.ask(SET, identifier={"id": mug.product.gid}, input=given)["productSet"]
    assert [error["code"] for error in payload["userErrors"]] == ["PRODUCT_VARIANT_DOES_NOT_EXIST"]
    assert Product.objects.get().title == "MUG"


def test_a_product_is_made_archived_and_deleted(sales):
    sales.listen("PRODUCTS_CREATE", "PRODUCTS_UPDATE", "PRODUCTS_DELETE")
    create = """mutation($product: ProductCreateInput!) { productCreate(product: $product) { product
      { id handle hasOnlyDefaultVariant } userErrors { message } } }"""
    first, second = (sales.ask(create, product={"title": "Tea Pot"})["productCreate"]["product"] for _ in "ab")
    assert (first["handle"], second["handle"]) == ("tea-pot", "tea-pot-1")
    assert first["hasOnlyDefaultVariant"] is True
    archive = """mutation($product: ProductUpdateInput!) { productUpdate(product: $product) { product
      { status } userErrors { message } } }"""
    given = {"id": first["id"], "status": "ARCHIVED"}
    assert sales.ask(archive, product=given)["productUpdate"]["product"]["status"] == "ARCHIVED"
    delete = "mutation($input: ProductDeleteInput!) { productDelete(input: $input) { deletedProductId } }"
    assert sales.ask(delete, input={"id": first["id"]})["productDelete"]["deletedProductId"] == first["id"]
    assert [len(sales.told(f"products/{one}")) for one in ("create", "update", "delete")] == [2, 1, 1]
    assert not ProductVariant.objects.filter(product__handle="tea-pot").exists()


def test_an_export_runs_over_all_pages_and_is_read_at_its_address(sales, monkeypatch):
    monkeypatch.setattr("channels.sandbox.shopify.bulk.PAGE", 7)
    accounts.load_products(sales.shop, rows(sales, 20))
    sales.listen("BULK_OPERATIONS_FINISH")
    query = "{ products { edges { node { id title variants { edges { node { id sku } } } } } } }"
    start = """mutation($query: String!) { bulkOperationRunQuery(query: $query, groupObjects: false)
      { bulkOperation { id status } userErrors { code } } }"""

    made = sales.ask(start, query=query)["bulkOperationRunQuery"]["bulkOperation"]

    assert made["status"] == "CREATED"
    poll = "query($id: ID!) { bulkOperation(id: $id) { status url objectCount rootObjectCount fileSize } }"
    done = sales.ask(poll, id=made["id"])["bulkOperation"]
    assert (done["status"], int(done["objectCount"]), int(done["rootObjectCount"])) == ("COMPLETED", 80, 20)
    file = requests.get(done["url"], timeout=20)
    lines = [json.loads(line) for line in file.text.splitlines()]
    assert len(file.content) == int(done["fileSize"])
    assert {line["sku"] for line in lines if "__parentId" in line} == {
        f"S{n}-{size}" for n in range(20) for size in "SML"
    }
    assert set(lines[0]) == {"id", "title"}
    assert lines[1]["__parentId"] == lines[0]["id"]
    assert len(sales.told("bulk_operations/finish")) == 1
    refused = sales.ask(start, query="{ shop { id } }")["bulkOperationRunQuery"]
    assert refused["userErrors"] == [{"code": "INVALID"}]


OTHERS = [
    "OrdersSince",
    "OrderById",
    "OpenFulfillmentOrders",
    "WhereCanItMove",
    "MoveFulfillmentOrder",
    "RerouteFulfillmentOrders",
    "PickupReady",
    "CreateFulfillment",
    "CancelOrder",
    "BulkCatalogueExport",
    "BulkLevelsExport",
]


@needs_contract
def test_every_operation_of_the_contract_that_is_not_of_orders_runs(sales):
    accounts.load_products(sales.shop, rows(sales, 1))
    product = Product.objects.get()
    small = product.variants.select_related("item").order_by("position")[0]
    attic = Location.objects.create(shop=sales.shop, name="Attic", rank=9)
    text = json.loads((CONTRACT / "variables.json").read_text())
    swaps = {
        "gid://shopify/InventoryItem/30322695": small.item.gid, "gid://shopify/ProductVariant/30322695": small.gid,
        "gid://shopify/Product/20995642": product.gid, "gid://shopify/Product/20995643": product.gid,
        "gid://shopify/Location/346779380": sales.street.gid,
    }  # fmt: skip
    text = json.dumps(text)
    for theirs, ours in swaps.items():
        text = text.replace(f'"{theirs}"', f'"{ours}"')
    given = json.loads(text) | {
        "InventoryItemLevels": {"id": small.item.gid}, "OneLevel": {"itemId": small.item.gid, "locationId": attic.gid},
        "ProductOperationStatus": {"id": "gid://shopify/ProductSetOperation/1"},
        "Unsubscribe": {"id": "gid://shopify/WebhookSubscription/1"}, "BulkStatus": {"id": "gid://shopify/BulkOperation/1"},
        "StartBulk": {"query": operation("BulkLevelsExport")},
    }  # fmt: skip
    given["SetQuantities"]["input"]["quantities"] = given["SetQuantities"]["input"]["quantities"][:1]
    names = [line.split()[1].split("(")[0] for line in (CONTRACT / "operations.graphql").read_text().splitlines()
             if line.startswith(("query ", "mutation "))]  # fmt: skip
    assert len(names) == 39
    for name in names:
        if name not in OTHERS:
            sales.ask(operation(name), **given.get(name, {}))

"""Trading at Shopify's stand-in: customers at the web shop, the merchant in the admin."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import requests

from channels import ports
from channels.sandbox.shopify import accounts, models, stock
from tests.contract.adapters import SKUS, STOCK_AT_START, Shop, ShopVariant

ORDER_CREATE = """
mutation Sell($order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput) {
  orderCreate(order: $order, options: $options) { order { id } userErrors { message } }
}
"""
FULFILLMENT_ORDERS = "query Open($id: ID!) { order(id: $id) { fulfillmentOrders(first: 10) { nodes { id status } } } }"
FULFILL = """
mutation Fulfill($fulfillment: FulfillmentInput!) {
  fulfillmentCreate(fulfillment: $fulfillment) { fulfillment { id } userErrors { message } }
}
"""
MOVE = """
mutation Move($id: ID!, $place: ID!) {
  fulfillmentOrderMove(id: $id, newLocationId: $place) { movedFulfillmentOrder { id } userErrors { message } }
}
"""
CANCEL = """
mutation Cancel($id: ID!) {
  orderCancel(orderId: $id, reason: CUSTOMER, restock: true) { orderCancelUserErrors { message } }
}
"""
LINES = "query Lines($id: ID!) { order(id: $id) { lineItems(first: 10) { nodes { id variant { id } } } } }"
REFUND = """
mutation Refund($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) { refund { id } userErrors { message } }
}
"""
RENAME = """
mutation Rename($product: ID!, $variants: [ProductVariantsBulkInput!]!) {
  productVariantsBulkUpdate(productId: $product, variants: $variants) { userErrors { message } }
}
"""
DESCRIBED = """
query Described($id: ID!) {
  productVariant(id: $id) {
    id title displayName barcode price inventoryPolicy position
    selectedOptions { name value }
    inventoryItem { id sku tracked requiresShipping }
    product { id title options { name } }
  }
}
"""
REMOVE = "mutation Remove($input: ProductDeleteInput!) { productDelete(input: $input) { userErrors { message } } }"
SHOWN = """
query Shown($item: ID!, $place: ID!) {
  inventoryItem(id: $item) { inventoryLevel(locationId: $place) { quantities(names: ["available"]) { quantity } } }
}
"""


class ShopifyAdapter:
    """Acts through the Admin API with the app's token; a stock edit in the admin is the stand-in's own move."""

    count_write_operation = "inventorySetQuantities"
    listing_write_operation = "productVariantsBulkUpdate"

    def open_shop(self, *, server_url: str, webhook_url: str) -> Shop:
        domain = f"contract-{uuid.uuid4().hex[:8]}.myshopify.com"
        owner = accounts.create_shop(domain=domain, name="Contract shop", locations=["Front", "Back"])
        places = list(owner.locations.order_by("rank"))
        units = {place.pk: int(STOCK_AT_START) for place in places}
        rows = [
            accounts.ProductRow(
                handle=sku.lower(), title=f"Mug {sku}", options=["Size"],
                variants=[accounts.VariantRow(sku, Decimal("12.50"), ["Large"], quantities=units)],
            )
            for sku in SKUS
        ]  # fmt: skip
        accounts.load_products(owner, rows)
        account = ports.Account(
            account_id=domain,
            base_url=f"{server_url}/shopify/{domain}",
            credentials={
                "access_token": owner.tokens.get().value,
                "grant": "client_credentials",
                "client_id": owner.app.client_id,
                "client_secret": owner.app.client_secret,
            },
            webhook_url=webhook_url,
        )
        found = models.ProductVariant.objects.filter(shop=owner).select_related("item", "product").order_by("pk")
        variants = [ShopVariant(row.gid, row.item.gid, row.product.gid, row.item.sku) for row in found]
        return Shop(account=account, location_ids=(places[0].gid, places[1].gid), variants=variants)

    def sell(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        order_id = self.order_ahead(shop=shop, variant=variant, location_id=location_id, quantity=quantity)
        for one in self._open(shop, order_id):
            lines = [{"fulfillmentOrderId": one}]
            self._call(shop, FULFILL, {"fulfillment": {"lineItemsByFulfillmentOrder": lines}})
        return order_id

    def order_ahead(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        line = {"variantId": variant.listing_id, "quantity": int(quantity)}
        order = {"lineItems": [line], "financialStatus": "PAID"}
        options = {"inventoryBehaviour": "DECREMENT_OBEYING_POLICY"}
        data = self._call(shop, ORDER_CREATE, {"order": order, "options": options})
        order_id = str(data["orderCreate"]["order"]["id"])
        if location_id != shop.location_ids[0]:  # the stand-in routes to the first place that has it
            for one in self._open(shop, order_id):
                self._call(shop, MOVE, {"id": one, "place": location_id})
        return order_id

    def cancel(self, *, shop: Shop, order_id: str) -> None:
        self._call(shop, CANCEL, {"id": order_id})

    def give_back(self, *, shop: Shop, order_id: str, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        nodes = self._call(shop, LINES, {"id": order_id})["order"]["lineItems"]["nodes"]
        line = next(node for node in nodes if node["variant"]["id"] == variant.listing_id)
        back = {"lineItemId": line["id"], "quantity": int(quantity), "restockType": "RETURN", "locationId": location_id}
        given = {"orderId": order_id, "refundLineItems": [back]}
        self._call(shop, REFUND, {"input": given, "key": uuid.uuid4().hex})
        return order_id

    def edit_stock(self, *, shop: Shop, variant: ShopVariant, location_id: str, delta: Decimal) -> None:
        pair = int(variant.inventory_id.rsplit("/", 1)[1]), int(location_id.rsplit("/", 1)[1])
        stock.move(shop=_owner(shop), changes=[stock.Move(*pair, "available", int(delta))], reason="correction")

    def shown(self, *, shop: Shop, variant: ShopVariant, location_id: str) -> Decimal:
        data = self._call(shop, SHOWN, {"item": variant.inventory_id, "place": location_id})
        return Decimal(data["inventoryItem"]["inventoryLevel"]["quantities"][0]["quantity"])

    def rename(self, *, shop: Shop, variant: ShopVariant, sku: str) -> None:
        change = {"id": variant.listing_id, "inventoryItem": {"sku": sku}}
        self._call(shop, RENAME, {"product": variant.product_id, "variants": [change]})

    def described(self, *, shop: Shop, variant: ShopVariant) -> Any:
        node = self._call(shop, DESCRIBED, {"id": variant.listing_id})["productVariant"]
        options = node["product"].pop("options")
        return node | {"option names": [one["name"] for one in options]}

    def remove(self, *, shop: Shop, variant: ShopVariant) -> None:
        self._call(shop, REMOVE, {"input": {"id": variant.product_id}})

    def revoke(self, *, shop: Shop) -> None:
        accounts.uninstall(_owner(shop))

    def _open(self, shop: Shop, order_id: str) -> list[str]:
        nodes = self._call(shop, FULFILLMENT_ORDERS, {"id": order_id})["order"]["fulfillmentOrders"]["nodes"]
        return [node["id"] for node in nodes if node["status"] == "OPEN"]

    def _call(self, shop: Shop, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Past the connector, with a token of the merchant's own that no refresh touches."""
        answer = requests.post(
            f"{shop.account.base_url}/admin/api/2026-10/graphql.json",
            json={"query": document, "variables": variables},
            headers={"X-Shopify-Access-Token": shop.account.credentials["access_token"]},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert "errors" not in body, body
        for payload in body["data"].values():
            for name, errors in (payload or {}).items():
                assert not (name.endswith("serErrors") and errors), errors
        return dict(body["data"])


def _owner(shop: Shop) -> models.Shop:
    return models.Shop.objects.get(domain=shop.account.account_id)


ADAPTER = ShopifyAdapter()

"""A shop on the Shopify stand-in, driven over HTTP: what is sold there, and what that leaves in stock."""

import re
import uuid
from decimal import Decimal
from pathlib import Path

import requests

from channels.sandbox.models import Delivery
from channels.sandbox.shopify import accounts
from channels.sandbox.shopify.models import InventoryLevel, ProductVariant, WebhookSubscription
from channels.sandbox.shopify.webhooks import VERSION

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "shopify"
ORDER = """
  id name sourceName displayFinancialStatus displayFulfillmentStatus cancelledAt cancelReason closedAt edited updatedAt
  retailLocation { id }
  lineItems(first: 10) { nodes {
    id sku quantity currentQuantity unfulfilledQuantity refundableQuantity nonFulfillableQuantity
  } }
  fulfillmentOrders(first: 10) { nodes {
    id status assignedLocation { location { id } } deliveryMethod { methodType }
    lineItems(first: 10) { nodes { id totalQuantity remainingQuantity lineItem { id } } }
  } }
  fulfillments { id status location { id } }
  refunds { id refundLineItems(first: 10) { nodes { quantity restockType restocked location { id } } } }
"""


def operation(name):
    """One operation of the contract's document with the fragments it uses."""
    text = (CONTRACT / "operations.graphql").read_text()
    parts = {}
    for part in re.split(r"(?m)^(?=(?:query|mutation|fragment) )", text):
        head = re.match(r"(?:query|mutation|fragment) (\w+)", part)
        if head:
            parts[head[1]] = re.sub(r"(?m)^#.*$", "", part)
    used, waiting = {}, [name]
    while waiting:
        one = waiting.pop()
        if one not in used:
            used[one] = parts[one]
            waiting += re.findall(r"\.\.\.(?!\s*on\b)\s*(\w+)", parts[one])
    return "".join(used.values())


class ShopifySales:
    """A shop with two locations, High Street before Market, and one tracked variant; or one there is already."""

    def __init__(self, *, server_url, domain="corner.myshopify.com", shop=None):
        self.shop = shop or accounts.create_shop(domain=domain, name="Corner Shop", locations=["High Street", "Market"])
        self.street, self.market = self.shop.locations.order_by("rank")
        self.url = f"{server_url}/shopify/{self.shop.domain}/admin/api/{VERSION}/graphql.json"
        self.token = self.shop.tokens.filter(kind="access").latest("pk").value

    def stock(self, *, street=0, market=0, sku="MUG", policy="DENY", is_tracked=True):
        """A variant with these units available."""
        row = accounts.VariantRow(
            sku=sku,
            price=Decimal("5.00"),
            policy=policy,
            is_tracked=is_tracked,
            quantities={self.street.pk: street, self.market.pk: market},
        )
        accounts.load_products(self.shop, [accounts.ProductRow(handle=sku.lower(), title=sku, variants=[row])])
        return ProductVariant.objects.get(shop=self.shop, item__sku=sku)

    def ask(self, query, /, **variables):
        """The data of an answer without errors."""
        answer = requests.post(
            self.url,
            json={"query": query, "variables": variables},
            headers={"X-Shopify-Access-Token": self.token},
            timeout=20,
        ).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def do(self, name, call, selection, **variables):
        """Run one mutation; its payload. `call` is its signature, `$input: RefundInput!` and so on."""
        arguments = ", ".join(f"{arg}: ${arg}" for arg in re.findall(r"\$(\w+)", call))
        key = f' @idempotent(key: "{uuid.uuid4()}")' if name == "refundCreate" else ""
        return self.ask(f"mutation({call}) {{ {name}({arguments}){key} {{ {selection} }} }}", **variables)[name]

    def place(self, *lines, behaviour="DECREMENT_OBEYING_POLICY", errors=False, **fields):
        """Place an order of (variant, units); the order as the API shows it, or its user errors."""
        given = {"lineItems": [{"variantId": variant.gid, "quantity": units} for variant, units in lines]} | fields
        payload = self.do(
            "orderCreate",
            "$order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput",
            f"order {{ {ORDER} }} userErrors {{ code field message }}",
            order=given,
            options={"inventoryBehaviour": behaviour} if behaviour else None,
        )
        if errors:
            return payload["userErrors"]
        assert payload["userErrors"] == []
        return payload["order"]

    def order(self, order):
        return self.ask(f"query($id: ID!) {{ order(id: $id) {{ {ORDER} }} }}", id=order["id"])["order"]

    def fulfil(self, order, units=None, index=0):
        row = order["fulfillmentOrders"]["nodes"][index]
        entry = {"fulfillmentOrderId": row["id"]}
        if units is not None:
            entry["fulfillmentOrderLineItems"] = [{"id": row["lineItems"]["nodes"][0]["id"], "quantity": units}]
        return self.do(
            "fulfillmentCreate",
            "$fulfillment: FulfillmentInput!",
            "fulfillment { id status } userErrors { field message }",
            fulfillment={"lineItemsByFulfillmentOrder": [entry]},
        )

    def refund(self, order, units, restock_type, *, place=None, **more):
        line = {"lineItemId": line_of(order)["id"], "quantity": units, "restockType": restock_type}
        if place is not None:
            line["locationId"] = place.gid
        return self.do(
            "refundCreate",
            "$input: RefundInput!",
            "refund { id processedAt } userErrors { field message }",
            input={"orderId": order["id"], "refundLineItems": [line], **more},
        )

    def cancel(self, order, *, restock=True):
        return self.do(
            "orderCancel",
            "$orderId: ID!, $reason: OrderCancelReason!, $restock: Boolean!",
            "job { id done } orderCancelUserErrors { code field message }",
            orderId=order["id"],
            reason="INVENTORY",
            restock=restock,
        )

    def move(self, order, to, units=None):
        row = order["fulfillmentOrders"]["nodes"][0]
        lines = [{"id": row["lineItems"]["nodes"][0]["id"], "quantity": units}] if units else None
        return self.do(
            "fulfillmentOrderMove",
            "$id: ID!, $newLocationId: ID!, $fulfillmentOrderLineItems: [FulfillmentOrderLineItemInput!]",
            "movedFulfillmentOrder { id status } originalFulfillmentOrder { id status } userErrors { code message }",
            id=row["id"],
            newLocationId=to.gid,
            fulfillmentOrderLineItems=lines,
        )

    def edit(self, order):
        payload = self.do(
            "orderEditBegin", "$id: ID!", "calculatedOrder { id } userErrors { field message }", id=order["id"]
        )
        return payload["calculatedOrder"]["id"]

    def edit_quantity(self, edit, line, quantity, *, restock):
        return self.do(
            "orderEditSetQuantity",
            "$id: ID!, $lineItemId: ID!, $quantity: Int!, $restock: Boolean",
            "calculatedLineItem { id quantity editableQuantity } userErrors { field message }",
            id=edit,
            lineItemId=line["id"].replace("/LineItem/", "/CalculatedLineItem/"),
            quantity=quantity,
            restock=restock,
        )

    def edit_add(self, edit, variant, quantity):
        return self.do(
            "orderEditAddVariant",
            "$id: ID!, $variantId: ID!, $quantity: Int!, $allowDuplicates: Boolean",
            "calculatedLineItem { id sku }",
            id=edit,
            variantId=variant.gid,
            quantity=quantity,
            allowDuplicates=True,
        )

    def commit(self, edit):
        payload = self.do("orderEditCommit", "$id: ID!", f"order {{ {ORDER} }} userErrors {{ field message }}", id=edit)
        assert payload["userErrors"] == []
        return payload["order"]

    def draft(self, variant, quantity, *, until):
        """A draft that holds its units until then; its id."""
        given = {"lineItems": [{"variantId": variant.gid, "quantity": quantity}], "reserveInventoryUntil": until}
        selection = "draftOrder { id status } userErrors { message }"
        payload = self.do("draftOrderCreate", "$input: DraftOrderInput!", selection, input=given)
        return payload["draftOrder"]["id"]

    def complete(self, draft_id):
        selection = "draftOrder { status order { id } } userErrors { message }"
        return self.do("draftOrderComplete", "$id: ID!", selection, id=draft_id)

    def units(self, variant, place):
        """(available, committed, on hand) of a variant at a place."""
        row = InventoryLevel.objects.get(item=variant.item, location=place)
        return row.available, row.committed, row.on_hand

    def listen(self, *topics):
        for topic in topics:
            WebhookSubscription.objects.create(shop=self.shop, topic=topic, uri="https://studio.example.test/hooks")

    def told(self, topic):
        """Webhooks owed of a topic, oldest first."""
        return list(Delivery.objects.filter(vendor="shopify", topic=topic).order_by("pk"))


def line_of(order):
    return order["lineItems"]["nodes"][0]


def places_of(order):
    """Location id -> units remaining there."""
    return {
        row["assignedLocation"]["location"]["id"]: sum(line["remainingQuantity"] for line in row["lineItems"]["nodes"])
        for row in order["fulfillmentOrders"]["nodes"]
    }

"""A customer at the web shop: Shopify's Admin GraphQL API, as a storefront and its warehouse use it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from channels.sandbox.trading.calls import ATTEMPTS_MAX, Caller, Json, Refused, Unanswered, backoff_s

PLACE = """
mutation Buy($order: OrderCreateOrderInput!, $options: OrderCreateOptionsInput, $key: String!) {
  orderCreate(order: $order, options: $options) @idempotent(key: $key) {
    order { id fulfillmentOrders(first: 5) { nodes { id } } } userErrors { code field message }
  }
}
"""
FULFIL = """
mutation Fulfil($fulfillment: FulfillmentInput!, $key: String!) {
  fulfillmentCreate(fulfillment: $fulfillment) @idempotent(key: $key) {
    fulfillment { id } userErrors { field message }
  }
}
"""
CANCEL = """
mutation Cancel($id: ID!, $key: String!) {
  orderCancel(orderId: $id, reason: CUSTOMER, restock: true, refund: true) @idempotent(key: $key) {
    orderCancelUserErrors { code field message }
  }
}
"""
REFUND = """
mutation Refund($input: RefundInput!, $key: String!) {
  refundCreate(input: $input) @idempotent(key: $key) { refund { id } userErrors { field message } }
}
"""
LINES = """
query Lines($id: ID!, $count: Int!) {
  order(id: $id) { lineItems(first: $count) { nodes { id variant { id } } } }
}
"""


@dataclass(frozen=True)
class WebSale:
    """A placed order with its units by SKU key."""

    order_id: str
    fulfillment_order_ids: tuple[str, ...]
    units: Mapping[str, int]


@dataclass(frozen=True)
class Checkout:
    """What became of a basket: the order, unless nothing was left of it, and what the shop did not have.

    A sale is the storefront's own, with its `units` by SKU key.
    """

    sale: Any
    refused: Mapping[str, int]


class Storefront(Protocol):
    """Where customers buy without a person at a till; what each step may raise is Refused or Unanswered."""

    caller: Caller

    def buy(self, *, invoice: str, units: Mapping[str, int]) -> Checkout:
        """Place a paid order for what there is enough of."""

    def fulfil(self, *, sale: Any) -> None:
        """Send it."""

    def cancel(self, *, sale: Any) -> None:
        """Cancel an order of which nothing has left."""

    def take_back(self, *, sale: Any, units: Mapping[str, int], by: str, is_fulfilled: bool, location_id: str) -> None:
        """Refund units of it and put them back."""


class Web:
    """Buys at one shop. `goods`: variant gids by SKU key. `name` makes the idempotency keys."""

    def __init__(self, *, graphql_url: str, token: str, goods: Mapping[str, str], name: str) -> None:
        self.url, self.goods, self.name = graphql_url, goods, name
        self.caller = Caller(headers={"X-Shopify-Access-Token": token})

    def buy(self, *, invoice: str, units: Mapping[str, int]) -> Checkout:
        """Place a paid order. What the shop says it has not is taken out of the basket and the rest bought."""
        basket = dict(units)
        refused: dict[str, int] = {}
        while basket:
            skus = list(basket)
            try:
                sale = self._place(invoice, basket)
            except Refused as error:
                short = {int(field[2]) for field in error.fields if field[1:2] == ("lineItems",)}
                if error.code != "INVENTORY_CLAIM_FAILED" or not short:
                    raise
                refused |= {skus[index]: basket.pop(skus[index]) for index in short}
            else:
                return Checkout(sale, refused)
        return Checkout(None, refused)

    def _place(self, invoice: str, basket: Mapping[str, int]) -> WebSale:
        lines = [{"variantId": self.goods[sku], "quantity": units} for sku, units in basket.items()]
        variables = {
            "order": {"lineItems": lines, "financialStatus": "PAID", "sourceIdentifier": invoice},
            "options": {"inventoryBehaviour": "DECREMENT_OBEYING_POLICY"},
            "key": self._key(invoice, "order", *basket),
        }
        order = self._run(PLACE, variables)["orderCreate"]["order"]
        nodes = order["fulfillmentOrders"]["nodes"]
        return WebSale(order["id"], tuple(node["id"] for node in nodes), dict(basket))

    def fulfil(self, *, sale: WebSale) -> None:
        """Ship the whole order, each place its part: the vendor takes one place a fulfillment."""
        for one in sale.fulfillment_order_ids:
            lines = [{"fulfillmentOrderId": one}]
            variables = {"fulfillment": {"lineItemsByFulfillmentOrder": lines}, "key": self._key(one, "fulfil")}
            self._run(FULFIL, variables)

    def cancel(self, *, sale: WebSale) -> None:
        """Cancel an order of which nothing has left; its units are for sale again."""
        self._run(CANCEL, {"id": sale.order_id, "key": self._key(sale.order_id, "cancel")})

    def take_back(
        self, *, sale: WebSale, units: Mapping[str, int], by: str, is_fulfilled: bool, location_id: str
    ) -> None:
        """Refund units: those that left go back on the shelf at a place, the others are let go where they are."""
        found = self._run(LINES, {"id": sale.order_id, "count": len(sale.units)})
        nodes = found["order"]["lineItems"]["nodes"]
        ids = {node["variant"]["id"]: node["id"] for node in nodes}
        back = [
            {"lineItemId": ids[self.goods[sku]], "quantity": units[sku]}
            | ({"restockType": "RETURN", "locationId": location_id} if is_fulfilled else {"restockType": "CANCEL"})
            for sku in units
        ]
        given = {"orderId": sale.order_id, "refundLineItems": back}
        self._run(REFUND, {"input": given, "key": self._key(by, sale.order_id, "refund")})

    def _key(self, *parts: str) -> str:
        """The same for the same step of the same run, whoever repeats it."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join((self.name, *parts))))

    def _run(self, document: str, variables: Json) -> Json:
        """The data of an answer; waits while the shop's bucket is empty. Raises Refused, Unanswered."""
        for attempt in range(ATTEMPTS_MAX):
            answer = self.caller.ask(method="POST", url=self.url, body={"query": document, "variables": variables})
            body = answer.json()
            errors = body.get("errors")
            if not errors:
                data = dict(body["data"])
                _raise_user_errors(data)
                return data
            if not _is_throttled(errors):
                raise Refused(f"{answer.status_code}: {errors}")
            self.caller.rest(backoff_s(attempt + 2))
        raise Unanswered(f"{self.url}: throttled {ATTEMPTS_MAX} times")


def _is_throttled(errors: object) -> bool:
    first = errors[0] if isinstance(errors, list) and errors else {}
    return isinstance(first, dict) and (first.get("extensions") or {}).get("code") == "THROTTLED"


def _raise_user_errors(data: Json) -> None:
    for payload in data.values():
        for name in ("userErrors", "orderCancelUserErrors"):
            errors = (payload or {}).get(name) or []
            if errors:
                fields = tuple(tuple(error.get("field") or ()) for error in errors)
                raise Refused(str(errors[0].get("message")), code=str(errors[0].get("code") or ""), fields=fields)

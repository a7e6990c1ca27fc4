"""A customer at the till: Square's API as an app on the counter uses it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from channels.sandbox.trading.calls import Caller, Json, Refused

VERSION = "2026-09-16"
CHANGES_MAX = 100  # of one change of inventory
STALE_CODES = ("VERSION_MISMATCH", "CONFLICT")


@dataclass(frozen=True)
class TillSale:
    """A paid order: its units and line ids by SKU key."""

    order_id: str
    location_id: str
    units: Mapping[str, int]
    line_uids: Mapping[str, str]


class Till:
    """Rings up at one Square account. `goods`: variation ids by SKU key. `name` makes the idempotency keys."""

    def __init__(self, *, base_url: str, token: str, goods: Mapping[str, str], name: str) -> None:
        self.base_url, self.goods, self.name = base_url, goods, name
        self.caller = Caller(headers={"Authorization": f"Bearer {token}", "Square-Version": VERSION})

    def sell(self, *, invoice: str, location_id: str, units: Mapping[str, int], is_pickup: bool) -> TillSale:
        """Ring up and take cash. A till never refuses: what is in the hand is sold. Raises Refused, Unanswered."""
        lines = [{"uid": f"l{n}", "catalog_object_id": self.goods[sku], "quantity": str(units[sku])}
                 for n, sku in enumerate(units)]  # fmt: skip
        order: Json = {"location_id": location_id, "reference_id": invoice[:40], "line_items": lines}
        if is_pickup:
            order["fulfillments"] = [_pickup(invoice)]
        body = {"idempotency_key": self._key(invoice, "order"), "order": order}
        made = self._send("POST", "/v2/orders", body)["order"]
        self._pay(made, invoice=invoice)
        uids = {line["catalog_object_id"]: line["uid"] for line in made["line_items"]}
        return TillSale(made["id"], location_id, dict(units), {sku: uids[self.goods[sku]] for sku in units})

    def _pay(self, order: Json, *, invoice: str) -> None:
        total = order["total_money"]
        key = self._key(invoice, "pay")
        if not total["amount"]:  # given away: no payment is asked for
            self._send("POST", f"/v2/orders/{quote(order['id'])}/pay", {"idempotency_key": key, "payment_ids": []})
            return
        body = {
            "idempotency_key": key, "source_id": "CASH", "amount_money": total, "order_id": order["id"],
            "cash_details": {"buyer_supplied_money": total}, "location_id": order["location_id"],
        }  # fmt: skip
        self._send("POST", "/v2/payments", body)

    def collect(self, *, sale: TillSale) -> None:
        """The customer fetches a pickup order. Reads it again where it changed meanwhile."""
        for _ in range(3):
            order = self._send("GET", f"/v2/orders/{quote(sale.order_id)}")["order"]
            waiting = [entry for entry in order.get("fulfillments") or [] if entry["state"] == "PROPOSED"]
            if not waiting:
                return
            change = {
                "location_id": sale.location_id, "version": order["version"],
                "fulfillments": [{"uid": entry["uid"], "state": "COMPLETED"} for entry in waiting],
            }  # fmt: skip
            body = {"idempotency_key": self._key(sale.order_id, "collect", str(order["version"])), "order": change}
            try:
                self._send("PUT", f"/v2/orders/{quote(sale.order_id)}", body)
            except Refused as error:
                if error.code not in STALE_CODES:
                    raise
            else:
                return

    def take_back(self, *, sale: TillSale, units: Mapping[str, int], by: str) -> None:
        """Refund units of a sale by a return order, and put them back on the shelf: two steps, as at Square's till."""
        returned = [{"source_line_item_uid": sale.line_uids[sku], "quantity": str(units[sku])} for sku in units]
        order = {
            "location_id": sale.location_id, "reference_id": by[:40],
            "returns": [{"source_order_id": sale.order_id, "return_line_items": returned}],
        }  # fmt: skip
        key = self._key(by, sale.order_id, "return")
        self._send("POST", "/v2/orders", {"idempotency_key": key, "order": order})
        now = datetime.now(UTC).isoformat()
        changes = [
            {"type": "ADJUSTMENT", "adjustment": {
                "catalog_object_id": self.goods[sku], "from_state": "UNLINKED_RETURN", "to_state": "IN_STOCK",
                "from_location_id": sale.location_id, "to_location_id": sale.location_id, "quantity": str(units[sku]),
                "occurred_at": now, "reference_id": f"till:{by}"[:255]}}
            for sku in units
        ]  # fmt: skip
        for start in range(0, len(changes), CHANGES_MAX):
            body = {
                "idempotency_key": self._key(by, sale.order_id, f"restock-{start}"),
                "changes": changes[start : start + CHANGES_MAX],
            }
            self._send("POST", "/v2/inventory/changes/batch-create", body)

    def _key(self, *parts: str) -> str:
        """The same for the same step of the same run, whoever repeats it."""
        return uuid.uuid5(uuid.NAMESPACE_URL, "/".join((self.name, *parts))).hex

    def _send(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self.caller.ask(method=method, url=f"{self.base_url}{path}", body=body)
        if answer.status_code != 200:
            errors = answer.json().get("errors") or [{}]
            raise Refused(f"{path}: {errors[0].get('detail')}", code=str(errors[0].get("code") or ""))
        return dict(answer.json())


def _pickup(invoice: str) -> Json:
    at = (datetime.now(UTC) + timedelta(hours=2)).isoformat()
    return {
        "type": "PICKUP",
        "state": "PROPOSED",
        "pickup_details": {
            "recipient": {"display_name": f"Customer of {invoice}"}, "schedule_type": "SCHEDULED", "pickup_at": at,
        },
    }  # fmt: skip

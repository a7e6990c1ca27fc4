"""A customer at a Lightspeed till: the X-Series API as an app on the counter uses it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import cached_property

from channels.sandbox.trading.calls import Caller, Json, Refused


class LightspeedTill:
    """Rings up at one retailer. The id of a sale is chosen here, so that a repeat is the same sale."""

    def __init__(self, *, base_url: str, token: str) -> None:
        self.base_url = base_url
        self.caller = Caller(headers={"Authorization": f"Bearer {token}", "User-Agent": "StoreStudio demo till"})

    def sell(self, *, outlet_id: str, units: Mapping[str, int], attributes: tuple[str, ...] = ()) -> str:
        """Ring up and take cash; with `attributes` such as ("pickup",) it waits. Raises Refused, Unanswered."""
        sale_id = str(uuid.uuid4())
        prices = {product_id: self._price(product_id) for product_id in units}
        body = {
            "id": sale_id,
            "state": "pending" if attributes else "closed",
            "attributes": list(attributes),
            "source": {"author_id": self._known["user"], "register_id": self._registers[outlet_id]},
            "line_items": [
                {"product": {"id": product_id}, "quantity": number, "pricing": {"price": prices[product_id]},
                 "tax": {"id": self._known["tax"], "amount": 0}}
                for product_id, number in units.items()
            ],
            "payments": [
                {"amount": sum(prices[name] * number for name, number in units.items()),
                 "type": {"config_id": self._known["cash"]}}
            ],
        }  # fmt: skip
        self.send("POST", "sales", body)
        return sale_id

    def finish(self, *, sale_id: str, state: str) -> None:
        """Hand over what waited ("closed"), or call it off ("voided")."""
        self.send("PUT", f"sales/{sale_id}", {"state": state, "source": {"author_id": self._known["user"]}})

    def take_back(self, *, sale_id: str, product_id: str, units: int) -> str:
        """Units of a closed sale come back to the shelf; returns the id of the return."""
        back = self.send("POST", f"sales/{sale_id}/actions/return")["data"]
        lines = [
            {"id": line["id"], "product": line["product"], "quantity": -units, "pricing": line["pricing"],
             "tax": {"id": line["tax"]["id"], "amount": 0}}
            for line in back["line_items"] if line["product"]["id"] == product_id
        ]  # fmt: skip
        body = {"state": "closed", "source": {"author_id": self._known["user"]}, "line_items": lines}
        self.send("PUT", f"sales/{back['id']}", body)
        return str(back["id"])

    def send(self, method: str, path: str, body: Json | None = None) -> Json:
        """One request of the vendor's API. Raises Refused, Unanswered."""
        answer = self.caller.ask(method=method, url=f"{self.base_url}/{path}", body=body)
        if answer.status_code >= 300:
            raise Refused(f"{path}: {answer.text[:200]}", code=str(answer.status_code))
        return dict(answer.json())

    def _price(self, product_id: str) -> float:
        return float(self.send("GET", f"products/{product_id}")["data"]["price_including_tax"])

    @cached_property
    def _registers(self) -> dict[str, str]:
        return {row["outlet_id"]: row["id"] for row in self.send("GET", "registers")["data"]}

    @cached_property
    def _known(self) -> dict[str, str]:
        return {
            "user": self.send("GET", "user")["data"]["id"],
            "tax": self.send("GET", "taxes")["data"][0]["id"],
            "cash": self.send("GET", "payment_types")["data"][0]["id"],
        }

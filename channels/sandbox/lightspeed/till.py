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
        self._prices: dict[str, float] = {}
        self.caller = Caller(headers={"Authorization": f"Bearer {token}", "User-Agent": "StoreStudio demo till"})

    def sell(
        self, *, outlet_id: str, units: Mapping[str, int], attributes: tuple[str, ...] = (), note: str = ""
    ) -> str:
        """Ring up and take cash; with `attributes` such as ("pickup",) it waits. Raises Refused, Unanswered."""
        sale_id = str(uuid.uuid4())
        total = sum(self._price(product_id) * number for product_id, number in units.items())
        body = {
            "id": sale_id,
            "state": "pending" if attributes else "closed",
            "attributes": list(attributes),
            "note": note,
            "source": {"author_id": self._known["user"], "register_id": self._registers[outlet_id]},
            "line_items": self._lines(units),
            "payments": [{"amount": total, "type": {"config_id": self._known["cash"]}}],
        }
        self.send("POST", "sales", body)
        return sale_id

    def finish(self, *, sale_id: str, state: str, units: Mapping[str, int] | None = None) -> None:
        """Hand over what waited ("closed"), call it off ("voided"), or leave it waiting with other lines."""
        body: Json = {"state": state, "source": {"author_id": self._known["user"]}}
        self.send("PUT", f"sales/{sale_id}", body if units is None else body | {"line_items": self._lines(units)})

    def take_back(self, *, sale_id: str, units: Mapping[str, int]) -> str:
        """Units of a closed sale come back to the shelf, by product; returns the id of the return."""
        back = self.send("POST", f"sales/{sale_id}/actions/return")["data"]
        lines = self._lines({product_id: -number for product_id, number in units.items()})
        body = {"state": "closed", "source": {"author_id": self._known["user"]}, "line_items": lines}
        self.send("PUT", f"sales/{back['id']}", body)
        return str(back["id"])

    def _lines(self, units: Mapping[str, int]) -> list[Json]:
        return [
            {"product": {"id": product_id}, "quantity": number, "pricing": {"price": self._price(product_id)},
             "tax": {"id": self._known["tax"], "amount": 0}}
            for product_id, number in units.items()
        ]  # fmt: skip

    def send(self, method: str, path: str, body: Json | None = None) -> Json:
        """One request of the vendor's API. Raises Refused, Unanswered."""
        answer = self.caller.ask(method=method, url=f"{self.base_url}/{path}", body=body)
        if answer.status_code >= 300:
            raise Refused(f"{path}: {answer.text[:200]}", code=str(answer.status_code))
        return dict(answer.json())

    def _price(self, product_id: str) -> float:
        if product_id not in self._prices:
            product = self.send("GET", f"products/{product_id}")["data"]
            self._prices[product_id] = float(product["price_including_tax"])
        return self._prices[product_id]

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

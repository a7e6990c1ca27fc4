"""A counter at a Lightspeed R-Series shop: its API as a client of the owner's own uses it."""

from __future__ import annotations

from collections.abc import Mapping

from channels.sandbox.trading.calls import Caller, Json, Refused


class RSeriesTill:
    """Rings up at one account. The vendor knows no idempotency key: a lost answer may mean a second ticket."""

    def __init__(self, *, base_url: str, token: str) -> None:
        self.base_url = base_url
        self.caller = Caller(headers={"Authorization": f"Bearer {token}"})

    def sell(self, *, shop_id: str, units: Mapping[str, int]) -> str:
        """A completed ticket; returns its number. Raises Refused, Unanswered."""
        lines = [{"itemID": item, "unitQuantity": count} for item, count in units.items()]
        return self._complete(shop_id, lines)

    def set_aside(self, *, shop_id: str, units: Mapping[str, int]) -> list[str]:
        """Layaways, one an item; returns their lines."""
        made = []
        for item, count in units.items():
            body = {"shopID": shop_id, "itemID": item, "unitQuantity": count, "isLayaway": "true", "customerID": "1"}
            made.append(str(self.send("POST", "SaleLine", body)["SaleLine"]["saleLineID"]))
        return made

    def hand_over(self, *, shop_id: str, line_ids: list[str]) -> str:
        """What was set aside is paid and taken home."""
        return self._complete(shop_id, [{"saleLineID": one} for one in line_ids])

    def let_go(self, *, line_ids: list[str]) -> None:
        """What was set aside is not wanted."""
        for one in line_ids:
            self.send("DELETE", f"SaleLine/{one}")

    def void(self, *, sale_id: str) -> None:
        """Undo a ticket."""
        self.send("PUT", f"Sale/{sale_id}", {"voided": "true"})

    def take_back(self, *, shop_id: str, sale_id: str, units: Mapping[str, int]) -> str:
        """Units of a ticket come back to the shelf, by item; returns the refund's number."""
        lines = self.lines_of(sale_id)
        back = [
            {"parentSaleLineID": line["saleLineID"], "unitQuantity": -units[line["itemID"]]}
            for line in lines if line["itemID"] in units
        ]  # fmt: skip
        body = {"shopID": shop_id, "SaleLines": {"SaleLine": back}}
        return str(self.send("POST", f"Sale/{sale_id}/refund", body)["Sale"]["saleID"])

    def lines_of(self, sale_id: str) -> list[Json]:
        """A ticket's lines, always as a list."""
        sale = self.send("GET", f'Sale/{sale_id}?load_relations=["SaleLines"]')["Sale"]
        found = (sale["SaleLines"] or {"SaleLine": []})["SaleLine"]
        return list(found) if isinstance(found, list) else [found]

    def _complete(self, shop_id: str, lines: list[Json]) -> str:
        body = {"shopID": shop_id, "completed": "true", "SaleLines": {"SaleLine": lines}}
        return str(self.send("POST", "Sale", body)["Sale"]["saleID"])

    def send(self, method: str, path: str, body: Json | None = None) -> Json:
        """One request of the vendor's API. Raises Refused, Unanswered."""
        address, _, query = path.partition("?")
        url = f"{self.base_url}/{address}.json{'?' + query if query else ''}"
        answer = self.caller.ask(method=method, url=url, body=body)
        if answer.status_code >= 300:
            raise Refused(f"{path}: {answer.text[:200]}", code=str(answer.status_code))
        return dict(answer.json())

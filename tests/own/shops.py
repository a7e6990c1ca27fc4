"""A shop with a site of its own: `a_site()`, and a client that calls its API as the site would."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.test import Client
from django.utils.timezone import now as utc_now

from channels.models import Connection
from channels.own import site as sites
from channels.own import tokens
from channels.own.models import Scope
from inventory import ledger
from inventory.models import Location, StockLevel, Variant
from tests import factories


@dataclass(frozen=True)
class Api:
    """The site's own calls: `api.post("/holds", …)` gives the answer of the real views."""

    token: str
    client: Client

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if self.token:
            headers = {"Authorization": f"Bearer {self.token}"} | headers
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        content_type = headers.pop("Content-Type", "application/json")
        return self.client.generic(method, f"/api/v1{path}", data, content_type=content_type, headers=headers)

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.call("POST", path, body, **headers)

    def hold(self, key: str, *lines: Any, **more: Any) -> Any:
        """Hold `(sku, quantity)` pairs under a key."""
        wanted = [{"sku": sku, "quantity": quantity} for sku, quantity in lines]
        return self.post("/holds", {"lines": wanted, **more}, **{"Idempotency-Key": key})


@dataclass(frozen=True)
class Shop:
    """A shop, its site, its places and goods."""

    site: Connection
    owner: Any
    places: list[Location]
    variants: dict[str, Variant]
    api: Api

    def level(self, sku: str, place: int = 0) -> StockLevel:
        return StockLevel.objects.get(variant=self.variants[sku], location=self.places[place])

    def put_on_shelf(self, sku: str, units: Any, place: int = 0, key: str = "") -> None:
        entry = ledger.Entry(
            self.variants[sku].pk, self.places[place].pk, "receive", key or f"{sku}:{place}:{utc_now().isoformat()}",
            utc_now(), on_hand=Decimal(units),
        )  # fmt: skip
        with transaction.atomic():
            ledger.post(merchant_id=self.site.merchant_id, source="test", entries=[entry])


def api_of(site: Connection, *scopes: str, **more: Any) -> Api:
    """A fresh token with these scopes, or with all."""
    _, text = tokens.issue(connection=site, name="Web", scopes=scopes or Scope.values, actor=None, **more)
    return Api(text, Client(raise_request_exception=False))


def a_site(*, units: Any = 5, skus: tuple[str, ...] = ("MUG", "BOWL"), places: int = 2, limit: int = 100_000) -> Shop:
    """A shop whose site lists `skus`, `units` of each at the first of its places and none at the others."""
    membership = factories.MembershipFactory()
    merchant = membership.merchant
    locations = [factories.LocationFactory(merchant=merchant) for _ in range(places)]
    variants = {sku: factories.VariantFactory(merchant=merchant, sku=sku) for sku in skus}
    site = sites.open_site(merchant=merchant, label="Own site", actor=membership.user)
    shop = Shop(site, membership.user, locations, variants, api_of(site, requests_per_minute=limit))
    for sku in skus:
        shop.put_on_shelf(sku, units)
    return shop

"""Trading at Square's stand-in: the till, the dashboard and the order-ahead app of a small shop."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import requests
from django.db import transaction
from django.utils import timezone

from channels import ports
from channels.sandbox.square import accounts, models, stock
from channels.sandbox.square.values import now_ms, upper_id
from tests.contract.adapters import SKUS, STOCK_AT_START, Shop, ShopVariant


class SquareAdapter:
    """Acts through Square's API with the application's own token; what has no API (the dashboard, the till's
    restock button) writes history as the stand-in itself does."""

    count_write_operation = "inventory.batch_create_changes"
    listing_write_operation = "catalog.batch_upsert"

    def open_shop(self, *, server_url: str, webhook_url: str) -> Shop:
        seller = accounts.create_account(name="Contract shop", locations=["Front", "Back"])
        account = ports.Account(
            account_id=seller.merchant_id,
            base_url=f"{server_url}/square",
            credentials={
                "access_token": seller.access_token,
                "refresh_token": seller.refresh_token,
                "application_token": seller.personal_token,
                "application_id": seller.application_id,
                "client_id": seller.application_id,
                "client_secret": seller.client_secret,
                "signature_key": seller.signature_key,
            },
            webhook_url=webhook_url,
        )
        front, back = seller.locations.order_by("pk").values_list("pk", flat=True)
        shop = Shop(account=account, location_ids=(front, back), variants=[])
        variants = [self._add(shop=shop, sku=sku) for sku in SKUS]
        shop = Shop(account=account, location_ids=shop.location_ids, variants=variants)
        for variant in variants:
            for place in shop.location_ids:
                self._change(
                    shop=shop,
                    variant=variant,
                    location_id=place,
                    move=("NONE", "IN_STOCK"),
                    quantity=STOCK_AT_START,
                    product="DASHBOARD",
                )
        return shop

    def sell(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        order = self._order(shop=shop, variant=variant, location_id=location_id, quantity=quantity)
        self._pay(shop=shop, order=order)
        return str(order["id"])

    def order_ahead(self, *, shop: Shop, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        pickup = {
            "type": "PICKUP",
            "state": "PROPOSED",
            "pickup_details": {
                "recipient": {"display_name": "Kim"},
                "schedule_type": "SCHEDULED",
                "pickup_at": "2030-01-01T12:00:00Z",
            },
        }
        order = self._order(
            shop=shop, variant=variant, location_id=location_id, quantity=quantity, fulfillments=[pickup]
        )
        self._pay(shop=shop, order=order)
        return str(order["id"])

    def cancel(self, *, shop: Shop, order_id: str) -> None:
        """A paid order cannot be CANCELED at Square; its fulfillment can, and its goods are free again."""
        order = self._call(shop, "GET", f"/v2/orders/{order_id}")["order"]
        fulfillments = [{"uid": entry["uid"], "state": "CANCELED"} for entry in order["fulfillments"]]
        body = {
            "location_id": order["location_id"],
            "version": order["version"],
            "fulfillments": fulfillments,
        }
        self._call(shop, "PUT", f"/v2/orders/{order_id}", body={"order": body})

    def give_back(self, *, shop: Shop, order_id: str, variant: ShopVariant, location_id: str, quantity: Decimal) -> str:
        order = self._call(shop, "GET", f"/v2/orders/{order_id}")["order"]
        line = next(ln for ln in order["line_items"] if ln["catalog_object_id"] == variant.listing_id)
        returned = {
            "source_order_id": order_id,
            "return_line_items": [{"source_line_item_uid": line["uid"], "quantity": str(quantity)}],
        }
        body = {"order": {"location_id": location_id, "returns": [returned]}, "idempotency_key": _key()}
        document = self._call(shop, "POST", "/v2/orders", body=body)["order"]
        self._change(
            shop=shop,
            variant=variant,
            location_id=location_id,
            move=("UNLINKED_RETURN", "IN_STOCK"),
            quantity=quantity,
            product="SQUARE_POS",
        )
        return str(document["id"])

    def edit_stock(self, *, shop: Shop, variant: ShopVariant, location_id: str, delta: Decimal) -> None:
        self._change(
            shop=shop,
            variant=variant,
            location_id=location_id,
            move=("NONE", "IN_STOCK") if delta > 0 else ("IN_STOCK", "WASTE"),
            quantity=abs(delta),
            product="DASHBOARD",
        )

    def shown(self, *, shop: Shop, variant: ShopVariant, location_id: str) -> Decimal:
        path = f"/v2/inventory/{variant.inventory_id}?location_ids={location_id}"
        counts = self._call(shop, "GET", path)["counts"]
        return next(Decimal(count["quantity"]) for count in counts if count["state"] == "IN_STOCK")

    def rename(self, *, shop: Shop, variant: ShopVariant, sku: str) -> None:
        entry = self._call(shop, "GET", f"/v2/catalog/object/{variant.listing_id}")["object"]
        entry["item_variation_data"]["sku"] = sku
        self._call(shop, "POST", "/v2/catalog/object", body={"idempotency_key": _key(), "object": entry})

    def described(self, *, shop: Shop, variant: ShopVariant) -> Any:
        row = models.CatalogObject.objects.get(object_id=variant.listing_id)
        return {"name": row.name, "sku": row.sku, "upc": row.upc, "is_deleted": row.is_deleted, "data": row.data}

    def remove(self, *, shop: Shop, variant: ShopVariant) -> None:
        self._call(shop, "DELETE", f"/v2/catalog/object/{variant.product_id}")

    def revoke(self, *, shop: Shop) -> None:
        accounts.revoke(account=_seller(shop))

    def _add(self, *, shop: Shop, sku: str) -> ShopVariant:
        variation = {
            "type": "ITEM_VARIATION",
            "id": "#variation",
            "present_at_all_locations": True,
            "item_variation_data": {
                "item_id": "#item",
                "name": "Large",
                "sku": sku,
                "pricing_type": "FIXED_PRICING",
                "price_money": {"amount": 1250, "currency": "USD"},
                "track_inventory": True,
            },
        }
        item = {
            "type": "ITEM",
            "id": "#item",
            "present_at_all_locations": True,
            "item_data": {"name": f"Mug {sku}", "variations": [variation]},
        }
        reply = self._call(shop, "POST", "/v2/catalog/object", body={"idempotency_key": _key(), "object": item})
        ids = {row["client_object_id"]: row["object_id"] for row in reply["id_mappings"]}
        return ShopVariant(
            listing_id=ids["#variation"],
            inventory_id=ids["#variation"],
            product_id=ids["#item"],
            sku=sku,
        )

    def _order(
        self,
        *,
        shop: Shop,
        variant: ShopVariant,
        location_id: str,
        quantity: Decimal,
        fulfillments: list[dict[str, Any]] | None = None,
    ) -> dict[str, Any]:
        line = {"catalog_object_id": variant.listing_id, "quantity": str(quantity)}
        order: dict[str, Any] = {"location_id": location_id, "line_items": [line]}
        if fulfillments:
            order["fulfillments"] = fulfillments
        body = {"idempotency_key": _key(), "order": order}
        return dict(self._call(shop, "POST", "/v2/orders", body=body)["order"])

    def _pay(self, *, shop: Shop, order: dict[str, Any]) -> None:
        total = order["total_money"]
        body = {
            "idempotency_key": _key(),
            "source_id": "CASH",
            "amount_money": total,
            "cash_details": {"buyer_supplied_money": total},
            "order_id": order["id"],
            "location_id": order["location_id"],
        }
        self._call(shop, "POST", "/v2/payments", body=body)

    @transaction.atomic
    def _change(
        self,
        *,
        shop: Shop,
        variant: ShopVariant,
        location_id: str,
        move: tuple[str, str],
        quantity: Decimal,
        product: str,
    ) -> None:
        """An adjustment by one of Square's own products."""
        now = now_ms()
        change = models.InventoryChange(
            change_id=upper_id(),
            account=_seller(shop),
            type=models.InventoryChange.Type.ADJUSTMENT,
            catalog_object_id=variant.inventory_id,
            from_state=move[0],
            to_state=move[1],
            from_location_id=location_id,
            to_location_id=location_id,
            quantity=quantity,
            occurred_at=now,
            created_at=now,
            source={"product": product, "application_id": f"sq0idp-{product.lower()}"},
        )
        stock.post(account=_seller(shop), changes=[change], now=timezone.now())

    def _call(self, shop: Shop, method: str, path: str, *, body: dict[str, Any] | None = None) -> dict[str, Any]:
        token = shop.account.credentials["application_token"]
        answer = requests.request(
            method,
            shop.account.base_url + path,
            json=body,
            headers={"Authorization": f"Bearer {token}", "Square-Version": "2026-09-16"},
            timeout=20,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def _seller(shop: Shop) -> models.Account:
    return models.Account.objects.get(pk=shop.account.account_id)


def _key() -> str:
    return uuid.uuid4().hex


ADAPTER = SquareAdapter()

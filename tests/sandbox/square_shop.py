"""A seller on the Square stand-in, driven over HTTP by the official SDK, and the vendor's schemas."""

import functools
import gzip
import json
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import requests
from square import Square
from square.utils.webhooks_helper import verify_signature

from channels.sandbox.models import Delivery
from channels.sandbox.square import accounts
from channels.sandbox.square.models import AccessToken

CONTRACT = Path(__file__).parents[3] / "shared" / "contracts" / "square"
SCHEMAS = CONTRACT / "sdk46-2026-09-16.schemas.json.gz"


class SquareShop:
    """An account with two locations (a new one, or one there is), short words for what tests do there, and the SDK."""

    def __init__(self, *, server_url, account=None):
        self.base_url = f"{server_url}/square"
        self.account = account or accounts.create_account(name="Corner Shop", locations=["High Street", "Market"])
        places = {row.name: row.location_id for row in self.account.locations.all()}
        self.street, self.market = places["High Street"], places["Market"]
        self.sdk = self.client(self.account.access_token)

    def client(self, token):
        return Square(token=token, base_url=self.base_url)

    def call(self, method, path, body=None, *, token=None, headers=None, data=None):
        """A plain request: status and JSON."""
        answer = requests.request(
            method,
            f"{self.base_url}{path}",
            json=body,
            data=data,
            headers={"Authorization": f"Bearer {token or self.account.access_token}"} | (headers or {}),
            timeout=20,
        )
        return answer.status_code, answer.json()

    def item(self, *skus, name="Mug", price=500, **variation):
        """Make one ITEM with a tracked variation a SKU; returns the variations' ids."""
        reply = self.sdk.catalog.batch_upsert(
            idempotency_key=str(uuid.uuid4()),
            batches=[{"objects": [item_body(name, skus, price=price, **variation)]}],
        )
        mapped = {pair.client_object_id: pair.object_id for pair in reply.id_mappings}
        return [mapped[f"#{name}-{sku}"] for sku in skus]

    def count(self, variation, quantity, *, place=None, at=None):
        return self.change(
            {
                "type": "PHYSICAL_COUNT",
                "physical_count": {
                    "catalog_object_id": variation,
                    "location_id": place or self.street,
                    "state": "IN_STOCK",
                    "quantity": quantity,
                    "occurred_at": moment(at),
                },
            }
        )

    def change(self, *changes, key=None):
        return self.sdk.inventory.batch_create_changes(idempotency_key=key or str(uuid.uuid4()), changes=list(changes))

    def adjustment(self, variation, quantity, *, move=("NONE", "IN_STOCK"), place=None, to=None, at=None):
        return {
            "type": "ADJUSTMENT",
            "adjustment": {
                "catalog_object_id": variation,
                "from_state": move[0],
                "to_state": move[1],
                "from_location_id": place or self.street,
                "to_location_id": to or place or self.street,
                "quantity": quantity,
                "occurred_at": moment(at),
            },
        }

    def stock(self, variation, *, place=None, state="IN_STOCK"):
        """The count as text; None where there is no row."""
        page = self.sdk.inventory.batch_get_counts(
            catalog_object_ids=[variation], location_ids=[place or self.street], states=[state]
        )
        return next((row.quantity for row in page), None)

    def order(self, *lines, place=None, **fields):
        """An OPEN order over (variation, quantity) lines."""
        return self.sdk.orders.create(
            idempotency_key=str(uuid.uuid4()),
            order={
                "location_id": place or self.street,
                "line_items": [{"catalog_object_id": v, "quantity": q} for v, q in lines],
            }
            | fields,
        ).order

    def pay(self, order, *, amount=None, autocomplete=True):
        money = {"amount": order.total_money.amount if amount is None else amount, "currency": self.account.currency}
        return self.sdk.payments.create(
            source_id="CASH",
            idempotency_key=str(uuid.uuid4()),
            amount_money=money,
            cash_details={"buyer_supplied_money": money},
            order_id=order.id,
            autocomplete=autocomplete,
        ).payment

    def sell(self, *lines, **fields):
        """A paid order, read again."""
        order = self.order(*lines, **fields)
        self.pay(order)
        return self.sdk.orders.get(order_id=order.id).order

    def change_order(self, order, **fields):
        """A sparse change; the order as it is then."""
        given = {"location_id": order.location_id, "version": order.version} | fields
        return self.sdk.orders.update(order_id=order.id, order=given).order

    def take_back(self, *returned, of, place=None, **fields):
        """A return order over (line number, quantity) of a sale, handed in at a place: status and body."""
        lines = [{"source_line_item_uid": of.line_items[n].uid, "quantity": quantity} for n, quantity in returned]
        given = {
            "location_id": place or self.street,
            "returns": [{"source_order_id": of.id, "return_line_items": lines}],
        } | fields
        return self.call("POST", "/v2/orders", {"idempotency_key": str(uuid.uuid4()), "order": given})

    def subscribe(self, *types, url="https://shop.example/webhooks/square/t0ken"):
        client = self.client(self.account.personal_token)
        return client.webhooks.subscriptions.create(
            idempotency_key=str(uuid.uuid4()),
            subscription={"name": "all", "event_types": list(types), "notification_url": url},
        ).subscription

    def events(self, type_, *, subscription):
        """The bodies owed of this type, each with a signature the SDK accepts."""
        bodies = []
        for row in Delivery.objects.filter(vendor="square", topic=type_).order_by("pk"):
            text = bytes(row.body).decode()
            assert verify_signature(
                request_body=text,
                signature_header=row.headers["x-square-hmacsha256-signature"],
                signature_key=subscription.signature_key,
                notification_url=subscription.notification_url,
            )
            bodies.append(json.loads(text))
        return bodies

    def expire_token(self):
        AccessToken.objects.filter(token=self.account.access_token).update(
            expires_at=datetime.now(UTC) - timedelta(seconds=1)
        )


def item_body(name, skus, *, price=500, **variation):
    return {
        "type": "ITEM",
        "id": f"#{name}",
        "item_data": {
            "name": name,
            "variations": [
                {
                    "type": "ITEM_VARIATION",
                    "id": f"#{name}-{sku}",
                    "item_variation_data": {
                        "name": sku,
                        "sku": sku,
                        "track_inventory": True,
                        "pricing_type": "FIXED_PRICING",
                        "price_money": {"amount": price, "currency": "USD"},
                    }
                    | variation,
                }
                for sku in skus
            ],
        },
    }


def moment(at=None):
    return (at or datetime.now(UTC)).isoformat().replace("+00:00", "Z")


def ago(**span):
    return datetime.now(UTC) - timedelta(**span)


@functools.cache
def schemas():
    with gzip.open(SCHEMAS) as file:
        return json.load(file)


def conforms(body, name):
    """Raise where a body is not what the vendor's schema of this name allows."""
    schema = {"$ref": f"#/$defs/{name}", "$defs": schemas()["$defs"]}
    jsonschema.Draft202012Validator(schema).validate(body)

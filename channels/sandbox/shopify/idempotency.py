"""Mutations that are done once a key: the claim, the first answer again, and what the vendor refuses.

https://shopify.dev/docs/api/usage/implementing-idempotency (2026-10). How long keys are kept is not published; here
they are kept for ever.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db import connection as database

from channels.sandbox.shopify.models import IdempotentCall, Shop

# Refused without @idempotent since 2026-04. Not all of them are served here.
REQUIRED = frozenset(
    {
        "inventoryActivate", "inventoryAdjustQuantities", "inventoryMoveQuantities", "inventorySetOnHandQuantities",
        "inventorySetQuantities", "inventoryShipmentAddItems", "inventoryShipmentCreate",
        "inventoryShipmentCreateInTransit", "inventoryShipmentReceive", "inventoryTransferCreate",
        "inventoryTransferCreateAsReadyToShip", "inventoryTransferDuplicate", "inventoryTransferSetItems",
        "locationActivate", "locationDeactivate", "refundCreate",
    }
)  # fmt: skip


class Replay(Exception):
    """The key was used before for the same request: `data` is its first answer."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.data = data


class Refusal(Exception):
    """The key can not be used for this; becomes an entry of userErrors."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def digest(arguments: dict[str, Any]) -> str:
    """What two calls with one key must have in common."""
    return hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).hexdigest()


def claim(*, shop: Shop, mutation: str, key: str, asked: str) -> IdempotentCall:
    """Take the key for this transaction. Raises Replay or Refusal.

    Takes an advisory lock on the key, so that a second call meanwhile is told so rather than kept waiting.
    """
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"{shop.pk} {mutation} {key}"])
        if not cursor.fetchone()[0]:
            raise Refusal("IDEMPOTENCY_CONCURRENT_REQUEST", "A request with this idempotency key is being processed.")
    row = IdempotentCall.objects.filter(shop=shop, mutation=mutation, key=key).first()
    if row is None:
        return IdempotentCall.objects.create(shop=shop, mutation=mutation, key=key, digest=asked)
    if row.digest != asked:
        message = "The idempotency key was used before with different parameters."
        raise Refusal("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", message)
    if row.failed:
        message = "An earlier request with this idempotency key failed. Use a new key."
        raise Refusal("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", message)
    raise Replay(row.result)


def failed(*, shop: Shop, mutation: str, key: str, asked: str) -> None:
    """Remember, after its transaction was undone, that the call with this key failed."""
    IdempotentCall.objects.get_or_create(
        shop=shop, mutation=mutation, key=key, defaults={"digest": asked, "failed": True}
    )

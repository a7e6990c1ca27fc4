"""One inbound event: what arrived, byte for byte, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from channels.models import InboundEvent
from inventory.models import StockMovement
from storestudio.accounts.access import ShopRequest, one_of, shop_view

SHOWN_MAX = 200_000
CLOCKS = timedelta(minutes=1)  # the database's clock and ours
# Headers that prove or carry a secret: their value helps nobody to understand the event.
_SECRET = ("authorization", "cookie", "hmac", "signature", "token", "secret")


@dataclass(frozen=True)
class Body:
    """A payload made readable. `is_text`: people can read it so, else as hex; `is_cut`: too long to show whole."""

    text: str
    size: int
    is_json: bool
    is_text: bool
    is_cut: bool


@shop_view()
@require_safe
def event(request: ShopRequest, event_id: int) -> HttpResponse:
    """The payload page: the event, its headers without secrets, its body, and the movements it caused."""
    rows = InboundEvent.objects.select_related("connection")
    found = one_of(rows, merchant=request.merchant, pk=event_id)
    context = {
        "event": found,
        "body": readable(body=bytes(found.body)),
        "headers": [(name, _shown(name, value)) for name, value in sorted(found.headers.items())],
        "movements": movements_of(found),
    }
    return render(request, "channels/event.html", context)


def readable(*, body: bytes) -> Body:
    """The bytes as text, JSON set out in lines."""
    try:
        text, is_json = json.dumps(json.loads(body), indent=2, ensure_ascii=False), True
    except (ValueError, RecursionError):  # no JSON, or nested so deeply that it cannot be set out
        text, is_json = body.decode("utf-8", errors="replace"), False
    is_text = "\ufffd" not in text and "\x00" not in text
    return Body(text=text[:SHOWN_MAX], size=len(body), is_json=is_json, is_text=is_text, is_cut=len(text) > SHOWN_MAX)


def movements_of(event: InboundEvent) -> list[StockMovement]:
    """What the event changed in the ledger; at most 100 lines."""
    if event.applied_at is None:
        return []
    # Movements have no index by event; between arrival and application there are few (block-range index by time).
    window = (event.received_at - CLOCKS, event.applied_at + CLOCKS)
    rows = StockMovement.objects.of(event.merchant).filter(event_id=event.pk, recorded_at__range=window)
    return list(rows.select_related("variant__product", "location").order_by("recorded_at", "pk")[:100])


def _shown(name: str, value: object) -> str:
    return "(kept, not shown)" if any(word in name.lower() for word in _SECRET) else str(value)

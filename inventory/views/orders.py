"""Orders: the list, and what one order holds where."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from inventory import explain, history, order_queries, paging
from inventory.models import Order, RoutingDecision
from storestudio.accounts import live
from storestudio.accounts.access import ShopRequest, one_of, shop_view, wants_partial

STATES = (
    ("", "All"),
    ("open", "To send"),
    ("fulfilled", "Done"),
    ("cancelled", "Cancelled"),
    ("unlinked", "Not linked"),
)


@shop_view()
@require_safe
def orders(request: ShopRequest) -> HttpResponse:
    """The list: whole, as a part when a filter changes, or only its rows when it looks for news."""
    narrowed = order_queries.OrderFilter.of(request.GET)
    page = order_queries.order_page(merchant=request.merchant, narrowed=narrowed, cursor=paging.Cursor.of(request.GET))
    context = {"page": page, "filter": narrowed}
    rows = live.part(request, "inventory/_order_rows.html", context)
    if request.GET.get("part") == "rows":
        return live.answer(request, rows)
    channels = explain.channels().channels(merchant_id=request.merchant.pk)
    context |= {"rows": rows, "states": STATES, "channels": channels}
    return render(request, "inventory/_orders.html" if wants_partial(request) else "inventory/orders.html", context)


@shop_view()
@require_safe
def order(request: ShopRequest, order_id: int) -> HttpResponse:
    """One order: its lines with what each holds where, and the movements it caused."""
    found = one_of(Order.objects.all(), merchant=request.merchant, pk=order_id)
    moved = history.order_movements(merchant=request.merchant, order_id=found.pk)
    context = {
        "order": found,
        "lines": order_queries.lines(order=found),
        "moved": history.lines(merchant=request.merchant, movements=moved),
        "routed": RoutingDecision.objects.of(request.merchant).filter(order=found).order_by("-decided_at", "-pk"),
        "at_channel": explain.channels().order_deeds(shop=request.merchant.slug, order=found),
        "channel": explain.channels().labels(merchant_id=request.merchant.pk).get(found.channel_id, ""),
    }
    part = live.part(request, "inventory/_order.html", context)
    if request.GET.get("part") == "order":
        return live.answer(request, part)
    return render(request, "inventory/order.html", context | {"part": part})

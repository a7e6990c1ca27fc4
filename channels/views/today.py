"""Today, and the pulse on every page."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_safe

from channels import health
from inventory import queries
from storestudio.accounts import live
from storestudio.accounts.access import ShopRequest, shop_view, wants_partial


@shop_view()
@require_safe
def pulse(request: ShopRequest) -> HttpResponse:
    """The pulse alone, polled; 204 while what the page shows (`seen`) is still true."""
    found = health.pulse(merchant=request.merchant, now=utc_now())
    if request.GET.get("seen") == found.digest:
        return HttpResponse(status=204)
    return render(request, "components/pulse.html", {"pulse": found})


@shop_view()
@require_safe
def today(request: ShopRequest) -> HttpResponse:
    """One sentence, what needs a person, the lockstep strip; then the day's sales and what runs out."""
    now = utc_now()
    if wants_partial(request):
        make = PARTS.get(request.GET.get("part", "lockstep"), _lockstep)
        return live.answer(request, make(request, now))
    return render(request, "channels/today.html", {name: make(request, now) for name, make in PARTS.items()})


def _lockstep(request: ShopRequest, now: datetime) -> SafeString:
    lines = health.lines(merchant=request.merchant, now=now)
    needs = [
        need
        for need in health.needs(merchant=request.merchant, lines=lines)
        if request.may_manage or not need.is_for_managers
    ]
    context = {
        "lines": lines,
        "needs": needs,
        "sentence": health.sentence(lines=lines, needs=len(needs)),
        "peak": max((value for line in lines for value in line.lag.trend if value is not None), default=0),
    }
    return live.part(request, "channels/_lockstep.html", context)


def _sales(request: ShopRequest, now: datetime) -> SafeString:
    sales = health.sales_today(merchant=request.merchant, now=now)
    return live.part(request, "channels/_sales.html", {"sales": sales})


def _low_stock(request: ShopRequest, now: datetime) -> SafeString:
    rows = queries.low_stock(merchant=request.merchant, now=now)
    return live.part(request, "channels/_low_stock.html", {"rows": rows})


PARTS = {"lockstep": _lockstep, "sales": _sales, "low_stock": _low_stock}

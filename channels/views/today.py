"""Today, and the pulse on every page."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_safe

from channels import health
from storestudio.accounts.access import ShopRequest, shop_view


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
    """Today."""
    return render(request, "channels/today.html")

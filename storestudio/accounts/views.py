"""The way in: which shop, and how pages look on this device."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from storestudio.accounts.context import THEMES, shops_of
from storestudio.accounts.models import User

YEAR_S = 365 * 24 * 3600


@login_required
def home(request: HttpRequest) -> HttpResponse:
    """The only shop at once; else a list to choose from (always with ?all=1)."""
    shops = shops_of(user=cast(User, request.user))
    if len(shops) == 1 and "all" not in request.GET:
        return redirect("today", shop=shops[0].slug)
    return render(request, "accounts/shops.html", {"shops": shops})


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Remember light, dark or as the device says; back to where the person was."""
    there = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(
        there, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        there = "/"
    response = HttpResponseRedirect(there)
    wanted = request.POST.get("theme", "")
    if wanted in THEMES:
        response.set_cookie("theme", wanted, max_age=YEAR_S, secure=request.is_secure(), httponly=True, samesite="Lax")
    return response

"""The fleet: every connection of every shop a person looks after, the ones that need attention first in sight."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_safe

from channels import health, incidents, registry
from channels.health.fleet import SHOPS_MAX, SORTS, sort
from channels.models import Incident
from storestudio.accounts import live
from storestudio.accounts.access import wants_partial
from storestudio.accounts.models import Membership, Merchant, User


@login_required
@require_safe
def fleet(request: HttpRequest) -> HttpResponse:
    """For StoreStudio's staff: the shops they are assigned to; an admin sees all. Others: 403."""
    user = cast(User, request.user)
    merchants = _looked_after(user)
    if not merchants and not user.is_superuser:
        raise PermissionDenied("This is for StoreStudio's staff.")
    part = _part(request, merchants)
    if wants_partial(request):
        return live.answer(request, part)
    acted = incidents.acted_on(merchants=[merchant.pk for merchant in merchants], now=utc_now())
    total = incidents.Acted(
        told=sum(one.told for one in acted.values()), acted=sum(one.acted for one in acted.values())
    )
    context = {"part": part, "count": len(merchants), "acted": total, "outages": _outages(merchants)}
    return render(request, "channels/fleet.html", context)


def _outages(merchants: list[Merchant]) -> list[dict[str, Any]]:
    """Vendors that several shops cannot reach right now, with those of this person's shops that it meets."""
    rows = Incident.objects.unresolved().filter(outage__resolved_at=None, outage__isnull=False, merchant__in=merchants)
    found: dict[int, dict[str, Any]] = {}
    for incident in rows.select_related("outage", "merchant").order_by("merchant__name", "pk"):
        outage = incident.outage
        made = {"label": registry.label(outage.channel), "opened_at": outage.opened_at, "incidents": []}
        found.setdefault(outage.pk, made)["incidents"].append(incident)
    for one in found.values():
        one["shops"] = len({incident.merchant_id for incident in one["incidents"]})
    return list(found.values())


def _looked_after(user: User) -> list[Merchant]:
    """Shops where this person is StoreStudio's staff, by name; an admin's are all."""
    merchants = Merchant.objects.order_by("name", "pk")
    if not user.is_superuser:
        merchants = merchants.filter(memberships__user=user, memberships__role=Membership.Role.ONBOARDING)
    return list(merchants[:SHOPS_MAX])


def _part(request: HttpRequest, merchants: list[Merchant]) -> SafeString:
    search = request.GET.get("q", "").strip()
    found = health.fleet_lines(merchants=merchants, now=utc_now())
    words = search.casefold()
    everything = [one for one in found if words in f"{one.merchant.name} {one.connection.label}".casefold()]
    needing = [one for one in everything if one.concerns]
    needs_only = request.GET.get("show") == "attention"
    by = request.GET.get("sort", "")
    by = by if by in SORTS else ""
    context: dict[str, Any] = {
        "lines": sort(needing if needs_only else everything, by=by),
        "total": len(everything),
        "needing": len(needing),
        "needs_only": needs_only,
        "search": search,
        "sort": by,
        "promised_s": health.PROMISED_S,
    }
    return live.part(request, "channels/_fleet.html", context)

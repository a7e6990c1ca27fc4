"""A variant's page: "Why is this 47?"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_safe

from inventory import arrival_queries, bundle_queries, explain, history, incoming, paging
from inventory.models import Variant
from storestudio.accounts import live
from storestudio.accounts.access import ShopRequest, one_of, shop_view


@dataclass(frozen=True)
class ChannelBlock:
    """One channel on a variant's page, with its cells; none of them: not linked there."""

    channel: explain.Channel
    views: Sequence[explain.ChannelView]


@shop_view()
@require_safe
def variant(request: ShopRequest, variant_id: int) -> HttpResponse:
    """The page; `?part=why` answers its living part alone."""
    found = one_of(Variant.objects.select_related("product"), merchant=request.merchant, pk=variant_id)
    at, at_error = asked_instant(request)
    narrowed = history.Filter(
        location_id=paging.number(request.GET.get("location")),
        channel_id=paging.number(request.GET.get("channel")),
        at=at,
    )
    context = _context(request, found, narrowed) | {"at_error": at_error}
    part = live.part(request, "inventory/_variant.html", context)
    if request.GET.get("part") == "why":
        return live.answer(request, part)
    made_of: bundle_queries.Makeup | None = context["makeup"]
    whole = {
        "variant": found, "part": part, "has_parts": made_of is not None,
        "is_made": made_of is not None and not made_of.is_stocked,
    }  # fmt: skip
    return render(request, "inventory/variant.html", whole, status=422 if at_error else 200)


def asked_instant(request: ShopRequest) -> tuple[datetime | None, str]:
    """`?at=` as an instant (typed in the shop's zone), and what is wrong with it. Now and later are no past: None."""
    text = request.GET.get("at", "").strip()
    if not text:
        return None, ""
    try:
        typed = datetime.fromisoformat(text)
    except ValueError:
        return None, "That is no date and time. Type it like 2026-11-23T14:30."
    local = typed if typed.tzinfo else typed.replace(tzinfo=ZoneInfo(request.merchant.timezone))
    instant = local.astimezone(UTC)
    return (None, "That lies ahead. Choose a time in the past.") if instant > utc_now() else (instant, "")


def _context(request: ShopRequest, found: Variant, narrowed: history.Filter) -> dict[str, Any]:
    merchant = request.merchant
    whole = history.explanation(merchant=merchant, variant=found, at=narrowed.at)
    places = whole.places
    why = whole
    if narrowed.location_id:
        why = history.explanation(merchant=merchant, variant=found, location_id=narrowed.location_id, at=narrowed.at)
    channels = explain.channels().channels(merchant_id=merchant.pk)
    views = explain.channels().views(merchant_id=merchant.pk, variant_ids=[found.pk], with_told=True)
    blocks = [
        ChannelBlock(channel, [view for view in views if view.connection_id == channel.connection_id])
        for channel in channels
    ]
    timeline = history.timeline(
        merchant=merchant, variant=found, narrowed=narrowed, cursor=paging.Cursor.of(request.GET)
    )
    return {
        "variant": found,
        "narrowed": narrowed,
        "why": why,
        "places": places,
        "blocks": blocks,
        "timeline": timeline,
        "is_filtered": bool(narrowed.location_id or narrowed.channel_id),
        "doubt": sum(view.doubt for view in views),
        "makeup": bundle_queries.makeup_of(merchant=merchant, variant=found),
        "part_of": bundle_queries.part_of(merchant=merchant, variant=found),
        "expected": arrival_queries.expected_of(variant_id=found.pk),
        "today": incoming.today(merchant),
    }

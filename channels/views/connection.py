"""The list of channels and a connection's page: its state, its queues, what it was told, what it told us."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_safe

from channels import health, inbox, payload_views, registry
from channels.forms import ReconnectForm
from channels.models import ChannelWriteLine, Connection, InboundEvent, Incident, Listing
from channels.views.paging import newest_first
from storestudio.accounts import live
from storestudio.accounts.access import ShopRequest, one_of, shop_view, wants_partial

RECENT = 8
HOURS = (1, 6, 24)
PREVIEWED_PAYLOADS = 20


def page_context(request: ShopRequest, connection: Connection, **more: Any) -> dict[str, Any]:
    """What the head and the tabs of every page of a connection need; `can` is None for a channel that is no more."""
    (line,) = health.lines(merchant=request.merchant, now=utc_now(), connections=[connection])
    can = registry.capabilities(connection.channel) if connection.channel in registry.EVERY else None
    return {"connection": connection, "line": line, "can": can, **more}


def connection_of(request: ShopRequest, connection_id: int) -> Connection:
    """The shop's own connection. Raises Http404."""
    rows: QuerySet[Connection] = Connection.objects.select_related("approved_by")
    return one_of(rows, merchant=request.merchant, pk=connection_id)


@shop_view()
@require_safe
def channels(request: ShopRequest) -> HttpResponse:
    """Every connection with its state in a sentence."""
    now = utc_now()
    everything = list(Connection.objects.of(request.merchant).order_by("pk"))
    open_ones = [one for one in everything if one.state != Connection.State.CLOSED]
    part = live.part(
        request,
        "channels/_channels.html",
        {"lines": health.lines(merchant=request.merchant, now=now, connections=open_ones)},
    )
    if wants_partial(request):
        return live.answer(request, part)
    closed = [one for one in everything if one.state == Connection.State.CLOSED]
    return render(request, "channels/channels.html", {"part": part, "closed": closed, "count": len(open_ones)})


@shop_view()
@require_safe
def channel(request: ShopRequest, connection_id: int) -> HttpResponse:
    """A connection: state, lag, queues, what is open, what was said lately."""
    connection = connection_of(request, connection_id)
    hours = _hours(request)
    context = page_context(request, connection, hours=hours, hour_choices=HOURS)
    parts = {"state": _state, "lag": _lag, "recent": _recent}
    if wants_partial(request):
        return live.answer(request, parts.get(request.GET.get("part", ""), _state)(request, context))
    incidents = Incident.objects.of(request.merchant).filter(connection=connection)
    shown = {name: make(request, context) for name, make in parts.items()}
    return render(
        request,
        "channels/channel.html",
        {
            **context,
            **shown,
            "rate": health.rates(connections=[connection], now=utc_now())[connection.pk],
            "last_repair": connection.subscription_repairs.order_by("-found_at", "-pk").first(),
            "open_incidents": list(
                incidents.standing()
                .select_related("variant__product", "cell__channel_location")
                .order_by("-opened_at", "-pk")[:50]
            ),
            "past_incidents": list(
                incidents.filter(resolved_at__isnull=False)
                .select_related("resolved_by")
                .order_by("-opened_at", "-pk")[:RECENT]
            ),
        },
    )


def _hours(request: ShopRequest) -> int:
    asked = request.GET.get("hours", "")
    return int(asked) if asked in map(str, HOURS) else HOURS[0]


def _state(request: ShopRequest, context: dict[str, Any]) -> SafeString:
    return live.part(
        request, "channels/_state.html", {**context, "reconnect_form": ReconnectForm(connection=context["connection"])}
    )


def _lag(request: ShopRequest, context: dict[str, Any]) -> SafeString:
    charts = health.charts(connection=context["connection"], now=utc_now(), hours=context["hours"])
    budget = health.budgets(connections=[context["connection"]], now=utc_now())[context["connection"].pk]
    shown = {"charts": charts, "budget": budget, "budget_word": budget.word, "promised_s": health.PROMISED_S}
    return live.part(request, "channels/_lag.html", {**context, **shown})


def _recent(request: ShopRequest, context: dict[str, Any]) -> SafeString:
    lines = write_lines(context["connection"]).order_by("-pk")[:RECENT]
    events = InboundEvent.objects.filter(connection=context["connection"]).defer("body", "headers")
    shown = {
        "write_lines": with_causes(lines, connection=context["connection"]),
        "events": list(events.order_by("-received_at", "-pk")[:RECENT]),
    }
    return live.part(request, "channels/_recent.html", {**context, **shown})


def write_lines(connection: Connection) -> Any:
    """The numbers this connection was told, with all that a row shows."""
    return ChannelWriteLine.objects.filter(write__connection=connection).select_related(
        "write", "cell__listing", "cell__channel_location"
    )


def with_causes(lines: Sequence[ChannelWriteLine], *, connection: Connection) -> list[dict[str, Any]]:
    """Each number with the event behind it (one query for all) and how long it took from when it was due."""
    lines = list(lines)
    ids = {line.cause_event_id for line in lines if line.cause_event_id}
    events = {
        event.pk: event
        for event in InboundEvent.objects.of(connection.merchant)
        .filter(pk__in=ids)
        .select_related("connection")
        .defer("body", "headers")
    }
    return [
        {
            "line": line,
            "cause": events.get(line.cause_event_id or 0),
            "took_s": _between(line.dirty_at, line.answered_at),
        }
        for line in lines
    ]


def _between(earlier: datetime, later: datetime | None) -> float | None:
    return max((later - earlier).total_seconds(), 0.0) if later else None


@shop_view()
@require_safe
def messages(request: ShopRequest, connection_id: int) -> HttpResponse:
    """The inbox of a connection, by state; quarantined ones with their payload, to replay or discard."""
    connection = connection_of(request, connection_id)
    state = request.GET.get("state", "")
    state = state if state in InboundEvent.State.values else ""
    rows = InboundEvent.objects.filter(connection=connection)
    counts = dict(rows.order_by().values_list("state").annotate(Count("pk")))
    rows = rows.filter(state=state) if state else rows
    is_quarantine = state == InboundEvent.State.QUARANTINED
    page = newest_first(
        rows if is_quarantine else rows.defer("body", "headers"),
        request=request,
        by="received_at",
        size=PREVIEWED_PAYLOADS if is_quarantine else 50,
    )
    bodies = {event.pk: payload_views.readable(body=bytes(event.body)) for event in page.rows if is_quarantine}
    return render(
        request,
        "channels/messages.html",
        page_context(
            request,
            connection,
            page=page,
            state=state,
            states=[(value, label, counts.get(value, 0)) for value, label in InboundEvent.State.choices],
            total=sum(counts.values()),
            rows=[{"event": event, "body": bodies.get(event.pk)} for event in page.rows],
            causes=inbox.causes(connection=connection) if is_quarantine and not request.GET.get("before") else [],
        ),
    )


@shop_view()
@require_safe
def writes(request: ShopRequest, connection_id: int) -> HttpResponse:
    """What the channel was told: from, to, why, and what it answered."""
    connection = connection_of(request, connection_id)
    outcome = request.GET.get("outcome", "")
    outcome = outcome if outcome in ChannelWriteLine.Outcome.values else ""
    rows = write_lines(connection)
    page = newest_first(rows.filter(outcome=outcome) if outcome else rows, request=request)
    return render(
        request,
        "channels/writes.html",
        page_context(
            request,
            connection,
            page=page,
            outcome=outcome,
            outcomes=ChannelWriteLine.Outcome.choices,
            rows=with_causes(page.rows, connection=connection),
        ),
    )


@shop_view()
@require_safe
def listings(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Listings by link; those that wait to be linked first, for their stock is left alone."""
    connection = connection_of(request, connection_id)
    link = request.GET.get("link", Listing.Link.UNLINKED)
    link = link if link in Listing.Link.values else Listing.Link.UNLINKED
    rows = Listing.objects.filter(connection=connection, deleted_at=None)
    counts = dict(rows.order_by().values_list("link").annotate(Count("pk")))
    search = request.GET.get("q", "").strip()
    rows = rows.filter(link=link).select_related("variant__product")
    if search:
        rows = rows.filter(Q(sku__icontains=search) | Q(product_title__icontains=search) | Q(gtin__contains=search))
    return render(
        request,
        "channels/listings.html",
        page_context(
            request,
            connection,
            page=newest_first(rows, request=request),
            link=link,
            links=[(value, label, counts.get(value, 0)) for value, label in Listing.Link.choices],
            search=search,
        ),
    )

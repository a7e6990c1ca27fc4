"""Making a connection live: which places it has, what would change there, a person's yes; pausing and waking it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from channels import connections, inbox, publisher, reconcile
from channels.forms import CONFIRM_WORD, ApproveForm, PlacesForm, ReasonForm
from channels.models import ChannelStock, InboundEvent
from channels.views.connection import connection_of, page_context
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view

ROWS_A_PAGE = 200


@shop_view(roles=MAY_MANAGE)
def places(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Say which of our locations each of the channel's places is."""
    connection = connection_of(request, connection_id)
    form = PlacesForm(request.POST or None, connection=connection)
    if request.method == "POST" and form.is_valid():
        changes = form.changes()
        for place, location in changes:
            connections.map_location(channel_location=place, location=location, actor=request.actor)
        if changes:
            messages.success(request, "Saved. Stock at these places is kept from now on.")
        return redirect("channel_places", shop=request.merchant.slug, connection_id=connection.pk)
    status = 422 if request.method == "POST" else 200
    return render(request, "channels/places.html", page_context(request, connection, form=form), status=status)


@shop_view(roles=MAY_MANAGE)
@require_safe
def preview(request: ShopRequest, connection_id: int) -> HttpResponse:
    """The table of what would change at the channel, worst first, and the button that lets it happen."""
    return _preview_page(request, connection_id)


def _preview_page(request: ShopRequest, connection_id: int, *, form: ApproveForm | None = None) -> HttpResponse:
    connection = connection_of(request, connection_id)
    lines = connections.preview(connection=connection)
    changes = sorted(
        (line for line in lines if line.before != line.after), key=lambda line: (not line.flags, line.cell_id)
    )
    zeros = [line for line in changes if _drops_to_zero(line)]
    chosen = request.GET.get("show", "")
    shown = {"flagged": [line for line in changes if line.flags], "zero": zeros}.get(chosen, changes)
    start = _start(request)
    return render(
        request,
        "channels/preview.html",
        page_context(
            request,
            connection,
            lines=shown[start : start + ROWS_A_PAGE],
            start=start + 1,
            end=min(start + ROWS_A_PAGE, len(shown)),
            shown_count=len(shown),
            next_start=start + ROWS_A_PAGE if start + ROWS_A_PAGE < len(shown) else None,
            back_start=max(start - ROWS_A_PAGE, 0) if start else None,
            changes=len(changes),
            same=len(lines) - len(changes),
            zeros=len(zeros),
            flagged=sum(bool(line.flags) for line in changes),
            show=chosen,
            form=form or ApproveForm(needs_word=_needs_word(changes=changes)),
            needs_word=_needs_word(changes=changes),
            word=CONFIRM_WORD,
            digest=connections.preview_digest(lines),
        ),
        status=422 if form else 200,
    )


def _drops_to_zero(line: connections.PreviewLine) -> bool:
    return line.after <= 0 and line.before is not None and line.before > 0


def _needs_word(*, changes: Sequence[connections.PreviewLine]) -> bool:
    """Whether so much would go to zero that a click is not enough: more than 5 cells, or a fifth of all changes."""
    zeros = sum(map(_drops_to_zero, changes))
    return zeros > 5 or (zeros > 0 and zeros * 5 > len(changes))


def _start(request: HttpRequest) -> int:
    asked = request.GET.get("start", "0")
    return int(asked) if asked.isdigit() else 0


@shop_view(roles=MAY_MANAGE)
@require_POST
def approve(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Yes to the table as it was shown; where it has changed since, it is shown again."""
    connection = connection_of(request, connection_id)
    changes = [line for line in connections.preview(connection=connection) if line.before != line.after]
    form = ApproveForm(request.POST, needs_word=_needs_word(changes=changes))
    if not form.is_valid():
        return _preview_page(request, connection_id, form=form)
    try:
        connections.approve(connection=connection, actor=request.actor, preview_digest=form.cleaned_data["digest"])
    except connections.PreviewChanged:
        messages.warning(request, "Stock moved while you were reading. Look at the new table, then approve.")
        return redirect("channel_preview", shop=request.merchant.slug, connection_id=connection.pk)
    messages.success(request, f"{connection.label} is live. The first numbers are on their way.")
    return redirect("channel", shop=request.merchant.slug, connection_id=connection.pk)


@shop_view(roles=MAY_MANAGE)
@require_POST
def pause(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Stop telling the channel numbers; what it tells us still counts."""
    connection = connection_of(request, connection_id)
    form = ReasonForm(request.POST)
    if form.is_valid():
        connections.pause(connection=connection, actor=request.actor, reason=form.cleaned_data["reason"])
        messages.success(request, f"{connection.label} is paused. Its own sales still count.")
    else:
        messages.error(request, "Say why, so that others know. Nothing has changed.")
    return redirect("channel", shop=request.merchant.slug, connection_id=connection.pk)


@shop_view(roles=MAY_MANAGE)
@require_POST
def resume(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Tell the channel numbers again."""
    connection = connection_of(request, connection_id)
    connections.resume(connection=connection, actor=request.actor)
    messages.success(request, f"{connection.label} is live again.")
    return redirect("channel", shop=request.merchant.slug, connection_id=connection.pk)


def _quarantine_page(request: ShopRequest, connection_id: int) -> HttpResponse:
    address = redirect("channel_messages", shop=request.merchant.slug, connection_id=connection_id)
    address["Location"] += f"?state={InboundEvent.State.QUARANTINED}"
    return address


def _event_of(request: ShopRequest, *, connection_id: int, event_id: int) -> InboundEvent:
    rows = InboundEvent.objects.defer("body", "headers")
    return one_of(rows, merchant=request.merchant, pk=event_id, connection_id=connection_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def replay_message(request: ShopRequest, connection_id: int, event_id: int) -> HttpResponse:
    """Try a quarantined message again."""
    event = _event_of(request, connection_id=connection_id, event_id=event_id)
    try:
        inbox.replay(event_id=event.pk, actor=request.actor)
    except inbox.NotInQuarantine:
        messages.info(request, "Someone has decided about this message already.")
    else:
        messages.success(request, "Back in the queue. If it fails again it returns here.")
    return _quarantine_page(request, connection_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def discard_message(request: ShopRequest, connection_id: int, event_id: int) -> HttpResponse:
    """Give up on a quarantined message; its bytes stay."""
    event = _event_of(request, connection_id=connection_id, event_id=event_id)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say why you give up on it. Nothing has changed.")
        return _quarantine_page(request, connection_id)
    try:
        inbox.discard(event_id=event.pk, actor=request.actor, reason=form.cleaned_data["reason"])
    except inbox.NotInQuarantine:
        messages.info(request, "Someone has decided about this message already.")
    else:
        messages.success(request, "Discarded. Its bytes are kept.")
    return _quarantine_page(request, connection_id)


def _cell_of(request: ShopRequest, *, connection_id: int, cell_id: int) -> ChannelStock:
    rows: Any = ChannelStock.objects.all()
    cell: ChannelStock = one_of(rows, merchant=request.merchant, pk=cell_id, connection_id=connection_id)
    return cell


@shop_view(roles=MAY_MANAGE)
@require_POST
def resolve_drift(request: ShopRequest, connection_id: int, cell_id: int) -> HttpResponse:
    """A person says which number is right: ours goes out, or theirs is booked."""
    cell = _cell_of(request, connection_id=connection_id, cell_id=cell_id)
    choice = request.POST.get("choice", "")
    if choice not in ("ours", "theirs"):
        return HttpResponse("Choose ours or theirs.", status=422, content_type="text/plain")
    try:
        reconcile.resolve_drift(cell_id=cell.pk, choice=choice, actor=request.actor)
    except reconcile.NoDrift:
        messages.info(request, "The numbers agree again by themselves.")
    else:
        done = "Our number is on its way." if choice == "ours" else "Their number is in the ledger now."
        messages.success(request, done)
    return redirect("channel", shop=request.merchant.slug, connection_id=connection_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def retry_cell(request: ShopRequest, connection_id: int, cell_id: int) -> HttpResponse:
    """Send a number again that the channel refused."""
    cell = _cell_of(request, connection_id=connection_id, cell_id=cell_id)
    publisher.unblock(cell_id=cell.pk)
    messages.success(request, "It is sent again with the next numbers.")
    return redirect("channel", shop=request.merchant.slug, connection_id=connection_id)

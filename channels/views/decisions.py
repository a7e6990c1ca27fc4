"""What a person decides about one row of a channel: a listing, a message in quarantine, a cell that disagrees."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from channels import inbox, linking, publisher, reconcile
from channels.forms import ReasonForm
from channels.models import ChannelStock, Connection, InboundEvent, Listing
from channels.views.connection import connection_of, page_context
from inventory import identifiers, paging
from inventory.models import Variant
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view


def _listing_of(request: ShopRequest, *, connection_id: int, listing_id: int) -> Listing:
    rows: QuerySet[Listing] = Listing.objects.select_related("connection", "merchant")
    return one_of(rows, merchant=request.merchant, pk=listing_id, connection_id=connection_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def link_listing(request: ShopRequest, connection_id: int, listing_id: int) -> HttpResponse:
    """A person says which item of ours a listing is, by its SKU."""
    listing = _listing_of(request, connection_id=connection_id, listing_id=listing_id)
    typed = request.POST.get("sku", "").strip()
    found = list(
        Variant.objects.of(request.merchant)
        .filter(sku_key=identifiers.sku_key(typed), archived_at=None)
        .exclude(sku_key="")
        .select_related("product")[:2]
    )
    if len(found) != 1:
        how_many = "More than one item of yours has" if found else "No item of yours has"
        messages.error(request, f"{how_many} the SKU “{typed}”. Nothing was linked.")
    else:
        try:
            linking.link(listing=listing, variant=found[0], actor=request.actor)
        except linking.CannotLink as refused:
            messages.error(request, str(refused))
        else:
            messages.success(request, f"Linked to {found[0].full_title}.")
    return redirect("channel_listings", shop=request.merchant.slug, connection_id=connection_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def exclude_listing(request: ShopRequest, connection_id: int, listing_id: int) -> HttpResponse:
    """Leave a listing alone on purpose, and stop asking."""
    listing = _listing_of(request, connection_id=connection_id, listing_id=listing_id)
    linking.exclude(listing=listing, actor=request.actor, reason=request.POST.get("reason", "").strip())
    messages.success(request, "Left alone. We will not ask about it again.")
    return redirect("channel_listings", shop=request.merchant.slug, connection_id=connection_id)


def _quarantine_page(request: ShopRequest, connection_id: int) -> HttpResponse:
    address = redirect("channel_messages", shop=request.merchant.slug, connection_id=connection_id)
    address["Location"] += f"?state={InboundEvent.State.QUARANTINED}"
    return address


def _event_of(request: ShopRequest, *, connection_id: int, event_id: int) -> InboundEvent:
    rows: QuerySet[InboundEvent] = InboundEvent.objects.defer("body", "headers")
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


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def decide_quarantine(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Many quarantined messages at once: what it is about, then the deed. `like`: only those that failed alike."""
    connection = connection_of(request, connection_id)
    asked = request.POST if request.method == "POST" else request.GET
    deed = "discard" if asked.get("deed") == "discard" else "replay"
    like = paging.number(asked.get("like"))
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or (deed == "discard" and not form.is_valid()):
        return _ask_about_many(request, connection, deed=deed, like=like, form=form)
    up_to = paging.number(asked.get("up_to")) or 0
    if deed == "discard":
        reason = form.cleaned_data["reason"]
        done = inbox.discard_many(connection=connection, actor=request.actor, reason=reason, up_to=up_to, like=like)
    else:
        done = inbox.replay_many(connection=connection, actor=request.actor, up_to=up_to, like=like)
    said = "1 message" if done == 1 else f"{done} messages"
    if not done:
        messages.info(request, "Someone has decided about these messages already.")
    elif deed == "discard":
        messages.success(request, f"{said} discarded. Their bytes are kept.")
    else:
        messages.success(request, f"{said} back in the queue. What fails again returns here.")
    return _quarantine_page(request, connection_id)


def _ask_about_many(
    request: ShopRequest, connection: Connection, *, deed: str, like: int | None, form: ReasonForm
) -> HttpResponse:
    found = inbox.causes(connection=connection, like=like)
    total = sum(cause.count for cause in found)
    if not total:
        messages.info(request, "Someone has decided about these messages already.")
        return _quarantine_page(request, connection.pk)
    context = page_context(
        request, connection, deed=deed, like=like, causes=found, total=total, many_max=inbox.MANY_MAX,
        now=min(total, inbox.MANY_MAX), up_to=max(cause.like for cause in found), form=form,
    )  # fmt: skip
    return render(request, "channels/quarantine_many.html", context, status=422 if form.errors else 200)


def _cell_of(request: ShopRequest, *, connection_id: int, cell_id: int) -> ChannelStock:
    rows: QuerySet[ChannelStock] = ChannelStock.objects.all()
    return one_of(rows, merchant=request.merchant, pk=cell_id, connection_id=connection_id)


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
    publisher.unblock(cell_id=cell.pk, actor=request.actor)
    messages.success(request, "It is sent again with the next numbers.")
    return redirect("channel", shop=request.merchant.slug, connection_id=connection_id)

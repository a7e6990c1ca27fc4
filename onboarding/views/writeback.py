"""Write-back: what would change at a channel, a person's yes, how far it is, what came of it, the way back."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from channels import registry
from channels.models import Connection
from inventory import paging
from onboarding.models import CatalogWrite
from onboarding.writeback import deciding, drafting, showing
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view, wants_partial

State = CatalogWrite.State
WRITES_A_PAGE = 50


def _write_of(request: ShopRequest, write_id: int) -> CatalogWrite:
    rows: QuerySet[CatalogWrite] = CatalogWrite.objects.select_related(
        "connection", "merchant", "created_by", "approved_by", "undoes"
    )
    return one_of(rows, merchant=request.merchant, pk=write_id)


def _to_write(request: ShopRequest, write: CatalogWrite) -> HttpResponse:
    return redirect("write_back", shop=request.merchant.slug, write_id=write.pk)


def _writable(request: ShopRequest) -> list[Connection]:
    ours = Connection.objects.of(request.merchant).exclude(state=Connection.State.CLOSED).order_by("label", "pk")
    return [one for one in ours if registry.capabilities(one.channel).listing_fields]


@shop_view(roles=MAY_MANAGE)
@require_safe
def write_backs(request: ShopRequest) -> HttpResponse:
    """Every write to a channel's catalog, the newest first, and the channels one can be drafted for."""
    rows = CatalogWrite.objects.of(request.merchant).select_related("connection", "created_by", "approved_by")
    before = paging.number(request.GET.get("before"))
    if before is not None:
        rows = rows.filter(pk__lt=before)
    counted = rows.annotate(
        size=Count("lines", filter=Q(lines__is_excluded=False)),
        applied=Count("lines", filter=Q(lines__outcome="applied")),
        left=Count("lines", filter=Q(lines__outcome__in=["stale", "refused"])),
    )
    found = list(counted.order_by("-pk")[: WRITES_A_PAGE + 1])
    writes = found[:WRITES_A_PAGE]
    context = {
        "writes": [(write, showing.KINDS[write.state]) for write in writes],
        "connections": _writable(request),
        "next_url": f"?before={writes[-1].pk}" if len(found) > WRITES_A_PAGE else "",
        "back_url": request.path if before is not None else "",
        "is_busy": any(write.state == State.SENDING for write in writes),
    }
    part = wants_partial(request)
    return render(request, "onboarding/_writeback_list.html" if part else "onboarding/writebacks.html", context)


@shop_view(roles=MAY_MANAGE)
@require_POST
def draft_write_back(request: ShopRequest) -> HttpResponse:
    """Compare a channel's listings with the cleaned catalog; nothing is sent."""
    chosen = request.POST.get("connection", "")
    connection = next((one for one in _writable(request) if str(one.pk) == chosen), None)
    if connection is None:
        messages.error(request, "Choose one of your channels.")
        return redirect("write_backs", shop=request.merchant.slug)
    try:
        write = drafting.draft(connection_id=connection.pk, actor=request.actor)
    except drafting.NothingToWrite as nothing:
        more = f" {len(nothing.notes)} cannot be written, such as: {nothing.notes[0]}" if nothing.notes else ""
        messages.success(request, f"{connection.label} shows the cleaned fields already.{more}")
        return redirect("write_backs", shop=request.merchant.slug)
    return _to_write(request, write)


@shop_view(roles=MAY_MANAGE)
@require_safe
def write_back(request: ShopRequest, write_id: int) -> HttpResponse:
    """One write, in whatever state it is: preview, progress, outcome."""
    write = _write_of(request, write_id)
    if write.state == State.SENDING:
        context = {"write": write, "kind": showing.KINDS[write.state], "progress": showing.progress_of(write)}
        part = wants_partial(request)
        template = "onboarding/_writeback_progress.html" if part else "onboarding/writeback_progress.html"
        return render(request, template, context)
    if wants_partial(request) and request.GET.get("progress"):
        return HttpResponseClientRefresh()  # it has just come to an end: the whole page shows what of it
    template = "onboarding/_writeback_rows.html" if wants_partial(request) else "onboarding/writeback.html"
    return render(request, template, _page(request, write))


def _page(request: ShopRequest, write: CatalogWrite) -> dict[str, object]:
    counts = showing.counts_of(write)
    context: dict[str, object] = {
        "write": write,
        "kind": showing.KINDS[write.state],
        "counts": counts,
        "page": showing.page_of(write, query=request.GET, counts=counts),
        "undoing": write.undone_by.exclude(state=State.CANCELLED).order_by("-pk").first(),
    }
    if write.state == State.DRAFT:
        context |= {
            "by_field": showing.fields_of(write),
            "digest": deciding.digest(write),
            "word": deciding.WORD,
            "blocked": deciding.blocked_reason(write.connection),
        }
    if write.state == State.DONE:
        context["undoable"] = deciding.undoable(write).count()
    return context


@shop_view(roles=MAY_MANAGE)
@require_POST
def exclude_write_back(request: ShopRequest, write_id: int) -> HttpResponse:
    """Leave a line out of the draft, or take it in again."""
    write = _write_of(request, write_id)
    lines = [key for key in map(paging.number, request.POST.getlist("line")) if key is not None]
    try:
        deciding.exclude(write_id=write.pk, line_ids=lines, is_excluded=request.POST.get("take") != "in")
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    response = _to_write(request, write)
    if request.POST.get("show") in showing.FILTERS:
        response["Location"] += f"?show={request.POST['show']}"
    return response


@shop_view(roles=MAY_MANAGE)
@require_POST
def approve_write_back(request: ShopRequest, write_id: int) -> HttpResponse:
    """Yes to the lines as they were shown, with the word typed."""
    write = _write_of(request, write_id)
    try:
        deciding.approve(
            write_id=write.pk,
            actor=request.actor,
            word=request.POST.get("confirm", ""),
            shown=request.POST.get("digest", ""),
        )
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    return _to_write(request, write)


@shop_view(roles=MAY_MANAGE)
@require_POST
def cancel_write_back(request: ShopRequest, write_id: int) -> HttpResponse:
    """Put a draft away, or stop what is being sent."""
    write = _write_of(request, write_id)
    try:
        deciding.cancel(write_id=write.pk, actor=request.actor)
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    return _to_write(request, write)


@shop_view(roles=MAY_MANAGE)
@require_POST
def undo_write_back(request: ShopRequest, write_id: int) -> HttpResponse:
    """Draft the way back; it is looked at and approved like any other write."""
    write = _write_of(request, write_id)
    try:
        return _to_write(request, deciding.undo(write_id=write.pk, actor=request.actor))
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    return _to_write(request, write)

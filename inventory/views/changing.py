"""Changes by hand: adjust and undo one cell, receive a delivery. Each is looked at before it is posted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db.utils import OperationalError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_http_methods, require_POST

from inventory import adjustments, history, ledger, paging, queries
from inventory.forms import ADD, TO, AdjustForm, LineForm, ReceiveForm, counted_lines
from inventory.models import StockMovement, Variant
from inventory.views import scanning
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view

BUSY = "Someone else is changing this very item. Nothing was posted; try again."
BUNDLE = "A bundle has no stock of its own: change the stock of its parts. Nothing was posted."
USED = "This form was used before for something else. Nothing was posted; start again from the item's page."


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def adjust(request: ShopRequest, variant_id: int) -> HttpResponse:
    """Form, then before → after for a yes, then the posting; the form's key makes a double click post once."""
    variant = one_of(Variant.objects.select_related("product"), merchant=request.merchant, pk=variant_id)
    context: dict[str, Any] = {"variant": variant}
    if request.method != "POST":
        location = paging.number(request.GET.get("location"))
        form = AdjustForm(merchant=request.merchant, variant=variant, initial={"location": location})
        return _adjust_form(request, context, form)
    form = AdjustForm(request.POST, merchant=request.merchant, variant=variant)
    if request.POST.get("step") == "edit" or not form.is_valid():
        return _adjust_form(request, context, form)
    wanted = _adjustment(variant, form)
    try:
        if request.POST.get("step") != "post":
            return _adjust_preview(request, context, form, wanted)
        result = adjustments.adjust(merchant=request.merchant, actor=request.actor, wanted=wanted)
    except ledger.IdempotencyConflict:
        form.add_error(None, USED)
    except ledger.NoStockOfItsOwn:
        form.add_error(None, BUNDLE)
    except OperationalError:
        form.add_error(None, BUSY)
    else:
        messages.success(request, _posted_words(result, wanted))
        return redirect("variant", request.merchant.slug, variant.pk)
    return _adjust_form(request, context, form)


def _adjust_form(request: ShopRequest, context: dict[str, Any], form: AdjustForm) -> HttpResponse:
    is_wrong = form.is_bound and request.POST.get("step") != "edit"
    if is_wrong:
        form.focus_first_error()
    places = queries.locations(merchant=request.merchant)
    cells = queries.cells_of(variant_ids=[form.variant.pk])
    shelf = [(place, cells.get((form.variant.pk, place.pk), queries.Cell())) for place in places]
    context |= {"form": form, "shelf": shelf}
    return render(request, "inventory/adjust.html", context, status=422 if is_wrong else 200)


def _adjustment(variant: Variant, form: AdjustForm) -> adjustments.Adjustment:
    typed = form.cleaned_data
    is_count = typed["how"] == TO
    delta = typed["quantity"] if typed["how"] == ADD else -typed["quantity"]
    return adjustments.Adjustment(
        variant=variant,
        location=typed["location"],
        reason=form.reason_text(),
        key=typed["key"],
        delta=None if is_count else delta,
        counted=typed["quantity"] if is_count else None,
        seen=typed["seen"] or Decimal(0),
        counted_at=min(typed["counted_at"] or utc_now(), utc_now()),
    )


def _adjust_preview(
    request: ShopRequest, context: dict[str, Any], form: AdjustForm, wanted: adjustments.Adjustment
) -> HttpResponse:
    cells = queries.cells_of(variant_ids=[wanted.variant.pk])
    seen = cells.get((wanted.variant.pk, wanted.location.pk), queries.Cell()).on_hand
    wanted = adjustments.Adjustment(**{**vars(wanted), "seen": seen, "counted_at": utc_now()})
    effects = adjustments.preview_adjust(merchant=request.merchant, actor=request.actor, wanted=wanted)
    again = {name: form.data.get(name, "") for name in ("key", "location", "how", "quantity", "reason", "note")}
    again |= {"seen": str(seen), "counted_at": wanted.counted_at.isoformat() if wanted.counted_at else ""}
    context |= {"effects": effects, "wanted": wanted, "again": again}
    return render(request, "inventory/adjust_confirm.html", context)


def _posted_words(result: adjustments.Result, wanted: adjustments.Adjustment) -> str:
    if result.is_replay:
        return "That was posted already. Nothing changed twice."
    after = result.posted[0]
    return (
        f"Done. {wanted.location.name} now has {history.signed_units(after.on_hand_after)} on hand, "
        f"{history.signed_units(after.available_after)} available."
    )


@shop_view(roles=MAY_MANAGE)
@require_POST
def undo(request: ShopRequest, variant_id: int, movement_id: int) -> HttpResponse:
    """Post the reverse of a movement made by hand."""
    variant = one_of(Variant.objects.select_related("product"), merchant=request.merchant, pk=variant_id)
    rows = StockMovement.objects.select_related("variant__product", "location")
    movement = one_of(rows, merchant=request.merchant, pk=movement_id, variant=variant)
    try:
        result = adjustments.undo(merchant=request.merchant, actor=request.actor, movement=movement)
    except adjustments.NotManual as problem:
        raise Http404("Only what was posted by hand can be undone by hand.") from problem
    except OperationalError:
        messages.error(request, BUSY)
    else:
        if result.is_replay:
            messages.info(request, "That was undone already. Nothing changed twice.")
        else:
            after = history.signed_units(result.posted[0].on_hand_after)
            messages.success(request, f"Undone. {movement.location.name} has {after} on hand again.")
    return redirect("variant", request.merchant.slug, variant.pk)


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def receive(request: ShopRequest) -> HttpResponse:
    """Scan or type codes, each adds a line; then before → after for a yes, then one posting of all lines."""
    if request.method != "POST":
        chosen = scanning.variants_of(request, request.GET.getlist("variant"))
        initial = {"location": paging.number(request.GET.get("location"))}
        lines = [LineForm(prefix=f"v{variant.pk}", variant=variant) for variant in chosen]
        if lines:  # sent here from an item's page: all that is missing is how many
            lines[0].fields["quantity"].widget.attrs["autofocus"] = True
        form = ReceiveForm(merchant=request.merchant, initial=initial)
        return _receive_page(request, form, lines, is_scanning=not lines)
    data = request.POST.copy()
    step = data.get("step", "add")
    if scanning.is_scan(step):
        return _rescan(request, data, step)
    form = ReceiveForm(data, merchant=request.merchant)
    lines = counted_lines(data=data, variants=scanning.variants_of(request, data.getlist("variant")))
    if step == "edit":
        return _receive_page(request, form, lines)
    is_valid = all([form.is_valid(), *(line.is_valid() for line in lines)])
    if not lines:
        form.add_error(None, "Nothing to receive yet: scan or type a SKU or barcode.")
    if not lines or not is_valid:
        return _receive_page(request, form, lines, is_wrong=True)
    return _receive_checked(request, form, lines, is_sure=step == "post")


def _receive_checked(request: ShopRequest, form: ReceiveForm, lines: list[LineForm], *, is_sure: bool) -> HttpResponse:
    wanted = adjustments.Receipt(
        location=form.cleaned_data["location"],
        reason=form.cleaned_data["note"],
        key=form.cleaned_data["key"],
        lines=[(line.variant, line.cleaned_data["quantity"]) for line in lines],
    )
    try:
        if not is_sure:
            effects = adjustments.preview_receive(merchant=request.merchant, actor=request.actor, wanted=wanted)
            context = {"effects": effects, "wanted": wanted, "form": form, "lines": lines}
            return render(request, "inventory/receive_confirm.html", context)
        result = adjustments.receive(merchant=request.merchant, actor=request.actor, wanted=wanted)
    except ledger.IdempotencyConflict:
        form.add_error(None, USED)
    except ledger.NoStockOfItsOwn:
        form.add_error(None, BUNDLE)
    except OperationalError:
        form.add_error(None, BUSY)
    else:
        _say_received(request, result, wanted)
        if len(wanted.lines) == 1:
            return redirect("variant", request.merchant.slug, wanted.lines[0][0].pk)
        return redirect("stock", request.merchant.slug)
    return _receive_page(request, form, lines, is_wrong=True)


def _say_received(request: ShopRequest, result: adjustments.Result, wanted: adjustments.Receipt) -> None:
    if result.is_replay:
        messages.info(request, "That delivery was posted already. Nothing was received twice.")
        return
    total = sum((quantity for _, quantity in wanted.lines), Decimal(0))
    items = f"{len(wanted.lines)} item{'' if len(wanted.lines) == 1 else 's'}"
    messages.success(request, f"Received {history.signed_units(total)} units of {items} at {wanted.location.name}.")


def _rescan(request: ShopRequest, data: QueryDict, step: str) -> HttpResponse:
    """Another line, or one less; nothing else is checked yet."""
    scanned = scanning.scan(request, data, step)
    form = ReceiveForm(
        merchant=request.merchant, initial={name: data.get(name) for name in ("key", "location", "note")}
    )
    lines = scanning.unchecked(data, scanned.chosen)
    return _receive_page(request, form, lines, is_wrong=bool(scanned.error), **scanned.context())


def _receive_page(
    request: ShopRequest, form: ReceiveForm, lines: list[LineForm], *, is_wrong: bool = False, **extra: Any
) -> HttpResponse:
    if form.is_bound and is_wrong:
        form.focus_first_error()
        if not form.errors:
            next(line for line in lines if line.errors).focus_first_error()
    is_scanning = not (form.is_bound and is_wrong and (form.errors or any(line.errors for line in lines)))
    context = {"form": form, "lines": lines, "is_scanning": is_scanning} | extra
    return render(request, "inventory/receive.html", context, status=422 if is_wrong else 200)

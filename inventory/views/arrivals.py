"""Goods on their way: the list, one transfer or delivery, writing one down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_http_methods, require_safe

from inventory import arrival_queries, arrivals, exporting, paging, queries
from inventory.forms import ArrivalForm, DayForm, DeedForm, LineForm, counted_lines
from inventory.models import Arrival, ArrivalLine
from inventory.views import scanning
from storestudio.accounts import live, numbers
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view, wants_partial

CHIPS = (("", "On the way"), ("late", "Late"), ("drafts", "Drafts"), ("done", "Done"), ("all", "All"))
KINDS = (("", "Both kinds"), ("transfers", "Transfers"), ("deliveries", "Deliveries"))


@shop_view()
@require_safe
def arrivals_list(request: ShopRequest) -> HttpResponse:
    """The list: whole, as a part when a filter changes, or only its rows when it looks for news."""
    narrowed = arrival_queries.ArrivalFilter.of(request.GET)
    page = arrival_queries.arrival_page(
        merchant=request.merchant, narrowed=narrowed, cursor=paging.Cursor.of(request.GET)
    )
    context: dict[str, Any] = {"page": page, "filter": narrowed}
    rows = live.part(request, "inventory/_arrival_rows.html", context)
    if request.GET.get("part") == "rows":
        return live.answer(request, rows)
    places = queries.locations(merchant=request.merchant)
    context |= {"rows": rows, "chips": CHIPS, "kinds": KINDS, "places": places}
    return render(request, "inventory/_arrivals.html" if wants_partial(request) else "inventory/arrivals.html", context)


@shop_view()
@require_safe
def arrivals_export(request: ShopRequest) -> StreamingHttpResponse:
    """The filtered list as CSV, one line an item, streamed."""
    narrowed = arrival_queries.ArrivalFilter.of(request.GET)
    lines: Iterator[str] = exporting.arrivals_csv(merchant=request.merchant, narrowed=narrowed)
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"arrivals-{request.merchant.slug}-{utc_now():%Y-%m-%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def arrival_of(request: ShopRequest, arrival_id: int) -> Arrival:
    """The shop's one arrival of that key. Raises Http404."""
    rows = Arrival.objects.select_related("origin", "destination", "created_by")
    found: Arrival = one_of(rows, merchant=request.merchant, pk=arrival_id)
    return found


@shop_view()
@require_safe
def arrival(request: ShopRequest, arrival_id: int) -> HttpResponse:
    """One transfer or delivery: what is in it, what became of it, what may be done next."""
    return arrival_page(request, arrival_of(request, arrival_id))


def arrival_page(
    request: ShopRequest, found: Arrival, *, day_form: DayForm | None = None, status: int = 200
) -> HttpResponse:
    """The page of one arrival."""
    lines = list(found.lines.select_related("variant__product").order_by("pk"))
    cells = queries.cells_of(variant_ids=[line.variant_id for line in lines])
    is_draft = found.state == Arrival.State.DRAFT
    steps = arrival_queries.steps_of(arrival=found, lines=lines)
    there = {
        line.pk: cells.get((line.variant_id, found.origin_id), queries.Cell()).available
        for line in lines
        if is_draft and found.origin_id is not None
    }
    (row,) = arrival_queries.rows_of(merchant=request.merchant, found=[found])
    context = {
        "arrival": found,
        "row": row,
        "lines": [(line, there.get(line.pk), _waiting(found, line, cells)) for line in lines],
        "is_draft": is_draft,
        "is_open": found.state == Arrival.State.OPEN,
        "is_short": any(units < line.quantity for line in lines if (units := there.get(line.pk)) is not None),
        "steps": steps,
        "undoable": [step.step.pk for step in steps if step.is_newest and may_undo(request, step.step.done_by_id)],
        "deed": DeedForm(),
        "day_form": day_form or DayForm(initial={"expected_date": found.expected_date}, merchant=request.merchant),
    }
    return render(request, "inventory/arrival.html", context, status=status)


def _waiting(found: Arrival, line: ArrivalLine, cells: Mapping[tuple[int, int], queries.Cell]) -> Decimal:
    """Units of what is still to come that customers have bought already: the place is below zero by as many."""
    if found.state != Arrival.State.OPEN:
        return Decimal(0)
    there = cells.get((line.variant_id, found.destination_id), queries.Cell()).available
    units: Decimal = min(line.remaining, max(-there, Decimal(0)))
    return units


def may_undo(request: ShopRequest, done_by_id: int | None) -> bool:
    """Managers take back anything, others what they did themselves."""
    return request.may_manage or done_by_id == request.actor.pk


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def arrival_new(request: ShopRequest, kind: str) -> HttpResponse:
    """Write a transfer or a delivery down."""
    return _compose(request, is_transfer=kind == "transfer")


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def arrival_edit(request: ShopRequest, arrival_id: int) -> HttpResponse:
    """Write a draft anew."""
    found = arrival_of(request, arrival_id)
    if found.state != Arrival.State.DRAFT:
        messages.error(request, "It is on its way already: take that back first, or write another one.")
        return redirect("arrival", request.merchant.slug, found.pk)
    return _compose(request, is_transfer=found.is_transfer, current=found)


def _compose(request: ShopRequest, *, is_transfer: bool, current: Arrival | None = None) -> HttpResponse:
    options: dict[str, Any] = {"merchant": request.merchant, "is_transfer": is_transfer}
    if request.method != "POST":
        form = ArrivalForm(**options, initial=_initial(request, current, is_transfer=is_transfer))
        return _compose_page(request, form, _first_lines(request, current), current)
    data = request.POST.copy()
    step = data.get("step", "add")
    if scanning.is_scan(step):
        scanned = scanning.scan(request, data, step)
        typed = {name: data.get(name) for name in ("key", "origin", "supplier", "destination", "expected_date", "note")}
        lines = scanning.unchecked(data, scanned.chosen)
        extra = scanned.context() | {"is_scanning": True}
        form = ArrivalForm(**options, initial=typed)
        return _compose_page(request, form, lines, current, status=422 if scanned.error else 200, **extra)
    form = ArrivalForm(data, **options)
    lines = counted_lines(data=data, variants=scanning.variants_of(request, data.getlist("variant")))
    is_valid = all([form.is_valid(), *(line.is_valid() for line in lines)])
    if is_valid:
        try:
            made = _draft(request, form, lines, current)
        except arrivals.Refused as problem:
            form.add_error(None, str(problem))
        else:
            return redirect("arrival", request.merchant.slug, made.pk)
    form.focus_first_error()
    if not form.errors:
        next(line for line in lines if line.errors).focus_first_error()
    return _compose_page(request, form, lines, current, status=422)


def _initial(request: ShopRequest, current: Arrival | None, *, is_transfer: bool) -> dict[str, Any]:
    """The draft as it is; of a new one, the place that the address names, or a likely one."""
    if current is None:
        places = [place.pk for place in queries.locations(merchant=request.merchant) if place.is_active]
        to, origin = (paging.number(request.GET.get(name)) for name in ("to", "from"))
        if to not in places:
            others = [place for place in places if place != origin]
            to = next(iter(others[1:] if is_transfer and origin not in places else others), None)
        if origin not in places or origin == to:
            origin = next((place for place in places if place != to), None)
        return {"destination": to, "origin": origin}
    return {
        "key": current.key,
        "origin": current.origin_id,
        "supplier": current.supplier,
        "destination": current.destination_id,
        "expected_date": current.expected_date,
        "note": current.note,
    }


def _first_lines(request: ShopRequest, current: Arrival | None) -> list[LineForm]:
    """The draft's lines, or the items that the address names."""
    if current is None:
        chosen = scanning.variants_of(request, request.GET.getlist("variant"))
        return [LineForm(prefix=f"v{variant.pk}", variant=variant) for variant in chosen]
    rows = current.lines.select_related("variant__product").order_by("pk")
    return [
        LineForm(prefix=f"v{row.variant_id}", variant=row.variant, initial={"quantity": numbers.plain(row.quantity)})
        for row in rows
    ]


def _draft(request: ShopRequest, form: ArrivalForm, lines: list[LineForm], current: Arrival | None) -> Arrival:
    typed = form.cleaned_data
    plan = arrivals.Plan(
        origin=typed.get("origin"),
        supplier=typed.get("supplier", ""),
        destination=typed["destination"],
        expected_date=typed["expected_date"],
        note=typed["note"],
        lines=[(line.variant, line.cleaned_data["quantity"]) for line in lines],
    )
    return arrivals.draft(
        merchant=request.merchant,
        actor=request.actor,
        key=typed["key"],
        plan=plan,
        arrival_id=current.pk if current else None,
    )


def _compose_page(
    request: ShopRequest,
    form: ArrivalForm,
    lines: list[LineForm],
    current: Arrival | None,
    *,
    status: int = 200,
    **extra: Any,
) -> HttpResponse:
    is_transfer = "origin" in form.fields
    context = {
        "form": form,
        "lines": lines,
        "arrival": current,
        "is_transfer": is_transfer,
        "is_scanning": status == 200 or not lines,
        "has_places": len(queries.locations(merchant=request.merchant)) > (1 if is_transfer else 0),
    } | extra
    return render(request, "inventory/arrival_form.html", context, status=status)

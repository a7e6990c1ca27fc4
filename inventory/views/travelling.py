"""What is done with goods on their way: sent, received, called back, taken back, put off. Each is done once."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.utils import OperationalError
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_http_methods, require_POST

from inventory import adjustments, arrivals, ledger, queries
from inventory.forms import CameForm, DayForm, DeedForm, RestForm, one_more
from inventory.models import Arrival, ArrivalLine, Location, Variant
from inventory.views.arrivals import arrival_of, arrival_page, may_undo
from storestudio.accounts import numbers
from storestudio.accounts.access import MAY_COUNT, MAY_MANAGE, ShopRequest, shop_view

BUSY = "Someone else is changing one of these items. Nothing was posted; try again."
EXPIRED = "This form has expired. Start again from here."


def _lines(found: Arrival) -> list[ArrivalLine]:
    return list(found.lines.select_related("variant__product").order_by("pk"))


def _places(found: Arrival) -> list[Location]:
    return [place for place in (found.origin, found.destination) if place is not None]


@shop_view(roles=MAY_MANAGE)
@require_POST
def arrival_send(request: ShopRequest, arrival_id: int) -> HttpResponse:
    """Looked at first; then sent. What is not there can only be recorded as having left (`step=fact`)."""
    found = arrival_of(request, arrival_id)
    form = DeedForm(request.POST)
    if not form.is_valid():
        return _back(request, found, EXPIRED)
    step = request.POST.get("step", "")
    options: dict[str, Any] = {"merchant": request.merchant, "actor": request.actor, "arrival_id": found.pk}
    options |= {"key": form.cleaned_data["key"], "now": utc_now(), "is_fact": step == "fact"}
    try:
        if step in ("post", "fact"):
            arrivals.send(**options)
            where = f"on their way to {found.destination.name}"
            messages.success(request, f"Sent: {where}." if found.is_transfer else f"Expected: {where}.")
            return redirect("arrival", request.merchant.slug, found.pk)
        lines = _lines(found)
        effects = adjustments.preview(
            merchant=request.merchant,
            variants=[line.variant for line in lines],
            locations=_places(found),
            deed=lambda: arrivals.send(**options),
        )
    except ledger.InsufficientStock as problem:
        return _short(request, found, form, problem)
    except arrivals.Refused as refused:
        return _back(request, found, str(refused))
    except OperationalError:
        return _back(request, found, BUSY)
    return render(request, "inventory/arrival_send.html", {"arrival": found, "effects": effects, "form": form})


def _short(request: ShopRequest, found: Arrival, form: DeedForm, problem: ledger.InsufficientStock) -> HttpResponse:
    """Which items are not there, by how much; nothing was sent."""
    missing = {row["variant_id"]: -Decimal(row["available_after"]) for row in problem.shortages}
    short = [(line, line.quantity - missing[line.variant_id]) for line in _lines(found) if line.variant_id in missing]
    # A look is no deed: the key of the form is still good.
    context = {"arrival": found, "short": short, "form": form}
    return render(request, "inventory/arrival_send.html", context, status=422)


@shop_view(roles=MAY_COUNT)
@require_http_methods(["GET", "HEAD", "POST"])
def arrival_receive(request: ShopRequest, arrival_id: int) -> HttpResponse:
    """Scan or type what came; then before → after for a yes; then one posting of all lines."""
    found = arrival_of(request, arrival_id)
    if found.state != Arrival.State.OPEN:
        return _back(request, found, "It is not on its way: there is nothing to receive.")
    lines = _lines(found)
    if request.method != "POST":
        return _receive_page(request, found, _rest_form(found), _unchecked(lines, QueryDict(mutable=True)))
    data = request.POST.copy()
    step = data.get("step", "scan")
    if step in ("scan", "all"):
        extra = _counted_up(request, found, lines, data) if step == "scan" else _all_came(lines, data)
        form = _rest_form(found, {name: data.get(name) for name in ("key", "rest", "reason")})
        return _receive_page(request, found, form, _unchecked(lines, data), **extra)
    form = RestForm(data, origin=found.origin.name if found.origin else "")
    counts = [CameForm(data, line=line) for line in lines]
    if step == "edit":
        return _receive_page(request, found, form, counts)
    if not all([form.is_valid(), *(count.is_valid() for count in counts)]):
        return _receive_page(request, found, form, counts, is_wrong=True)
    return _received(request, found, form, counts, is_sure=step == "post")


def _received(
    request: ShopRequest, found: Arrival, form: RestForm, counts: Sequence[CameForm], *, is_sure: bool
) -> HttpResponse:
    typed = form.cleaned_data
    options: dict[str, Any] = {
        "merchant": request.merchant, "actor": request.actor, "arrival_id": found.pk, "key": typed["key"],
        "arrived": {count.line.pk: count.units("came") for count in counts},
        "damaged": {count.line.pk: count.units("damaged") for count in counts},
        "rest": typed["rest"], "reason": typed["reason"].strip(), "now": utc_now(),
    }  # fmt: skip
    try:
        if is_sure:
            step = arrivals.receive(**options)
            messages.success(request, _received_words(found, step.changes))
            return redirect("arrival", request.merchant.slug, found.pk)
        came = [count.line.variant for count in counts]
        places = _places(found) if typed["rest"] == arrivals.RETURNED else [found.destination]
        effects = adjustments.preview(
            merchant=request.merchant, variants=came, locations=places, deed=lambda: arrivals.receive(**options)
        )
    except arrivals.ReasonWanted as problem:
        form.add_error("reason", str(problem))
    except arrivals.Refused as problem:
        form.add_error(None, str(problem))
    except OperationalError:
        form.add_error(None, BUSY)
    else:
        changed = [effect for effect in effects if effect.before != effect.after]
        context = {"arrival": found, "effects": changed, "form": form, "counts": counts}
        context["differences"] = _differences(counts, rest=typed["rest"], origin=found.sender)
        return render(request, "inventory/arrival_receive_confirm.html", context)
    return _receive_page(request, found, form, counts, is_wrong=True)


def _received_words(found: Arrival, changes: Sequence[dict[str, Any]]) -> str:
    units = sum((Decimal(change.get("received", 0)) for change in changes), Decimal(0))
    odd = sum(bool(arrivals.difference_words(change)) for change in changes)
    text = f"Received {numbers.plain(units)} unit{'' if units == 1 else 's'} at {found.destination.name}."
    return f"{text} {odd} item{'' if odd == 1 else 's'} differ{'s' if odd == 1 else ''}." if odd else text


def _differences(counts: Sequence[CameForm], *, rest: str, origin: str) -> list[tuple[Variant, str]]:
    """What will be written down beside what came, item by item."""
    found = []
    for count in counts:
        line, came, damaged = count.line, count.units("came"), count.units("damaged")
        left = line.remaining - came - damaged
        rests = {"missing": "missing: will not come", "returned": f"back at {origin}", "wait": "to come later"}
        words = [
            f"{numbers.plain(damaged)} damaged, written off" if damaged else "",
            f"{numbers.plain(-left)} more than was sent" if left < 0 else "",
            f"{numbers.plain(left)} {rests[rest]}" if left > 0 else "",
        ]
        if any(words):
            found.append((line.variant, ", ".join(filter(None, words))))
    return found


def _rest_form(found: Arrival, initial: dict[str, Any] | None = None) -> RestForm:
    known = {name: value for name, value in (initial or {}).items() if value}
    return RestForm(origin=found.origin.name if found.origin else "", initial=known)


def _unchecked(lines: Sequence[ArrivalLine], data: QueryDict) -> list[CameForm]:
    """The counts as typed so far, not yet judged."""
    return [
        CameForm(line=line, initial={name: data.get(f"l{line.pk}-{name}", "") for name in ("came", "damaged")})
        for line in lines
    ]


def _all_came(lines: Sequence[ArrivalLine], data: QueryDict) -> dict[str, Any]:
    """Fill in all that is still to come, where nothing was typed."""
    for line in lines:
        name = f"l{line.pk}-came"
        if line.remaining and not data.get(name, "").strip():
            data[name] = numbers.plain(line.remaining)
    return {"said": "Filled in as sent. Change what differs."}


def _counted_up(request: ShopRequest, found: Arrival, lines: Sequence[ArrivalLine], data: QueryDict) -> dict[str, Any]:
    """One more of the scanned item."""
    code = data.get("code", "").strip()
    if not code:
        return {"code_error": "Scan or type a SKU or barcode first."}
    known = {line.variant_id: line for line in lines}
    meant = queries.by_code(merchant=request.merchant, code=code)
    here = [known[variant.pk] for variant in meant if variant.pk in known]
    if len(here) != 1:
        extra: dict[str, Any] = {"code": code, "code_error": _not_here(code, meant, len(here), found)}
        return extra | {"stray": meant[0] if len(meant) == 1 else None}
    name = f"l{here[0].pk}-came"
    data[name] = one_more(data.get(name, ""))
    return {"said": f"{here[0].variant.full_title}: {data[name]}", "added": here[0]}


def _not_here(code: str, meant: Sequence[Variant], here: int, found: Arrival) -> str:
    if here > 1:
        return f"{here} items in it share “{code}”. Type the number beside the one that came."
    kind = "transfer" if found.is_transfer else "delivery"
    if len(meant) == 1:
        return f"{meant[0].full_title} is not in this {kind}."
    return f"Nothing in this {kind} has the SKU or barcode “{code}”."


def _receive_page(
    request: ShopRequest,
    found: Arrival,
    form: RestForm,
    counts: Sequence[CameForm],
    *,
    is_wrong: bool = False,
    **extra: Any,
) -> HttpResponse:
    wrong = [count for count in counts if is_wrong and count.errors]
    if wrong:
        wrong[0].focus_first_error()
    elif is_wrong:
        form.focus_first_error()
    is_bad = is_wrong or "code_error" in extra
    context = {
        "arrival": found, "form": form, "counts": counts, "is_scanning": not (is_wrong and form.errors) and not wrong,
    } | extra  # fmt: skip
    return render(request, "inventory/arrival_receive.html", context, status=422 if is_bad else 200)


@shop_view(roles=MAY_MANAGE)
@require_POST
def arrival_cancel(request: ShopRequest, arrival_id: int) -> HttpResponse:
    """What is on its way is back where it left, or not expected any more: looked at first."""
    found = arrival_of(request, arrival_id)
    form = DeedForm(request.POST)
    if not form.is_valid():
        return _back(request, found, EXPIRED)
    options: dict[str, Any] = {
        "merchant": request.merchant, "actor": request.actor, "arrival_id": found.pk, "key": form.cleaned_data["key"],
        "reason": form.cleaned_data["reason"].strip(), "now": utc_now(),
    }  # fmt: skip
    try:
        if request.POST.get("step") == "post":
            arrivals.cancel(**options)
            messages.success(request, "Thrown away." if found.sent_at is None else "Done. Nothing more comes of it.")
            return redirect("arrival", request.merchant.slug, found.pk)
        effects = adjustments.preview(
            merchant=request.merchant,
            variants=[line.variant for line in _lines(found)],
            locations=_places(found),
            deed=lambda: arrivals.cancel(**options),
        )
    except arrivals.Refused as problem:
        return _back(request, found, str(problem))
    except OperationalError:
        return _back(request, found, BUSY)
    changed = [effect for effect in effects if effect.before != effect.after]
    return render(request, "inventory/arrival_cancel.html", {"arrival": found, "effects": changed, "form": form})


@shop_view(roles=MAY_COUNT)
@require_POST
def arrival_undo(request: ShopRequest, arrival_id: int, step_id: int) -> HttpResponse:
    """Take the newest step back."""
    found = arrival_of(request, arrival_id)
    step = get_object_or_404(found.steps, pk=step_id)
    if not may_undo(request, step.done_by_id):
        raise PermissionDenied("Ask a manager to take back what somebody else did.")
    try:
        arrivals.undo(
            merchant=request.merchant, actor=request.actor, arrival_id=found.pk, step_id=step.pk, now=utc_now()
        )
    except arrivals.Refused as problem:
        return _back(request, found, str(problem))
    except OperationalError:
        return _back(request, found, BUSY)
    messages.success(request, f"Taken back: {step.get_kind_display().lower()}.")
    return redirect("arrival", request.merchant.slug, found.pk)


@shop_view(roles=MAY_MANAGE)
@require_POST
def arrival_reschedule(request: ShopRequest, arrival_id: int) -> HttpResponse:
    """Another day, or none; what may be promised on it follows."""
    found = arrival_of(request, arrival_id)
    form = DayForm(request.POST, merchant=request.merchant)
    if not form.is_valid():
        return arrival_page(request, found, day_form=form, status=422)
    day = form.cleaned_data["expected_date"]
    try:
        arrivals.reschedule(merchant=request.merchant, actor=request.actor, arrival_id=found.pk, expected_date=day)
    except arrivals.Refused as problem:
        return _back(request, found, str(problem))
    except OperationalError:
        return _back(request, found, BUSY)
    messages.success(
        request, f"Expected on {day:%a %d %b %Y}." if day else "It has no day now: nothing is promised on it."
    )
    return redirect("arrival", request.merchant.slug, found.pk)


def _back(request: ShopRequest, found: Arrival, problem: str) -> HttpResponse:
    """To the page of the arrival, which says why nothing was done."""
    messages.error(request, problem)
    return redirect("arrival", request.merchant.slug, found.pk)

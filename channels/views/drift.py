"""Where a channel disagreed: causes and evidence in words, a person's answer, undo; and what a guard stopped."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from channels import guards, reconcile
from channels.forms import CONFIRM_WORD, GuardForm
from channels.models import Connection, GuardLine, GuardStop, StockGap, StockSweep
from channels.views.connection import connection_of, page_context
from channels.views.paging import newest_first
from inventory import paging
from storestudio.accounts import audit, numbers
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view

State, Cause = StockGap.State, StockGap.Cause
CHOICES = {
    "ours": "Our numbers are on their way",
    "theirs": "Their numbers are in the ledger now",
    "trust": "Their numbers are in the ledger, and that app's changes count from now on",
}
QUESTIONS_MAX = 50
DECISIONS_SHOWN = 5


@shop_view()
@require_safe
def drift(request: ShopRequest, connection_id: int) -> HttpResponse:
    """The questions that wait, then everything that disagreed, by cause and state."""
    return _page(request, connection_of(request, connection_id))


def _guard_form(connection: Connection) -> GuardForm:
    percent = numbers.plain(connection.guard_share * 100)
    return GuardForm(initial={"cells": connection.guard_cells, "percent": percent})


def _page(request: ShopRequest, connection: Connection, *, form: GuardForm | None = None) -> HttpResponse:
    rows: QuerySet[StockGap] = StockGap.objects.filter(connection=connection)
    state = _one_of(request, "state", State.values)
    cause = _one_of(request, "cause", Cause.values)
    search = request.GET.get("q", "").strip()
    if search:
        rows = rows.filter(Q(listing__sku__icontains=search) | Q(listing__product_title__icontains=search))
    counts = dict(rows.order_by().values_list("state").annotate(Count("pk")))
    of_state = rows.filter(state=state) if state else rows
    causes = dict(of_state.order_by().values_list("cause").annotate(Count("pk")))
    shown = of_state.filter(cause=cause) if cause else of_state
    page = newest_first(
        shown.select_related("listing", "channel_location", "closed_by", "cell"), request=request, by="seen_at"
    )
    stops = GuardStop.objects.filter(connection=connection, state=GuardStop.State.OPEN).annotate(cells=Count("lines"))
    context = page_context(
        request,
        connection,
        questions=_questions(connection),
        decisions=_decisions(connection),
        stops=list(stops.order_by("pk")),
        page=page,
        state=state,
        cause=cause,
        search=search,
        states=[(value, label, counts.get(value, 0)) for value, label in State.choices],
        causes=[(value, label, causes[value]) for value, label in Cause.choices if causes.get(value)],
        total=sum(counts.values()),
        sweep=StockSweep.objects.filter(connection=connection).order_by("-started_at").first(),
        form=form or _guard_form(connection),
    )
    return render(request, "channels/drift.html", context, status=422 if form else 200)


def _one_of(request: HttpRequest, name: str, values: list[str]) -> str:
    asked = request.GET.get(name, "")
    return asked if asked in values else ""


def _questions(connection: Connection) -> list[dict[str, Any]]:
    """One entry a question: its gaps, the first of them as example."""
    asked = StockGap.objects.filter(connection=connection, state=State.ASKED)
    groups = list(asked.order_by("question").values_list("question").annotate(Count("pk"))[:QUESTIONS_MAX])
    rows = asked.filter(question__in=[name for name, _ in groups]).select_related("listing", "channel_location", "cell")
    firsts: dict[str, StockGap] = {gap.question: gap for gap in rows.order_by("question", "pk").distinct("question")}
    return [{"name": name, "count": count, "gap": firsts[name]} for name, count in groups]


def _decisions(connection: Connection) -> list[dict[str, Any]]:
    """The latest answers that booked several numbers at once and can be taken back at once, each with an example."""
    booked = StockGap.objects.filter(
        connection=connection, decision__isnull=False, state=State.DECIDED, deed__in=StockGap.THEIR_NUMBERS
    )
    groups = booked.order_by().values("decision").annotate(
        count=Count("pk"), units=Sum("moved"), first=Min("pk"), at=Max("closed_at")
    )  # fmt: skip
    found = list(groups.filter(count__gt=1).order_by("-at", "-first")[:DECISIONS_SHOWN])
    examples = StockGap.objects.select_related("listing", "closed_by").in_bulk([one["first"] for one in found])
    return [one | {"gap": examples[one["first"]]} for one in found]


def _back(request: ShopRequest, connection_id: int) -> HttpResponse:
    """To the list, narrowed as it was."""
    there = reverse("channel_drift", args=[request.merchant.slug, connection_id])
    narrowed = request.GET.urlencode()
    return redirect(f"{there}?{narrowed}" if narrowed else there)


@shop_view(roles=MAY_MANAGE)
@require_POST
def decide_drift(request: ShopRequest, connection_id: int) -> HttpResponse:
    """A person says which numbers are right: of one question, or of the rows ticked."""
    connection = connection_of(request, connection_id)
    choice, question = request.POST.get("choice", ""), request.POST.get("question", "")
    if choice not in CHOICES:
        return HttpResponse("Choose ours or theirs.", status=422, content_type="text/plain")
    ids = [key for key in map(paging.number, request.POST.getlist("gap")) if key is not None]
    if question:
        asked = StockGap.objects.filter(connection=connection, question=question, state=State.ASKED)
        ids = list(asked.values_list("pk", flat=True))
    done = reconcile.decide(connection=connection, gap_ids=ids, choice=choice, actor=request.actor)
    if done:
        undo = " You can take them back below." if choice != "ours" and done > 1 else ""
        messages.success(request, f"{CHOICES[choice]}: {done} decided.{undo}")
    else:
        messages.info(request, "Nothing was left to decide: the numbers agree again, or the item is gone.")
    return _back(request, connection_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def undo_gap(request: ShopRequest, connection_id: int, gap_id: int) -> HttpResponse:
    """Take back what healed or decided a row."""
    rows: QuerySet[StockGap] = StockGap.objects.all()
    gap = one_of(rows, merchant=request.merchant, pk=gap_id, connection_id=connection_id)
    try:
        reconcile.undo(gap_id=gap.pk, actor=request.actor)
    except reconcile.CannotUndo as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "Taken back. The question is open again.")
    return _back(request, connection_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def undo_decision(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Take back all that one answer booked."""
    connection = connection_of(request, connection_id)
    try:
        decision = UUID(request.POST.get("decision", ""))
    except ValueError:
        return HttpResponse("Choose what to take back.", status=422, content_type="text/plain")
    undone = reconcile.undo_decision(connection=connection, decision=decision, actor=request.actor)
    if undone.done:
        question = "The question is" if undone.done == 1 else "Their questions are"
        messages.success(request, f"{undone.done} taken back. {question} open again.")
    if undone.refused:
        messages.error(request, f"{undone.refused} could not be taken back. {' '.join(undone.reasons)}")
    if not undone.done and not undone.refused:
        messages.info(request, "That was taken back already.")
    return _back(request, connection_id)


def _stop_of(request: ShopRequest, *, connection_id: int, stop_id: int) -> GuardStop:
    rows: QuerySet[GuardStop] = GuardStop.objects.select_related("decided_by")
    return one_of(rows, merchant=request.merchant, pk=stop_id, connection_id=connection_id)


@shop_view()
@require_safe
def guard_stop(request: ShopRequest, connection_id: int, stop_id: int) -> HttpResponse:
    """The table of what would change."""
    return _stop_page(request, connection_id, _stop_of(request, connection_id=connection_id, stop_id=stop_id))


def _stop_page(request: ShopRequest, connection_id: int, stop: GuardStop, *, error: str = "") -> HttpResponse:
    connection = connection_of(request, connection_id)
    lines: QuerySet[GuardLine] = GuardLine.objects.filter(stop=stop).select_related(
        "cell__listing", "cell__channel_location"
    )
    context = page_context(
        request, connection, stop=stop, count=lines.count(), error=error, word=CONFIRM_WORD,
        zeros=lines.filter(after__lte=0).count(), page=newest_first(lines, request=request),
    )  # fmt: skip
    return render(request, "channels/guard_stop.html", context, status=422 if error else 200)


@shop_view(roles=MAY_MANAGE)
@require_POST
def decide_stop(request: ShopRequest, connection_id: int, stop_id: int) -> HttpResponse:
    """Let the batch pass, typed; or throw it away and look again."""
    stop = _stop_of(request, connection_id=connection_id, stop_id=stop_id)
    is_approved = request.POST.get("choice") == "approve"
    if is_approved and request.POST.get("confirm", "").strip().lower() != CONFIRM_WORD:
        return _stop_page(request, connection_id, stop, error=f"Type “{CONFIRM_WORD}” to let these numbers drop.")
    try:
        reconcile.decide_stop(stop_id=stop.pk, is_approved=is_approved, actor=request.actor)
    except guards.AlreadyDecided as decided:
        messages.info(request, f"Somebody answered before you: {str(decided).lower()}.")
    else:
        done = "Approved. It goes on now." if is_approved else "Thrown away. We look again, and ask again if need be."
        messages.success(request, done)
    return _back(request, connection_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def set_guard(request: ShopRequest, connection_id: int) -> HttpResponse:
    """How much may drop at once without asking."""
    connection = connection_of(request, connection_id)
    form = GuardForm(request.POST)
    if not form.is_valid():
        return _page(request, connection, form=form)
    cells, percent = form.cleaned_data["cells"], form.cleaned_data["percent"]
    Connection.objects.filter(pk=connection.pk).update(guard_cells=cells, guard_share=percent / 100)
    audit.record(
        actor=request.actor, merchant=request.merchant, action="guard.set", target=connection,
        summary=f"{connection.label}: at most {cells} numbers, or {percent} % of them, may drop at once",
    )  # fmt: skip
    messages.success(request, "Kept. It holds from the next batch on.")
    return _back(request, connection_id)

"""The collision desk: units promised twice, who keeps them and why, and what is done for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_POST, require_safe

from channels import collisions, commands, remedies
from channels.forms import DecisionForm
from channels.models import Collision, CollisionDecision
from channels.views.paging import newest_first
from inventory.models import StockLevel
from storestudio.accounts import live
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view

SUMMED = timedelta(days=30)


@dataclass(frozen=True)
class Loser:
    """An order that goes without, what can be done for it, the form to choose, and what was decided before."""

    claim: collisions.Claim
    units: Any
    offers: Sequence[remedies.Offer]
    form: DecisionForm
    pending: CollisionDecision | None


@shop_view()
@require_safe
def collision_list(request: ShopRequest) -> HttpResponse:
    """Open collisions, or those that are over; what they came to in a month."""
    state = "closed" if request.GET.get("state") == "closed" else "open"
    rows = Collision.objects.of(request.merchant).select_related("variant__product", "location", "connection")
    stands = Q(command=None) | Q(command__state__in=[commands.State.WAITING, commands.State.DONE])
    decided = CollisionDecision.objects.filter(stands, collision=OuterRef("pk"), undone_at=None)
    rows = rows.filter(closed_at__isnull=state == "open").annotate(is_under_way=Exists(decided))
    shown = newest_first(rows, request=request, by="opened_at")
    context = {
        "page": shown,
        "state": state,
        "open_count": Collision.objects.of(request.merchant).filter(closed_at=None).count(),
        "sums": collisions.sums(merchant_id=request.merchant.pk, since=utc_now() - SUMMED),
    }
    part = live.part(request, "channels/_collisions.html", context)
    if request.GET.get("part") == "collisions":
        return live.answer(request, part)
    return render(request, "channels/collisions.html", context | {"part": part})


def _collision_of(request: ShopRequest, collision_id: int) -> Collision:
    rows = Collision.objects.select_related("variant__product", "location", "connection", "merchant")
    found: Collision = one_of(rows, merchant=request.merchant, pk=collision_id)
    return found


@shop_view()
@require_safe
def collision(request: ShopRequest, collision_id: int) -> HttpResponse:
    """One collision: what took the units, who keeps them, what can be done for the others."""
    return _page(request, _collision_of(request, collision_id))


def _page(request: ShopRequest, found: Collision, *, refused: DecisionForm | None = None) -> HttpResponse:
    decisions = list(
        found.decisions.select_related("order", "command", "decided_by", "line").order_by("-decided_at", "-pk")
    )
    claims: list[collisions.Claim] = []
    level = None
    if found.closed_at is None:
        level = StockLevel.objects.select_related("location", "variant__product").get(
            variant=found.variant_id, location=found.location_id
        )
        claims = collisions.claims(level)
    context = {
        "collision": found,
        "level": level,
        "claims": claims,
        "losers": [_loser(found, one, decisions, refused) for one in claims if one.short > 0],
        "decisions": decisions,
        "is_refused": refused is not None,
    }
    part = live.part(request, "channels/_collision.html", context)
    if request.GET.get("part") == "collision":
        return live.answer(request, part)
    status = 422 if refused is not None else 200
    return render(request, "channels/collision.html", context | {"part": part}, status=status)


def _loser(
    found: Collision, claim: collisions.Claim, decisions: Sequence[CollisionDecision], refused: DecisionForm | None
) -> Loser:
    line_id = claim.line.pk if claim.line else 0
    pending = next(
        (
            one
            for one in decisions
            if one.line_id == line_id and one.command is not None and one.command.state == commands.State.WAITING
        ),
        None,
    )
    offers = [] if pending else remedies.offers(collision=found, claim=claim)
    is_refused = refused is not None and refused.data.get("line") == str(line_id)
    form = (
        refused
        if refused is not None and is_refused
        else DecisionForm(initial={"line": line_id}, auto_id=f"l{line_id}_%s")
    )
    return Loser(claim, remedies.units_of(claim), offers, form, pending)


@shop_view(roles=MAY_MANAGE)
@require_POST
def decide_collision(request: ShopRequest, collision_id: int) -> HttpResponse:
    """Carry out what was chosen for one order."""
    found = _collision_of(request, collision_id)
    form = DecisionForm(request.POST, auto_id=f"l{request.POST.get('line', '')[:12]}_%s")
    if not form.is_valid():
        return _page(request, found, refused=form)
    said = form.cleaned_data
    wish = remedies.Wish(said["line"], said["offer"], said["key"], said["note"], said["extra_cost"])
    try:
        decision = remedies.decide(collision=found, wish=wish, actor=request.actor)
    except commands.CannotAsk as refused:
        form.add_error(None, str(refused))
        return _page(request, found, refused=form)
    if decision.command is None:
        messages.success(request, f"{decision.words}. Noted: you are asked again if it has not come by then.")
    else:
        messages.success(request, f"{decision.words}: {decision.command.connection.label} is asked to.")
    return redirect("collision", request.merchant.slug, found.pk)


@shop_view(roles=MAY_MANAGE)
@require_POST
def undo_collision(request: ShopRequest, collision_id: int, decision_id: int) -> HttpResponse:
    """Take a decision back, where that is possible."""
    rows = CollisionDecision.objects.select_related("merchant", "command__order", "command__merchant")
    decision: CollisionDecision = one_of(rows, merchant=request.merchant, pk=decision_id, collision_id=collision_id)
    try:
        remedies.undo(decision=decision, actor=request.actor)
    except commands.NotWaiting:
        messages.error(request, "Too late: the channel has been asked. See the order for what can be done now.")
    else:
        messages.success(request, "Taken back.")
    return redirect("collision", request.merchant.slug, collision_id)

"""What a person asks an order's channel to do: ship from another place, cancel; ask again, call back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from channels import asking, commands
from channels.forms import CancelOrderForm, MoveOrderForm
from channels.models import ChannelCommand
from inventory.models import Location, Order, OrderHold
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view


def order_of(request: ShopRequest, order_id: int) -> Order:
    """One of the shop's orders, or 404."""
    found: Order = one_of(Order.objects.all(), merchant=request.merchant, pk=order_id)
    return found


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def move_order(request: ShopRequest, order_id: int) -> HttpResponse:
    """Ship what waits at one place from another: which units, where to, what each place has."""
    order = order_of(request, order_id)
    holds = asking.waiting(order=order)
    origins = list({hold.location_id: hold.location for hold in holds}.values())
    given = request.POST if request.method == "POST" else request.GET
    origin = next((place for place in origins if str(place.pk) == given.get("origin")), origins[0] if origins else None)
    here = [hold for hold in holds if origin is not None and hold.location_id == origin.pk]
    there = asking.destinations(order=order, holds=here) if here else []
    form = MoveOrderForm(request.POST or None, holds=here, destinations=there)
    if request.method == "POST" and origin is not None and form.is_valid():
        try:
            asking.move(
                order=order, units=form.units(), origin=origin, key=form.cleaned_data["key"], actor=request.actor,
                destination=one_of(Location.objects.all(), merchant=request.merchant, pk=form.cleaned_data["place"]),
            )  # fmt: skip
        except commands.CannotAsk as refused:
            form.add_error(None, str(refused))
        else:
            return asked(request, order)
    context = _context(order, form) | {
        "origins": origins, "origin": origin, "lines": form.rows(), "destinations": there,
    }  # fmt: skip
    return render(request, "channels/order_move.html", context, status=422 if form.errors else 200)


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def cancel_order(request: ShopRequest, order_id: int) -> HttpResponse:
    """Cancel a whole order at its channel; what that means is said before."""
    order = order_of(request, order_id)
    choices = asking.choices(order)
    form = CancelOrderForm(request.POST or None, options=choices.options)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            asking.cancel(
                order=order, restocks=said.get("restocks", True), pays_back=said.get("pays_back", False),
                note=said["note"], key=said["key"], actor=request.actor,
            )  # fmt: skip
        except commands.CannotAsk as refused:
            form.add_error(None, str(refused))
        else:
            return asked(request, order)
    units = sum((hold.committed for hold in OrderHold.objects.filter(line__order=order)), Decimal(0))
    context = _context(order, form) | {"units": units}
    return render(request, "channels/order_cancel.html", context, status=422 if form.errors else 200)


def _context(order: Order, form: Any) -> dict[str, Any]:
    return {"order": order, "form": form, "choices": asking.choices(order)}


def asked(request: ShopRequest, order: Order) -> HttpResponse:
    """Back to the order, once its channel is being asked."""
    label = asking.choices(order).label
    messages.success(request, f"{label} is asked. You see here when it is done; stock follows then.")
    return redirect("order", request.merchant.slug, order.pk)


def _command_of(request: ShopRequest, order_id: int, command_id: int) -> ChannelCommand:
    rows = ChannelCommand.objects.select_related("order", "merchant")
    found: ChannelCommand = one_of(rows, merchant=request.merchant, pk=command_id, order_id=order_id)
    return found


@shop_view(roles=MAY_MANAGE)
@require_POST
def call_back_command(request: ShopRequest, order_id: int, command_id: int) -> HttpResponse:
    """Take back what the channel was not asked yet."""
    command = _command_of(request, order_id, command_id)
    try:
        commands.call_back(command=command, actor=request.actor)
    except commands.NotWaiting:
        messages.info(request, "Too late: the channel has been asked already.")
    else:
        messages.success(request, "Called back. Nobody was asked.")
    return redirect("order", request.merchant.slug, order_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def retry_command(request: ShopRequest, order_id: int, command_id: int) -> HttpResponse:
    """Ask again what failed, or leave it so."""
    command = _command_of(request, order_id, command_id)
    if request.POST.get("deed") == "leave":
        commands.give_up(command=command, actor=request.actor)
        messages.success(request, "Left as it is. Nobody is reminded of it any more.")
        return redirect("order", request.merchant.slug, order_id)
    try:
        commands.retry(command=command, actor=request.actor)
    except commands.NotWaiting:
        messages.info(request, "It is being asked, or done already.")
    except commands.CannotAsk as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "Asked again. It is looked at first whether it was done.")
    return redirect("order", request.merchant.slug, order_id)

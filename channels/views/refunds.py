"""Giving money back for an order: for which units, then what it comes to, then its channel is asked."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from channels import asking, commands, refunding, registry
from channels.forms import RefundForm
from channels.ports import OrderActionKind, OrderOption, RefundQuote
from channels.views.orders import asked, order_of
from inventory.models import Order
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, shop_view


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def refund_order(request: ShopRequest, order_id: int) -> HttpResponse:
    """The units, then the amount its channel reckons for a yes; a form sent twice pays once."""
    order = order_of(request, order_id)
    choices = asking.choices(order)
    if OrderActionKind.REFUND not in choices.can:
        return render(request, "channels/order_refund.html", {"order": order, "choices": choices})
    if request.method != "POST":
        return _page(request, order, _form(order, choices, is_whole_order=request.GET.get("all") == "1"))
    step = request.POST.get("step", "preview")
    if step == "pay":
        return _pay(request, order, choices)
    form = _form(order, choices, request.POST)
    if step == "edit" or not form.is_valid():
        return _page(request, order, form, is_wrong=step != "edit")
    try:
        quote = refunding.quote(order=order, wish=_wish(order, form))
    except commands.CannotAsk as refused:
        form.add_error(None, str(refused))
        return _page(request, order, form, is_wrong=True)
    return _confirm(request, order, _form(order, choices, request.POST, quote=quote), quote)


def _pay(request: ShopRequest, order: Order, choices: asking.Choices) -> HttpResponse:
    form = _form(order, choices, request.POST, with_amount=True)
    quote: RefundQuote | None = None
    if form.is_valid():
        wish = _wish(order, form)
        try:
            refunding.give_back(
                order=order, wish=wish, amount=form.cleaned_data["amount"], key=form.cleaned_data["key"],
                actor=request.actor,
            )  # fmt: skip
        except commands.CannotAsk as refused:
            form.add_error("amount", str(refused))
        else:
            return asked(request, order)
    elif set(form.errors) - {"amount"}:
        return _page(request, order, _form(order, choices, request.POST), is_wrong=True)
    try:
        quote = refunding.quote(order=order, wish=_wish(order, form))
    except commands.CannotAsk as refused:
        form.add_error(None, str(refused))
    return _confirm(request, order, form, quote, status=422)


def _wish(order: Order, form: RefundForm) -> refunding.Wish:
    said = form.cleaned_data
    return refunding.Wish(
        form.units(), said.get("restocks", True), asking.places(order).get(said.get("place") or 0),
        said.get("is_noted_only", False), said["note"],
    )  # fmt: skip


def _form(
    order: Order, choices: asking.Choices, data: QueryDict | None = None, *, with_amount: bool = False,
    quote: RefundQuote | None = None, is_whole_order: bool = False,
) -> RefundForm:  # fmt: skip
    """`quote`: the amount is shown, as typed before or as reckoned."""
    rows = refunding.returnable(order)
    home = next((one.place for one in rows if one.has_left and one.place), None)
    can = registry.capabilities(choices.connection.channel) if choices.connection else None
    initial: dict[str, Any] = {"place": home.pk if home else None}
    if is_whole_order:
        initial |= {one.name: one.most.normalize() for one in rows}
    if quote is not None and data is not None:
        data = data.copy()
        data.setdefault("amount", "" if quote.amount is None else f"{quote.amount:.2f}")
    return RefundForm(
        data, rows=rows, places=list(asking.places(order).values()), options=choices.options, initial=initial,
        takes_fractions=bool(can and can.takes_fractions), with_amount=with_amount or quote is not None,
    )  # fmt: skip


def _page(request: ShopRequest, order: Order, form: RefundForm, *, is_wrong: bool = False) -> HttpResponse:
    if is_wrong:
        form.focus_first_error()
    context = {
        "order": order, "choices": asking.choices(order), "form": form, "given_back": refunding.given_back(order),
    }  # fmt: skip
    return render(request, "channels/order_refund.html", context, status=422 if is_wrong else 200)


def _confirm(
    request: ShopRequest, order: Order, form: RefundForm, quote: RefundQuote | None, *, status: int = 200
) -> HttpResponse:
    form.is_valid()
    if status == 200:
        form.errors.pop("amount", None)  # shown for the first time: nothing was left out yet
    chosen = [(one, form.cleaned_data[one.name]) for one in form.returnable if form.cleaned_data.get(one.name)]
    context = {
        "order": order, "choices": asking.choices(order), "form": form, "quote": quote, "chosen": chosen,
        "reckons": OrderOption.RECKONS in asking.choices(order).options,
        "place": asking.places(order).get(form.cleaned_data.get("place") or 0),
    }  # fmt: skip
    return render(request, "channels/order_refund_confirm.html", context, status=status)

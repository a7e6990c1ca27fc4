"""Changing what is on an order: its lines and what is put on it, looked at before its channel is asked."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from channels import asking, commands, order_items, registry
from channels.forms import OrderItemsForm
from channels.ports import OrderActionKind, OrderOption
from channels.views.orders import asked, order_of
from inventory.forms import LineForm, counted_lines
from inventory.models import Order
from inventory.views import scanning
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, shop_view


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def order_items_page(request: ShopRequest, order_id: int) -> HttpResponse:
    """The lines with their units, and a search for more; then before → after for a yes; then the channel is asked."""
    order = order_of(request, order_id)
    choices = asking.choices(order)
    if OrderActionKind.EDIT not in choices.can:
        return render(request, "channels/order_items.html", {"order": order, "choices": choices})
    if request.method != "POST":
        return _page(request, order, _form(order, choices), [])
    data = request.POST.copy()
    step = data.get("step", "preview")
    if step == "preview" and data.get("code", "").strip():
        step = "add"  # Enter in the search field, or a code typed and forgotten
    if scanning.is_scan(step) and OrderOption.ADD in choices.options:
        return _rescan(request, order, choices, data, step)
    form = _form(order, choices, data)
    added = counted_lines(data=data, variants=scanning.variants_of(request, data.getlist("variant")))
    if step == "edit":
        return _page(request, order, form, added)
    if not all([form.is_valid(), *(line.is_valid() for line in added)]):
        return _page(request, order, form, added, is_wrong=True)
    return _checked(request, order, form, added, is_sure=step == "ask")


def _checked(
    request: ShopRequest, order: Order, form: OrderItemsForm, added: list[LineForm], *, is_sure: bool
) -> HttpResponse:
    said = form.cleaned_data
    place = asking.places(order).get(said.get("place") or 0)
    items = order_items.Items(
        form.wanted(), [(line.variant.pk, line.cleaned_data["quantity"]) for line in added], place
    )  # fmt: skip
    try:
        if is_sure:
            order_items.change(
                order=order, items=items, restocks=said.get("restocks", True), note=said["note"], key=said["key"],
                actor=request.actor,
            )  # fmt: skip
            return asked(request, order)
        planned = order_items.steps(order=order, items=items)
    except commands.CannotAsk as refused:
        form.add_error(None, str(refused))
        return _page(request, order, form, added, is_wrong=True)
    context = {
        "order": order, "choices": asking.choices(order), "steps": planned, "form": form, "added": added,
        "is_short": any(one.short > 0 for one in planned), "takes_off": any(one.after < one.before for one in planned),
    }  # fmt: skip
    return render(request, "channels/order_items_confirm.html", context)


def _rescan(request: ShopRequest, order: Order, choices: asking.Choices, data: QueryDict, step: str) -> HttpResponse:
    """Another item, or one less; nothing else is checked yet."""
    scanned = scanning.scan(request, data, step)
    form = _form(order, choices, initial={name: data[name] for name in data if name != "restocks"})
    if "restocks" in form.fields:
        form.initial["restocks"] = "restocks" in data
    lines = scanning.unchecked(data, scanned.chosen)
    return _page(request, order, form, lines, is_wrong=bool(scanned.error), **scanned.context())


def _form(
    order: Order, choices: asking.Choices, data: QueryDict | None = None, *, initial: dict[str, Any] | None = None
) -> OrderItemsForm:
    lines = order_items.editable(order)
    where = next((place.pk for one in lines for place in one.places), None)
    can = registry.capabilities(choices.connection.channel) if choices.connection else None
    return OrderItemsForm(
        data, lines=lines, places=list(asking.places(order).values()), options=choices.options,
        takes_fractions=bool(can and can.takes_fractions), initial={"place": where} | (initial or {}),
    )  # fmt: skip


def _page(
    request: ShopRequest, order: Order, form: OrderItemsForm, goods: list[LineForm], *, is_wrong: bool = False,
    **extra: Any,
) -> HttpResponse:  # fmt: skip
    if form.is_bound and is_wrong:
        form.focus_first_error()
    context = {
        "order": order, "choices": asking.choices(order), "form": form, "lines": goods, "is_scanning": False,
    } | extra  # fmt: skip
    return render(request, "channels/order_items.html", context, status=422 if is_wrong else 200)

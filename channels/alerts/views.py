"""The page of alerts: one's own e-mail, the shop's webhooks, what was told lately and what could not be."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_POST, require_safe

from channels import incidents
from channels.alerts import outbox, routes
from channels.alerts.forms import RouteForm, WebhookForm
from channels.alerts.models import AlertDelivery, AlertRoute
from channels.views.paging import newest_first
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view
from storestudio.accounts.models import Membership


def _is_staffs(request: ShopRequest) -> bool:
    return request.membership.role == Membership.Role.ONBOARDING


def _webhooks(request: ShopRequest) -> QuerySet[AlertRoute]:
    rows: QuerySet[AlertRoute] = AlertRoute.objects.of(request.merchant)
    return rows.filter(channel=AlertRoute.Channel.WEBHOOK, removed_at=None).order_by("pk")


def _mine(request: ShopRequest) -> Q:
    """Routes this person may see and change: their own, and for who decides the shop's webhooks."""
    own = Q(membership__user=request.actor, membership__isnull=False)
    return own | Q(channel=AlertRoute.Channel.WEBHOOK) if request.may_manage else own


def _route(request: ShopRequest, route_id: int) -> AlertRoute:
    rows: QuerySet[AlertRoute] = AlertRoute.objects.filter(_mine(request), removed_at=None)
    rows = rows.select_related("merchant", "membership__user")
    return one_of(rows, merchant=request.merchant, pk=route_id)


@shop_view()
@require_safe
def alerts(request: ShopRequest) -> HttpResponse:
    """What this person is told, where and when; what was told lately."""
    return _page(request)


def _page(request: ShopRequest, *, status: int = 200, **shown: Any) -> HttpResponse:
    wrong: RouteForm | None = shown.get("route_form")
    at: int | None = shown.get("at")

    def form_of(route: AlertRoute) -> RouteForm:
        return wrong if wrong is not None and route.pk == at else RouteForm(route=route, is_staffs=_is_staffs(request))

    own = routes.of_member(request.membership)
    told = AlertDelivery.objects.of(request.merchant).select_related("route__membership__user", "incident")
    told = told.filter(route__in=AlertRoute.objects.of(request.merchant).filter(_mine(request)))
    state = request.GET.get("state", "")
    state = state if state in AlertDelivery.State.values else ""
    shown_rows = told.filter(state=state) if state else told.exclude(state=AlertDelivery.State.DROPPED)
    context = {
        "own": own, "own_form": form_of(own) if own else None,
        "webhooks": [(one, form_of(one)) for one in _webhooks(request)] if request.may_manage else [],
        "webhook_form": shown.get("webhook_form") or WebhookForm(auto_id="new_%s"),
        "page": newest_first(shown_rows, request=request, size=20),
        "state": state, "states": AlertDelivery.State.choices,
        "acted": incidents.acted_on(merchants=[request.merchant.pk], now=utc_now())[request.merchant.pk],
        "has_more_shops": request.actor.memberships.count() > 1,
        "at": at,
    }  # fmt: skip
    return render(request, "alerts/alerts.html", context, status=status)


def _back(request: ShopRequest) -> HttpResponse:
    return redirect("alerts", shop=request.merchant.slug)


@shop_view()
@require_POST
def change_route(request: ShopRequest, route_id: int) -> HttpResponse:
    """Set what is told on a route, and when; for one's own, in all one's shops if asked."""
    route = _route(request, route_id)
    form = RouteForm(request.POST, route=route, is_staffs=_is_staffs(request))
    if not form.is_valid():
        return _page(request, status=422, at=route.pk, route_form=form)
    routes.change(route=route, settings=form.settings(), actor=request.actor)
    if request.POST.get("also") == "other_shops" and route.membership is not None:
        route.refresh_from_db()
        others = routes.copy_to_other_shops(route=route, actor=request.actor)
        messages.success(request, f"Saved, here and in {others} other shop{'' if others == 1 else 's'}.")
    else:
        messages.success(request, "Saved.")
    return _back(request)


@shop_view()
@require_POST
def test_route(request: ShopRequest, route_id: int) -> HttpResponse:
    """Send a test now, and say what came of it."""
    route = _route(request, route_id)
    error = outbox.send_test(route=route, actor=request.actor, now=utc_now())
    if error:
        messages.error(request, f"It did not arrive at {routes.name_of(route)}: {error}.")
    else:
        messages.success(request, f"A test is on its way to {routes.name_of(route)}.")
    return _back(request)


@shop_view(roles=MAY_MANAGE)
@require_POST
def add_webhook(request: ShopRequest) -> HttpResponse:
    """Tell an address that takes Slack's JSON."""
    form = WebhookForm(request.POST, auto_id="new_%s")
    if not form.is_valid():
        return _page(request, status=422, webhook_form=form)
    try:
        route = routes.add_webhook(
            merchant=request.merchant, label=form.cleaned_data["label"], url=form.cleaned_data["url"],
            actor=request.actor,
        )  # fmt: skip
    except routes.CannotKeep as refused:
        form.add_error("url", str(refused))
        return _page(request, status=422, webhook_form=form)
    messages.success(request, f"{route.label} is told what needs the shop. Send it a test.")
    return _back(request)


@shop_view(roles=MAY_MANAGE)
@require_POST
def remove_webhook(request: ShopRequest, route_id: int) -> HttpResponse:
    """Tell a webhook nothing more."""
    route = one_of(_webhooks(request).select_related("merchant"), merchant=request.merchant, pk=route_id)
    routes.remove(route=route, actor=request.actor)
    messages.success(request, f"{route.label} is told nothing more.")
    return _back(request)

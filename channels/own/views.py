"""Pages of the shop's own site: tokens, endpoints and their log, live holds; and the API's human page."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_POST, require_safe

from channels import registry
from channels.models import Connection
from channels.own import deliveries, endpoints, site, tokens
from channels.own.api import openapi
from channels.own.api.problems import KINDS
from channels.own.forms import EndpointForm, SiteForm, TokenForm
from channels.own.models import ApiToken, Topic, WebhookDelivery, WebhookEndpoint
from channels.views.paging import newest_first
from inventory import reservations
from inventory.models import Reservation
from storestudio.accounts import live
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view, wants_partial

State = Reservation.State
ENDED_SHOWN = 200


def _sites(request: ShopRequest) -> QuerySet[Connection]:
    rows: QuerySet[Connection] = Connection.objects.of(request.merchant).filter(channel=registry.OWN)
    return rows.exclude(state=Connection.State.CLOSED).order_by("pk")


def _site(request: ShopRequest, connection_id: int) -> Connection:
    return one_of(_sites(request), merchant=request.merchant, pk=connection_id)


def _endpoint(request: ShopRequest, endpoint_id: int) -> WebhookEndpoint:
    rows: QuerySet[WebhookEndpoint] = WebhookEndpoint.objects.filter(removed_at=None)
    rows = rows.select_related("connection", "merchant")
    return one_of(rows, merchant=request.merchant, pk=endpoint_id)


@shop_view(roles=MAY_MANAGE)
@require_safe
def access(request: ShopRequest) -> HttpResponse:
    """The shop's own sites, each with its tokens and endpoints."""
    return _access_page(request)


def _access_page(request: ShopRequest, *, status: int = 200, **shown: Any) -> HttpResponse:
    """The page, with a form that was filled in wrongly or a secret that is shown once."""
    at: int | None = shown.get("at")
    sites = [
        {
            "site": one,
            "tokens": list(one.tokens.select_related("created_by").order_by("revoked_at", "-pk")[:50]),
            "endpoints": list(one.endpoints.filter(removed_at=None).order_by("pk")),
            "token_form": shown["token_form"]
            if at == one.pk and "token_form" in shown
            else TokenForm(auto_id=f"t{one.pk}_%s"),
            "endpoint_form": (
                shown["endpoint_form"]
                if at == one.pk and "endpoint_form" in shown
                else EndpointForm(auto_id=f"e{one.pk}_%s")
            ),
            "secret": shown.get("secret") if at == one.pk else None,
        }
        for one in _sites(request)
    ]
    context = {
        "sites": sites, "site_form": shown.get("site_form") or SiteForm(), "now": utc_now(),
        "api_url": f"{settings.PUBLIC_URL}/api/v1",
    }  # fmt: skip
    return render(request, "own/access.html", context, status=status)


@shop_view(roles=MAY_MANAGE)
@require_POST
def open_site(request: ShopRequest) -> HttpResponse:
    """Make a site of the shop's own."""
    form = SiteForm(request.POST)
    if not form.is_valid():
        return _access_page(request, status=422, site_form=form)
    opened = site.open_site(merchant=request.merchant, label=form.cleaned_data["label"], actor=request.actor)
    messages.success(request, f"{opened.label} is open. Make it a token, and give it an address to be told at.")
    return redirect("api_access", shop=request.merchant.slug)


@shop_view(roles=MAY_MANAGE)
@require_POST
def make_token(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Make a token and show it, this once."""
    one = _site(request, connection_id)
    form = TokenForm(request.POST, auto_id=f"t{one.pk}_%s")
    if not form.is_valid():
        return _access_page(request, status=422, at=one.pk, token_form=form)
    token, text = tokens.issue(
        connection=one, name=form.cleaned_data["name"], scopes=form.cleaned_data["scopes"], actor=request.actor,
        expires_at=form.expires_at(),
    )  # fmt: skip
    return _access_page(request, at=one.pk, secret={"what": f"The token “{token.name}”", "text": text})


@shop_view(roles=MAY_MANAGE)
@require_POST
def revoke_token(request: ShopRequest, token_id: int) -> HttpResponse:
    """End a token for ever."""
    token = one_of(ApiToken.objects.all(), merchant=request.merchant, pk=token_id)
    if tokens.revoke(token=token, actor=request.actor):
        messages.success(request, f"“{token.name}” opens nothing any more.")
    else:
        messages.info(request, f"“{token.name}” was revoked before.")
    return redirect("api_access", shop=request.merchant.slug)


@shop_view(roles=MAY_MANAGE)
@require_POST
def add_endpoint(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Add an endpoint and show its secret, this once."""
    one = _site(request, connection_id)
    form = EndpointForm(request.POST, auto_id=f"e{one.pk}_%s")
    if form.is_valid():
        try:
            endpoint, secret = endpoints.add(site=one, actor=request.actor, **form.cleaned_data)
        except endpoints.CannotKeep as error:
            form.add_error(None, str(error))
        else:
            shown = {"what": f"The secret of {endpoint.url}", "text": secret}
            return _access_page(request, at=one.pk, secret=shown)
    return _access_page(request, status=422, at=one.pk, endpoint_form=form)


@shop_view(roles=MAY_MANAGE)
@require_safe
def endpoint(request: ShopRequest, endpoint_id: int) -> HttpResponse:
    """An endpoint: what it is told, its state, its log."""
    return _endpoint_page(request, _endpoint(request, endpoint_id))


def _endpoint_page(
    request: ShopRequest, row: WebhookEndpoint, *, form: EndpointForm | None = None, secret: str = "", status: int = 200
) -> HttpResponse:
    log = WebhookDelivery.objects.filter(endpoint=row)
    states = dict(log.order_by().values_list("state").annotate(Count("pk")))
    state = request.GET.get("state", "")
    state = state if state in WebhookDelivery.State.values else ""
    rows = (log.filter(state=state) if state else log).select_related("message").prefetch_related("tries")
    given = {"url": row.url, "description": row.description, "topics": row.topics}
    context = {
        "endpoint": row, "form": form or EndpointForm(initial=given), "secret": secret, "state": state,
        "page": newest_first(rows, request=request), "total": sum(states.values()),
        "states": [(value, label, states.get(value, 0)) for value, label in WebhookDelivery.State.choices],
    }  # fmt: skip
    return render(request, "own/endpoint.html", context, status=status)


def _to_endpoint(request: ShopRequest, row: WebhookEndpoint) -> HttpResponse:
    return redirect("api_endpoint", shop=request.merchant.slug, endpoint_id=row.pk)


@shop_view(roles=MAY_MANAGE)
@require_POST
def change_endpoint(request: ShopRequest, endpoint_id: int) -> HttpResponse:
    """Another address, other topics."""
    row = _endpoint(request, endpoint_id)
    form = EndpointForm(request.POST)
    if not form.is_valid():
        return _endpoint_page(request, row, form=form, status=422)
    endpoints.change(endpoint=row, actor=request.actor, **form.cleaned_data)
    messages.success(request, "Saved. It is told so from now on.")
    return _to_endpoint(request, row)


@shop_view(roles=MAY_MANAGE)
@require_POST
def new_secret(request: ShopRequest, endpoint_id: int) -> HttpResponse:
    """Another secret, shown once; the old one goes on for a day."""
    row = _endpoint(request, endpoint_id)
    return _endpoint_page(request, row, secret=endpoints.new_secret(endpoint=row, actor=request.actor))


@shop_view(roles=MAY_MANAGE)
@require_POST
def ping_endpoint(request: ShopRequest, endpoint_id: int) -> HttpResponse:
    """Send a test message now and say what was answered."""
    row = _endpoint(request, endpoint_id)
    _, answer = deliveries.ping(endpoint=row, actor=request.actor)
    if answer.is_taken:
        messages.success(request, f"It answered {answer.status} after {answer.took_ms} ms.")
    else:
        messages.error(request, f"It did not take the test message: {answer.error}.")
    return _to_endpoint(request, row)


@shop_view(roles=MAY_MANAGE)
@require_POST
def switch_endpoint(request: ShopRequest, endpoint_id: int) -> HttpResponse:
    """Switch it off or on again."""
    row = _endpoint(request, endpoint_id)
    is_on = request.POST.get("to") == "on"
    endpoints.switch(endpoint=row, is_on=is_on, reason="switched off by hand", actor=request.actor)
    messages.success(request, "It is told again from now on." if is_on else "It is told nothing until switched on.")
    return _to_endpoint(request, row)


@shop_view(roles=MAY_MANAGE)
@require_POST
def remove_endpoint(request: ShopRequest, endpoint_id: int) -> HttpResponse:
    """Tell it nothing more, for ever."""
    row = _endpoint(request, endpoint_id)
    endpoints.remove(endpoint=row, actor=request.actor)
    messages.success(request, f"{row.url} is removed.")
    return redirect("api_access", shop=request.merchant.slug)


@shop_view(roles=MAY_MANAGE)
@require_safe
def delivery(request: ShopRequest, delivery_id: int) -> HttpResponse:
    """One delivery: its bytes, every try and answer."""
    rows = WebhookDelivery.objects.select_related("message", "endpoint")
    row = one_of(rows, merchant=request.merchant, pk=delivery_id)
    return render(request, "own/delivery.html", {"delivery": row, "tries": row.tries.order_by("-pk")[:50]})


@shop_view(roles=MAY_MANAGE)
@require_POST
def replay_delivery(request: ShopRequest, delivery_id: int) -> HttpResponse:
    """Send it again, the same to the letter."""
    rows = WebhookDelivery.objects.select_related("message", "endpoint", "merchant")
    row = one_of(rows, merchant=request.merchant, pk=delivery_id)
    try:
        deliveries.replay(delivery=row, actor=request.actor)
    except deliveries.StillTrying:
        messages.info(request, "It is being tried by itself already.")
    else:
        messages.success(request, "It is on its way again.")
    return redirect("api_delivery", shop=request.merchant.slug, delivery_id=row.pk)


@shop_view()
@require_safe
def holds(request: ShopRequest) -> HttpResponse:
    """What is held now, the one that ends first on top; or what ended lately."""
    show = "ended" if request.GET.get("show") == "ended" else "held"
    now = utc_now()
    rows = Reservation.objects.of(request.merchant).select_related("order", "ended_by")
    rows = rows.prefetch_related("lines__variant__product", "lines__location")
    if show == "held":
        rows = rows.filter(state=State.HELD, expires_at__gt=now).order_by("expires_at", "pk")[:ENDED_SHOWN]
    else:
        rows = rows.exclude(state=State.HELD, expires_at__gt=now).order_by("-pk")[:ENDED_SHOWN]
    labels = dict(Connection.objects.of(request.merchant).values_list("pk", "label"))
    shown = [
        {
            "hold": one,
            "state": State(reservations.state_at(one, now=now)),
            "left_s": max(0, round((one.expires_at - now).total_seconds())),
            "by": labels.get(one.channel_id or 0, "StoreStudio"),
        }
        for one in rows
    ]
    part = live.part(request, "own/_holds.html", {"rows": shown, "show": show, "now": now})
    if wants_partial(request):
        return live.answer(request, part)
    return render(request, "own/holds.html", {"part": part, "show": show, "count": len(shown)})


@shop_view(roles=MAY_MANAGE)
@require_POST
def release_hold(request: ShopRequest, hold_id: int) -> HttpResponse:
    """Give a hold's units back; the site is told."""
    hold = one_of(Reservation.objects.all(), merchant=request.merchant, pk=hold_id)
    reason = f"released by {request.actor.get_full_name()}"
    if reservations.release(reservation_id=hold.pk, now=utc_now(), actor=request.actor, reason=reason):
        messages.success(request, "Released. Its units are free at every channel.")
    else:
        messages.info(request, "That hold had ended already.")
    return redirect("holds", shop=request.merchant.slug)


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The API for people: the document that machines read, laid out; nothing of any shop."""
    document = openapi.document()
    operations = [
        {"method": method.upper(), "path": path, **described}
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    tags = [
        {**tag, "operations": [one for one in operations if tag["name"] in one["tags"]]} for tag in document["tags"]
    ]
    context = {
        "document": document, "tags": tags, "kinds": sorted(KINDS.values(), key=lambda kind: kind.status),
        "scopes": openapi.SCOPES.items(), "topics": Topic.choices, "api_url": f"{settings.PUBLIC_URL}/api/v1",
    }  # fmt: skip
    return render(request, "own/docs.html", context)

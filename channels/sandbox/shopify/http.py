"""The stand-in's doors: the GraphQL endpoint and the token endpoint, with the vendor's answers to bad callers."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from channels.sandbox import faults
from channels.sandbox.shopify import executor, webhooks
from channels.sandbox.shopify.models import App, BulkOperation, Shop, Token, new_token
from channels.sandbox.shopify.resolving import Context

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
REFRESH_LIFE = timedelta(days=90)


def _unauthorized() -> HttpResponse:
    text = "[API] Invalid API key or access token (unrecognized login or wrong password)"
    return JsonResponse({"errors": text}, status=401)


def _rate_limited() -> HttpResponse:
    answer = JsonResponse({"errors": "Exceeded 2 calls per second for api client."}, status=429)
    answer["Retry-After"] = "1.0"
    return answer


def _server_error() -> HttpResponse:
    return JsonResponse({"errors": "Internal Server Error"}, status=500)


@csrf_exempt
def graphql(request: HttpRequest, domain: str, version: str) -> HttpResponse:
    """POST {query, variables, operationName}; 200 carries most errors."""
    shop = Shop.objects.select_related("app").filter(domain=domain).first()
    if shop is None:
        return JsonResponse({"errors": "Not Found"}, status=404)
    if request.method != "POST":
        return HttpResponse(status=405)
    if version != webhooks.VERSION:
        return JsonResponse({"errors": "Not Found"}, status=404)
    if not _is_known(shop, request.headers.get("X-Shopify-Access-Token", "")):
        return _unauthorized()
    try:
        body = json.loads(request.body)
        query, variables = str(body["query"]), body.get("variables") or {}
        if not isinstance(variables, dict):
            raise TypeError(variables)
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"errors": {"query": "Required parameter missing or invalid"}}, status=400)
    base_url = request.build_absolute_uri().split("/admin/api/")[0]
    answer = _misbehaving(shop, query, variables, body.get("operationName"), base_url=base_url)
    answer["X-Shopify-API-Version"] = webhooks.VERSION
    return answer


def _misbehaving(shop: Shop, query: str, variables: dict[str, Any], name: str | None, *, base_url: str) -> HttpResponse:
    """Planned faults are named by the root field, as in “inventorySetQuantities”."""
    root = executor.root_field(query, name)

    def answer(*_: Any) -> HttpResponse:
        context = Context(shop=shop, app=shop.app, now=timezone.now(), base_url=base_url)
        return JsonResponse(executor.run(context=context, query=query, variables=variables, operation_name=name))

    wrapped: Callable[[None], HttpResponse] = faults.misbehaves(
        vendor="shopify", operation=root, rate_limited=_rate_limited, server_error=_server_error
    )(answer)
    return wrapped(None)


def _is_known(shop: Shop, value: str) -> bool:
    if shop.uninstalled_at is not None or not value:
        return False
    now = timezone.now()
    token = shop.tokens.filter(value=value, kind=Token.Kind.ACCESS, revoked_at=None).first()
    if token is None or (token.expires_at is not None and token.expires_at <= now):
        return False
    if token.refresh_id:  # the new pair is in use: the refresh tokens before it end
        older = shop.tokens.filter(kind=Token.Kind.REFRESH, revoked_at=None, pk__lt=token.refresh_id)
        if older.exists():
            older.update(revoked_at=now)
    return True


def bulk_lines(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """The lines of an export; whoever has the address may read them, as at the vendor."""
    row = BulkOperation.objects.filter(shop__domain=domain, url__endswith=f"/bulk/{name}").first()
    if row is None:
        return HttpResponse(status=404)
    return HttpResponse(row.lines, content_type="application/jsonl")


@csrf_exempt
def access_token(request: HttpRequest, domain: str) -> HttpResponse:
    """Client credentials, authorization code, or a refresh token; form-encoded or JSON."""
    app = App.objects.select_related("shop").filter(shop__domain=domain).first()
    if app is None:
        return JsonResponse({"errors": "Not Found"}, status=404)
    given = _fields(request)
    if given.get("client_id") != app.client_id or given.get("client_secret") != app.client_secret:
        return JsonResponse({"error": "invalid_client"}, status=401)
    if app.shop.uninstalled_at is not None:
        return JsonResponse({"error": "app_not_installed"}, status=400)
    if given.get("grant_type") == "client_credentials":
        return JsonResponse(_issue(app.shop, life=DAY, with_refresh=False))
    if given.get("grant_type") == "refresh_token":
        return _refreshed(app.shop, given.get("refresh_token", ""))
    code = given.get("code")
    if code and App.objects.filter(pk=app.pk, pending_code=code).update(pending_code=""):  # a code is good once
        expiring = given.get("expiring") == "1"
        return JsonResponse(_issue(app.shop, life=HOUR if expiring else None, with_refresh=expiring))
    return JsonResponse({"error": "invalid_request"}, status=400)


def _fields(request: HttpRequest) -> dict[str, str]:
    if request.content_type == "application/json":
        try:
            body = json.loads(request.body)
        except ValueError:
            return {}
        return {str(name): str(value) for name, value in body.items()} if isinstance(body, dict) else {}
    return {name: str(request.POST[name]) for name in request.POST}


def _issue(shop: Shop, *, life: timedelta | None, with_refresh: bool) -> dict[str, Any]:
    now = timezone.now()
    refresh = None
    if with_refresh:
        refresh = Token.objects.create(
            shop=shop, kind=Token.Kind.REFRESH, value=new_token("shprt_"), expires_at=now + REFRESH_LIFE
        )
    token = Token.objects.create(shop=shop, expires_at=now + life if life else None, refresh=refresh)
    body: dict[str, Any] = {"access_token": token.value, "scope": ",".join(shop.app.scopes)}
    if life:
        body["expires_in"] = int(life.total_seconds()) - (1 if life == DAY else 0)  # 86399 is what a day's token says
    if refresh:
        body |= {"refresh_token": refresh.value, "refresh_token_expires_in": int(REFRESH_LIFE.total_seconds())}
    return body


@transaction.atomic
def _refreshed(shop: Shop, value: str) -> HttpResponse:
    """Each use rotates the refresh token; the old one stays good until the new pair is first used."""
    now = timezone.now()
    found = Token.objects.select_for_update().filter(
        shop=shop, kind=Token.Kind.REFRESH, value=value, revoked_at=None, expires_at__gt=now
    )
    token = found.first()
    if token is None:
        return JsonResponse({"error": "invalid_grant"}, status=400)
    Token.objects.filter(shop=shop, kind=Token.Kind.REFRESH, pk__lt=token.pk, revoked_at=None).update(revoked_at=now)
    return JsonResponse(_issue(shop, life=HOUR, with_refresh=True))


def authorize(request: HttpRequest, domain: str) -> HttpResponse:
    """The merchant's consent, given at once: back to the app with a code and a signed query."""
    app = App.objects.filter(shop__domain=domain, client_id=request.GET.get("client_id", "")).first()
    target = request.GET.get("redirect_uri", "")
    if app is None or not target:
        return HttpResponse("Unknown app", status=400)
    code = secrets.token_hex(16)
    App.objects.filter(pk=app.pk).update(pending_code=code)
    query = {
        "code": code,
        "shop": domain,
        "state": request.GET.get("state", ""),
        "timestamp": str(int(timezone.now().timestamp())),
    }
    query["hmac"] = _query_signature(query, app.client_secret)
    return HttpResponseRedirect(f"{target}?{urlencode(query)}")


def _query_signature(query: dict[str, str], secret: str) -> str:
    text = "&".join(f"{name}={value}" for name, value in sorted(query.items()))
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()

"""OAuth: consent, code, and a refresh token that is replaced with each use."""

import secrets
from datetime import timedelta
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils import timezone

from channels.sandbox import faults
from channels.sandbox.lightspeed import accounts
from channels.sandbox.lightspeed.http import answer_error, too_many
from channels.sandbox.lightspeed.models import AuthorizationCode, Retailer, Token
from channels.sandbox.lightspeed.values import Json, locked

CODE_LIFE = timedelta(minutes=10)


def connect(request: HttpRequest) -> HttpResponse:
    """The consent page of https://secure.retail.lightspeed.app/connect; here everybody says yes."""
    asked = request.GET
    retailer = Retailer.objects.filter(client_id=asked.get("client_id", "")).first()
    scopes = asked.get("scope", "").split()
    if retailer is None or asked.get("response_type") != "code" or not asked.get("redirect_uri"):
        return answer_error(400, "client_id, response_type=code and redirect_uri are needed.")
    if not scopes:
        return answer_error(400, "scope is needed.")
    code = AuthorizationCode.objects.create(
        retailer=retailer, code=secrets.token_urlsafe(24), scopes=scopes, redirect_uri=asked["redirect_uri"],
        expires_at=timezone.now() + CODE_LIFE,
    )  # fmt: skip
    back = {"code": code.code, "domain_prefix": retailer.domain_prefix, "state": asked.get("state", "")}
    return HttpResponseRedirect(f"{asked['redirect_uri']}?{urlencode(back)}")


@faults.misbehaves(
    vendor="lightspeed",
    operation="token",
    rate_limited=lambda: too_many(timezone.now() + timedelta(seconds=1)),
    server_error=lambda: answer_error(500, "Something went wrong."),
)
def token(request: HttpRequest, *, prefix: str) -> HttpResponse:
    """Form-encoded. A refused grant is 400 with OAuth's own words."""
    form = request.POST
    retailer = Retailer.objects.filter(pk=prefix, client_id=form.get("client_id", "")).first()
    if retailer is None or not secrets.compare_digest(
        form.get("client_secret", "").encode(), retailer.client_secret.encode()
    ):
        return JsonResponse({"error": "invalid_client"}, status=401)
    with transaction.atomic():
        locked(retailer)
        scopes = _scopes(retailer, form.dict())
        if scopes is None:
            return JsonResponse({"error": "invalid_grant"}, status=400)
        now = timezone.now()
        access, refresh = accounts.issue(retailer=retailer, scopes=scopes, now=now)
    reply: Json = {
        "access_token": access.value,
        "token_type": "Bearer",
        "expires": int((now + accounts.ACCESS_LIFE).timestamp()),
        "expires_in": int(accounts.ACCESS_LIFE.total_seconds()),
        "refresh_token": refresh.value,
        "domain_prefix": retailer.domain_prefix,
        "scope": " ".join(scopes),
    }
    return JsonResponse(reply)


def _scopes(retailer: Retailer, form: Json) -> list[str] | None:
    """What the grant allows; None where it is refused."""
    now = timezone.now()
    if form.get("grant_type") == "refresh_token":
        row = Token.objects.filter(
            retailer=retailer, kind=Token.Kind.REFRESH, value=form.get("refresh_token", ""), ended_at=None
        ).first()
        return None if row is None else list(row.scopes)
    if form.get("grant_type") == "authorization_code":
        code = AuthorizationCode.objects.filter(
            retailer=retailer, code=form.get("code", ""), used_at=None, expires_at__gt=now,
            redirect_uri=form.get("redirect_uri", ""),
        ).first()  # fmt: skip
        if code is not None:
            code.used_at = now
            code.save(update_fields=["used_at"])
            return list(code.scopes)
    return None

"""OAuth: consent, code, and a refresh token that is replaced with each use."""

import json
import secrets
from datetime import timedelta
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from channels.sandbox import faults
from channels.sandbox.rseries import accounts, stock
from channels.sandbox.rseries.http import Json, answer_error, too_many
from channels.sandbox.rseries.models import Account, AuthorizationCode, Employee, Token

CODE_LIFE = timedelta(seconds=60)


def authorize(request: HttpRequest) -> HttpResponse:
    """The owner's consent, given at once; back to the app with a code."""
    asked = request.GET
    account = Account.objects.filter(client_id=asked.get("client_id", "")).first()
    if account is None or asked.get("response_type") != "code" or not asked.get("scope"):
        return answer_error(400, "client_id, response_type=code and scope are needed.")
    code = AuthorizationCode.objects.create(
        account=account, code=secrets.token_urlsafe(24), expires_at=timezone.now() + CODE_LIFE
    )
    back = {"code": code.code, "state": asked.get("state", "")}
    return HttpResponseRedirect(f"{asked.get('redirect_uri', '/')}?{urlencode(back)}")


@csrf_exempt
@require_POST
@faults.misbehaves(
    vendor="rseries",
    operation="token",
    rate_limited=lambda: too_many(1),
    server_error=lambda: answer_error(500, "An unknown error occurred."),
)
def token(request: HttpRequest) -> HttpResponse:
    """A form or JSON. A refused grant is 400 with OAuth's own words."""
    try:
        given = json.loads(request.body) if request.content_type == "application/json" else request.POST.dict()
    except ValueError:
        return JsonResponse({"error": "invalid_request"}, status=400)
    account = Account.objects.filter(client_id=given.get("client_id", "")).first()
    if account is None or not secrets.compare_digest(
        str(given.get("client_secret", "")).encode(), account.client_secret.encode()
    ):
        return JsonResponse({"error": "invalid_client"}, status=401)
    with transaction.atomic():
        stock.locked(account)
        granted = _granted(account, given)
        if granted is None:
            return JsonResponse({"error": "invalid_grant"}, status=400)
        employee, spent = granted
        access, refresh = accounts.issue(account=account, employee=employee, now=timezone.now(), replaces=spent)
    reply: Json = {
        "token_type": "Bearer", "expires_in": int(accounts.ACCESS_LIFE.total_seconds()),
        "access_token": access.value, "refresh_token": refresh.value,
    }  # fmt: skip
    return JsonResponse(reply)


def _granted(account: Account, given: Json) -> tuple[Employee, Token | None] | None:
    """Whose name the new tokens bear and what was spent on them; None where the grant is refused."""
    if given.get("grant_type") == "refresh_token":
        living = Token.objects.filter(account=account, kind=Token.Kind.REFRESH, ended_at=None)
        row = living.filter(value=given.get("refresh_token", "")).select_related("employee").first()
        return None if row is None else (row.employee, row)
    if given.get("grant_type") == "authorization_code":
        codes = AuthorizationCode.objects.filter(account=account, code=given.get("code", ""), used_at=None)
        if codes.filter(expires_at__gt=timezone.now()).update(used_at=timezone.now()):
            return account.employees.order_by("pk").last() or account.employees.get(), None
    return None

"""OAuth: consent, token, refresh, revoke, status. A visit to the consent page counts as the seller's yes."""

import base64
import hashlib
import secrets
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from channels.sandbox import faults
from channels.sandbox.square import accounts, errors
from channels.sandbox.square.errors import SquareError, missing
from channels.sandbox.square.http import Call, answer, answer_error, endpoint, read_body
from channels.sandbox.square.models import AccessToken, Account, AuthorizationCode, RefreshToken
from channels.sandbox.square.values import Json, stamp

CODE_LIFE = timedelta(minutes=5)


def authorize(request: HttpRequest) -> HttpResponse:
    """Send the browser back with a code, as after the seller's consent."""
    account = Account.objects.filter(application_id=request.GET.get("client_id", "")).first()
    if account is None:
        return answer_error(errors.not_found("No application has this client_id.", "client_id"))
    redirect_uri = request.GET.get("redirect_uri") or account.redirect_url
    if not redirect_uri:
        return answer_error(missing("redirect_uri"))
    asked = request.GET.get("scope", "MERCHANT_PROFILE_READ").split()
    code = AuthorizationCode.objects.create(
        account=account,
        code="sq0cgb-" + secrets.token_urlsafe(24),
        scopes=[scope for scope in asked if scope in accounts.SCOPES],
        redirect_uri=request.GET.get("redirect_uri", ""),
        code_challenge=request.GET.get("code_challenge", ""),
        expires_at=timezone.now() + CODE_LIFE,
    )
    answer_query = {"code": code.code, "response_type": "code"}
    if "state" in request.GET:
        answer_query["state"] = request.GET["state"]
    glue = "&" if "?" in redirect_uri else "?"
    return HttpResponseRedirect(f"{redirect_uri}{glue}{urlencode(answer_query)}")


def refuse(detail: str) -> SquareError:
    return SquareError(code="UNAUTHORIZED", detail=detail, status=401, category=errors.AUTHENTICATION)


def answer_refusal(error: SquareError) -> HttpResponse:
    """These addresses answer with the older `message` and `type` beside `errors`."""
    body = error.body | {"message": error.error["detail"], "type": f"service.{error.error['code'].lower()}"}
    return answer(body, status=error.status)


@faults.misbehaves(
    vendor="square",
    operation="o_auth.obtain_token",
    rate_limited=lambda: answer_error(errors.rate_limited()),
    server_error=lambda: answer_error(errors.server_error()),
)
def obtain_token(request: HttpRequest) -> HttpResponse:
    try:
        with transaction.atomic():
            return answer(grant(body=read_body(request), now=timezone.now()))
    except SquareError as error:
        return answer_refusal(error)


def grant(*, body: Json, now: datetime) -> Json:
    """Tokens for a code or a refresh token. Raises SquareError."""
    account = Account.objects.filter(application_id=body.get("client_id") or "").first()
    if account is None:
        raise refuse("Not Authorized")
    kind = body.get("grant_type")
    if kind == "authorization_code":
        return grant_for_code(account=account, body=body, now=now)
    if kind == "refresh_token":
        return grant_for_refresh(account=account, body=body, now=now)
    detail = "`grant_type` must be authorization_code or refresh_token."
    raise SquareError(code="BAD_REQUEST", detail=detail, field="grant_type")


def grant_for_code(*, account: Account, body: Json, now: datetime) -> Json:
    code = (
        AuthorizationCode.objects.select_for_update()
        .filter(account=account, code=body.get("code") or "", used_at=None, expires_at__gt=now)
        .first()
    )
    if code is None:
        raise refuse("Authorization code not found or already used.")
    if code.code_challenge:
        check_verifier(challenge=code.code_challenge, verifier=str(body.get("code_verifier") or ""))
    else:
        check_secret(account=account, body=body)
    if code.redirect_uri and body.get("redirect_uri") != code.redirect_uri:
        raise refuse("`redirect_uri` is not the one that was authorized.")
    code.used_at = now
    code.save(update_fields=["used_at"])
    access, refresh = accounts.issue_tokens(
        account=account,
        scopes=code.scopes,
        now=now,
        is_short_lived=bool(body.get("short_lived")),
        is_pkce=bool(code.code_challenge),
    )
    return print_tokens(access=access, refresh=refresh, body=body)


def grant_for_refresh(*, account: Account, body: Json, now: datetime) -> Json:
    """Code flow: the same refresh token again. PKCE: the old one is spent and a new one given."""
    refresh = (
        RefreshToken.objects.select_for_update()
        .filter(account=account, token=body.get("refresh_token") or "", revoked_at=None, used_at=None)
        .first()
    )
    if refresh is None or (refresh.expires_at is not None and refresh.expires_at <= now):
        raise refuse("Refresh token not found, expired or revoked.")
    asked = body.get("scopes") or refresh.scopes
    scopes = [scope for scope in refresh.scopes if scope in asked]
    is_short = bool(body.get("short_lived"))
    if not refresh.is_single_use:
        check_secret(account=account, body=body)
        access = accounts.issue_access(account=account, scopes=scopes, now=now, is_short_lived=is_short)
        return print_tokens(access=access, refresh=refresh, body=body)
    refresh.used_at = now
    refresh.save(update_fields=["used_at"])
    access, fresh = accounts.issue_tokens(
        account=account, scopes=scopes, now=now, is_short_lived=is_short, is_pkce=True
    )
    return print_tokens(access=access, refresh=fresh, body=body)


def check_secret(*, account: Account, body: Json) -> None:
    if not secrets.compare_digest(str(body.get("client_secret") or "").encode(), account.client_secret.encode()):
        raise refuse("Not Authorized")


def check_verifier(*, challenge: str, verifier: str) -> None:
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    if not secrets.compare_digest(digest, challenge.rstrip("=").encode()):
        raise refuse("`code_verifier` does not match the code challenge.")


def print_tokens(*, access: AccessToken, refresh: RefreshToken, body: Json) -> Json:
    assert access.expires_at is not None  # noqa: S101 - OAuth tokens are always given an end
    reply: Json = {
        "access_token": access.token,
        "token_type": "bearer",
        "expires_at": stamp(access.expires_at),
        "merchant_id": access.account_id,
        "refresh_token": refresh.token,
        "short_lived": bool(body.get("short_lived")),
    }
    if refresh.expires_at is not None:
        reply["refresh_token_expires_at"] = stamp(refresh.expires_at)
    return reply


@faults.misbehaves(
    vendor="square",
    operation="o_auth.revoke_token",
    rate_limited=lambda: answer_error(errors.rate_limited()),
    server_error=lambda: answer_error(errors.server_error()),
)
def revoke_token(request: HttpRequest) -> HttpResponse:
    """Authorised by the application's secret: `Authorization: Client <secret>`."""
    try:
        body = read_body(request)
        kind, _, secret = request.headers.get("Authorization", "").partition(" ")
        account = Account.objects.filter(application_id=body.get("client_id") or "", client_secret=secret).first()
        if kind.lower() != "client" or account is None:
            raise refuse("Not Authorized")
        token = AccessToken.objects.filter(account=account, token=body.get("access_token") or "").first()
        if token is None and body.get("merchant_id") != account.merchant_id:
            raise errors.not_found("No such token or merchant for this application.")
    except SquareError as error:
        return answer_refusal(error)
    accounts.revoke(account=account, revoker="APPLICATION", only_access=bool(body.get("revoke_only_access_token")))
    return answer({"success": True})


@endpoint(operation="o_auth.retrieve_token_status")
def token_status(*, call: Call) -> Json:
    reply: Json = {
        "scopes": call.token.scopes,
        "client_id": call.account.application_id,
        "merchant_id": call.account.merchant_id,
    }
    if call.token.expires_at is not None:
        reply["expires_at"] = stamp(call.token.expires_at)
    return reply

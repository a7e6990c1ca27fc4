"""From an HTTP request to a handler and back: token, scopes, version header, JSON, errors, planned faults."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from channels.sandbox import faults
from channels.sandbox.square import errors, shapes
from channels.sandbox.square.errors import SquareError
from channels.sandbox.square.models import AccessToken, Account
from channels.sandbox.square.values import Json, now_ms

log = logging.getLogger(__name__)

# The stand-in speaks the inventory contract that began on 2026-07-15 and nothing older.
OLDEST_VERSION, NEWEST_VERSION = "2026-07-15", "2026-09-16"

Handler = Callable[..., Json]
View = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Call:
    """One authorised request: who asks, with what, and when."""

    account: Account
    token: AccessToken
    body: Json
    query: QueryDict
    version: str
    now: datetime


def endpoint(
    *, operation: str, scopes: tuple[str, ...] = (), takes: shapes.Kinds | None = None
) -> Callable[[Handler], View]:
    """Make a view of a handler `(*, call, **ids) -> body`.

    The handler runs in one transaction; a SquareError undoes it and becomes the answer. `operation` is the
    name that planned faults aim at: the official SDK's, as in `inventory.batch_create_changes`. `takes`: the
    kinds of the body's fields.
    """

    def decorate(handler: Handler) -> View:
        @faults.misbehaves(
            vendor="square",
            operation=operation,
            rate_limited=lambda: answer_error(errors.rate_limited()),
            server_error=lambda: answer_error(errors.server_error()),
        )
        def view(request: HttpRequest, **ids: str) -> HttpResponse:
            version = NEWEST_VERSION
            try:
                version = read_version(request)
                token = authorize(request, scopes=scopes)
                call = Call(
                    account=token.account,
                    token=token,
                    body=read_body(request),
                    query=request.GET,
                    version=version,
                    now=now_ms(),
                )
                shapes.check(call.body, takes or {})
                with transaction.atomic():
                    body = handler(call=call, **ids)
            except SquareError as error:
                return answer_error(error, version=version)
            except Exception:
                log.exception("the Square stand-in failed in %s", operation)
                return answer_error(errors.server_error(), version=version)
            return answer(body, version=version)

        return view

    return decorate


def methods(**views: View) -> View:
    """One address, one view a method; any other method is refused in Square's words."""

    @csrf_exempt
    def dispatch(request: HttpRequest, **ids: str) -> HttpResponse:
        view = views.get(request.method or "")
        if view is None:
            detail = f"HTTP method {request.method} is not supported at this address."
            return answer_error(SquareError(code="METHOD_NOT_ALLOWED", detail=detail, status=405))
        return view(request, **ids)

    return dispatch


@csrf_exempt
def unknown_path(request: HttpRequest, **_ids: str) -> HttpResponse:
    return answer_error(errors.not_found("Resource not found."))


def answer(body: Json, *, status: int = 200, version: str = NEWEST_VERSION) -> HttpResponse:
    response = HttpResponse(json.dumps(body, separators=(",", ":")), content_type="application/json", status=status)
    response["Square-Version"] = version
    return response


def answer_error(error: SquareError, *, version: str = NEWEST_VERSION) -> HttpResponse:
    return answer(error.body, status=error.status, version=version)


def read_version(request: HttpRequest) -> str:
    """The `Square-Version` asked for; without one the newest, as an application would set in its console."""
    asked = request.headers.get("Square-Version", NEWEST_VERSION)
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", asked):
        raise SquareError(code="INVALID_SQUARE_VERSION_FORMAT", detail=f"`{asked}` is not of the form YYYY-MM-DD.")
    if not OLDEST_VERSION <= asked <= NEWEST_VERSION:
        detail = f"Square-Version {asked} is not served; {OLDEST_VERSION} to {NEWEST_VERSION} are."
        raise SquareError(code="API_VERSION_INCOMPATIBLE", detail=detail)
    return asked


def authorize(request: HttpRequest, *, scopes: tuple[str, ...]) -> AccessToken:
    """The bearer's token row. Raises SquareError: 401, or 403 where the seller did not grant a scope."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    token = AccessToken.objects.select_related("account").filter(token=secret).first()
    if kind.lower() != "bearer" or token is None:
        raise errors.unauthorized()
    if token.revoked_at is not None:
        raise errors.unauthorized("ACCESS_TOKEN_REVOKED")
    if token.expires_at is not None and token.expires_at <= timezone.now():
        raise errors.unauthorized("ACCESS_TOKEN_EXPIRED")
    lacking = tuple(scope for scope in scopes if scope not in token.scopes)
    if lacking:
        raise errors.insufficient_scopes(lacking)
    return token


def refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_body(request: HttpRequest) -> Json:
    """The JSON object sent; {} without a body."""
    if not request.body:
        return {}
    try:
        body = json.loads(request.body, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        detail = "The request body could not be decoded as JSON."
        raise SquareError(code="EXPECTED_JSON_BODY", detail=detail) from error
    if not isinstance(body, dict):
        raise SquareError(code="EXPECTED_OBJECT", detail="The request body must be a JSON object.")
    if rb"\u0000" in request.body:
        raise SquareError(code="INVALID_VALUE", detail="Text must not contain the character NUL.")
    return body

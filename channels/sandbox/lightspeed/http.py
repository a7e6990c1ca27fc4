"""From an HTTP request to a handler and back: token, scopes, rate limit, JSON, errors, planned faults."""

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from channels.sandbox import faults
from channels.sandbox.lightspeed.errors import WORDS, LightspeedError
from channels.sandbox.lightspeed.models import Register, Retailer, Token
from channels.sandbox.lightspeed.values import Json

log = logging.getLogger(__name__)

WINDOW = timedelta(minutes=5)
LIMIT = (300, 50)  # requests a window: so many a register, and so many more
PAGE = 200
REST_S = 2  # how long a planned 429 asks to wait

Handler = Callable[..., Any]
View = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Call:
    """One authorised request."""

    retailer: Retailer
    token: Token
    body: Any
    query: QueryDict
    now: datetime


def endpoint(*, operation: str, scope: str = "", status: int = 200) -> Callable[[Handler], View]:
    """Make a view of a handler `(*, call, **ids) -> body`, which runs in one transaction.

    `operation` is the name that planned faults aim at: as the vendor's reference names it, in our spelling.
    """

    def decorate(handler: Handler) -> View:
        @faults.misbehaves(
            vendor="lightspeed",
            operation=operation,
            rate_limited=lambda: too_many(timezone.now() + timedelta(seconds=REST_S)),
            server_error=lambda: answer_error(500, "Something went wrong."),
        )
        def view(request: HttpRequest, *, prefix: str, version: str = "", **ids: Any) -> HttpResponse:
            try:
                token = authorize(request, prefix=prefix, scope=scope)
                left, limit, ends_at = count_call(token)
                if left < 0:
                    return too_many(ends_at)
                call = Call(token.retailer, token, read_body(request), request.GET, timezone.now())
                with transaction.atomic():
                    body = handler(call=call, **ids)
            except LightspeedError as error:
                return answer_error(error.status, error.message)
            except Exception:
                log.exception("the Lightspeed stand-in failed in %s", operation)
                return answer_error(500, "Something went wrong.")
            reply = JsonResponse(body, safe=False, status=status)
            reply["X-RateLimit-Limit"], reply["X-RateLimit-Remaining"] = str(limit), str(left)
            return reply

        return view

    return decorate


def methods(**views: View) -> View:
    """One address, one view a method."""

    @csrf_exempt
    def dispatch(request: HttpRequest, **ids: Any) -> HttpResponse:
        view = views.get(request.method or "")
        return view(request, **ids) if view else answer_error(405, "No such method here.")

    return dispatch


@csrf_exempt
def unknown_path(request: HttpRequest, **_: Any) -> HttpResponse:
    """Every other address."""
    return answer_error(404, "No such address.")


def authorize(request: HttpRequest, *, prefix: str, scope: str) -> Token:
    """The token of the request. Raises LightspeedError: 400 without a User-Agent, 401, 403."""
    if not request.headers.get("User-Agent"):
        raise LightspeedError(400, "A User-Agent is required.")
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    found = Token.objects.filter(retailer=prefix, value=value, ended_at=None).exclude(kind=Token.Kind.REFRESH)
    token = found.select_related("retailer").first() if kind == "Bearer" else None
    if token is None or (token.expires_at is not None and token.expires_at <= timezone.now()):
        raise LightspeedError(401, "The access token is not valid.")
    if scope and token.kind == Token.Kind.ACCESS and scope not in token.scopes:
        raise LightspeedError(403, f"The token lacks the scope {scope}.")
    return token


_COUNT = """
INSERT INTO sandbox_lightspeed_callwindow AS w (retailer_id, app, started_at, used)
VALUES (%(retailer)s, %(app)s, %(now)s, 1)
ON CONFLICT (retailer_id, app) DO UPDATE SET
    used = CASE WHEN w.started_at < %(since)s THEN 1 ELSE w.used + 1 END,
    started_at = CASE WHEN w.started_at < %(since)s THEN %(now)s ELSE w.started_at END
RETURNING used, started_at
"""


def count_call(token: Token) -> tuple[int, int, datetime]:
    """Requests left in this window (below 0: none), how many there are in all, and when the window ends."""
    per_register, more = faults.switch("lightspeed.limit", list(LIMIT))
    limit = per_register * Register.objects.filter(retailer=token.retailer_id, deleted_at=None).count() + more
    now = timezone.now()
    values: dict[str, Any] = {"retailer": token.retailer_id, "app": token.kind, "now": now, "since": now - WINDOW}
    with database.cursor() as cursor:
        cursor.execute(_COUNT, values)
        used, started_at = cursor.fetchone()
    return limit - used, limit, started_at + WINDOW


def read_body(request: HttpRequest) -> Any:
    """JSON; {} without a body. Raises LightspeedError (400)."""
    if not request.body:
        return {}
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise LightspeedError(400, "The body is not JSON.") from error


def answer_error(status: int, message: str) -> HttpResponse:
    """The vendor's shape of a refusal."""
    return JsonResponse({"error": WORDS.get(status, "Error"), "message": message}, status=status)


def too_many(until: datetime) -> HttpResponse:
    """429; `Retry-After` is a date, rounded up to the second."""
    reply = answer_error(429, "Too many requests.")
    reply["Retry-After"] = format_datetime(until.replace(microsecond=0) + timedelta(seconds=1), usegmt=True)
    return reply


def number_of(call: Call, name: str, default: int) -> int:
    """A whole number of the query. Raises LightspeedError (400)."""
    try:
        return int(call.query.get(name, default))
    except ValueError as error:
        raise LightspeedError(400, f"{name} is not a number.") from error


def page(call: Call, rows: QuerySet[Any], printed: Callable[[Any], Json], *, size_max: int = 1000) -> Json:
    """One page of a feed: rows after a version, in the order of their versions. Deleted rows only where asked for."""
    rows = rows.filter(retailer=call.retailer, version__gt=number_of(call, "after", 0))
    if "before" in call.query:
        rows = rows.filter(version__lt=number_of(call, "before", 0))
    if call.query.get("deleted") != "true" and call.query.get("include_deleted") != "true":
        rows = rows.filter(deleted_at=None)
    size = min(max(1, number_of(call, "page_size", PAGE)), size_max)
    found = list(rows.order_by("version")[:size])
    ends = {"min": found[0].version, "max": found[-1].version} if found else {"min": None, "max": None}
    return {"data": [printed(row) for row in found], "version": ends}


def find(call: Call, model: type[Model], pk: object, *, status: int = 404) -> Any:
    """A row of this retailer. Raises LightspeedError, also for what is no id at all."""
    rows: Any = model._default_manager
    try:
        found = rows.filter(retailer=call.retailer, pk=uuid.UUID(str(pk))).first()
    except ValueError:
        found = None
    if found is None:
        raise LightspeedError(status, f"There is no {model.__name__.lower()} {pk}.")
    return found


def fields(value: object, *, what: str) -> Json:
    """An object of the body. Raises LightspeedError (422)."""
    if not isinstance(value, dict):
        raise LightspeedError(422, f"{what} is not an object.")
    return value


def items(value: object, *, what: str) -> list[Json]:
    """A list of objects of the body. Raises LightspeedError (422)."""
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise LightspeedError(422, f"{what} is not a list of objects.")
    return value

"""From an HTTP request to a handler and back: token, leaky bucket, JSON, errors, planned faults."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.utils import timezone
from django.utils.http import http_date
from django.views.decorators.csrf import csrf_exempt

from channels.sandbox import faults
from channels.sandbox.rseries.errors import RSeriesError
from channels.sandbox.rseries.models import Account, Bucket, Employee, Token

log = logging.getLogger(__name__)

BUCKET = (90, 10, 1.0, 0.5)  # size, more of it a further register, drips a second, more of them a further register
OWNERS_BUCKET = (10_000, 0, 1_000.0, 0.0)  # clients have buckets of their own; the owner's is not what is tried here
REST_S = 2  # how long a planned 429 asks to wait
TO_MANY = {"ItemShops", "SaleLines", "InventorySales", "SaleLines.InventorySales"}

Handler = Callable[..., Any]
View = Callable[..., HttpResponse]
Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """One authorised request. `url` is its address without the query."""

    account: Account
    employee: Employee
    body: Any
    query: QueryDict
    now: datetime
    url: str

    @property
    def relations(self) -> list[str]:
        """What is to be loaded besides."""
        return read_relations(self.query)


def endpoint(*, operation: str, cost: float = 1.0) -> Callable[[Handler], View]:
    """Make a view of a handler `(*, call, **ids) -> body`, which runs in one transaction.

    `operation` is the name that planned faults aim at; `cost` the drips of a call without relations.
    """

    def decorate(handler: Handler) -> View:
        @faults.misbehaves(
            vendor="rseries",
            operation=operation,
            rate_limited=lambda: too_many(REST_S),
            server_error=lambda: answer_error(500, "An unknown error occurred."),
        )
        def view(request: HttpRequest, **ids: Any) -> HttpResponse:
            try:
                token = authorize(request, ids.pop("account_id", None))
                body = read_body(request)
                drips = cost + relations_cost(request) + 0.5 * nested(body)
                level, size, rate = fill(token, drips=drips)
                if level > size:
                    return told(too_many(ceil((level - size) / rate) or 1), level, size, rate, drips)
                now = timezone.now().replace(microsecond=0)  # its clock counts seconds
                call = Call(token.account, token.employee, body, request.GET, now, request.build_absolute_uri("?")[:-1])
                with transaction.atomic():
                    answer = handler(call=call, **ids)
            except RSeriesError as error:
                return answer_error(error.status, error.message)
            except Exception:
                log.exception("the R-Series stand-in failed in %s", operation)
                return answer_error(500, "An unknown error occurred.")
            return told(JsonResponse(answer), level + drips, size, rate, drips)

        return view

    return decorate


def told(reply: HttpResponse, level: float, size: float, rate: float, cost: float) -> HttpResponse:
    """How full the bucket is, in the vendor's headers."""
    reply["X-LS-Api-Bucket-Level"] = f"{level:g}/{size:g}"
    reply["X-LS-Api-Drip-Rate"] = f"{rate:g}"
    reply["X-LS-Api-Request-Cost"] = f"{cost:g}"
    reply["Date"] = http_date(timezone.now().timestamp())
    return reply


def methods(**views: View) -> View:
    """One address, one view a method."""

    @csrf_exempt
    def dispatch(request: HttpRequest, **ids: Any) -> HttpResponse:
        view = views.get(request.method or "")
        return view(request, **ids) if view else answer_error(405, "Method not allowed.")

    return dispatch


@csrf_exempt
def unknown_path(request: HttpRequest, **_: Any) -> HttpResponse:
    """Every other address."""
    return answer_error(404, "No such endpoint.")


def authorize(request: HttpRequest, account_id: str | None) -> Token:
    """The token of the request. Raises RSeriesError: 401, or 403 for another account's.

    With the first use of a new access token the pair that was spent on it ends.
    """
    kind, _, value = request.headers.get("Authorization", "").partition(" ")
    found = Token.objects.filter(value=value, ended_at=None).exclude(kind=Token.Kind.REFRESH)
    token = found.select_related("account", "employee").first() if kind == "Bearer" else None
    if token is None or (token.expires_at is not None and token.expires_at <= timezone.now()):
        raise RSeriesError(401, "Access token could not be verified")
    if account_id is not None and str(token.account_id) != account_id:
        raise RSeriesError(403, "This token is for another account.")
    if token.replaces_id is not None:
        older = Token.objects.filter(account=token.account_id, pk__lte=token.replaces_id, ended_at=None)
        older.exclude(kind=Token.Kind.OWNER).update(ended_at=timezone.now())
    return token


@transaction.atomic
def fill(token: Token, *, drips: float) -> tuple[float, float, float]:
    """The level before this call, the size and the drip rate. The first call over the edge is let in; one into a bucket
    that is over its size adds nothing."""
    limits = OWNERS_BUCKET if token.kind == Token.Kind.OWNER else faults.switch("rseries.bucket", list(BUCKET))
    size, size_more, rate, rate_more = limits
    further, now = token.account.registers - 1, timezone.now()
    size, rate = size + further * size_more, rate + further * rate_more
    own = {"account": token.account, "client": token.kind}
    Bucket.objects.get_or_create(**own, defaults={"measured_at": now})
    bucket = Bucket.objects.select_for_update().get(**own)
    level = max(0.0, bucket.level - rate * (now - bucket.measured_at).total_seconds())
    bucket.level, bucket.measured_at = level if level > size else level + drips, now
    bucket.save()
    return level, size, rate


def read_relations(query: QueryDict) -> list[str]:
    """`load_relations`, a JSON array. Raises RSeriesError (400)."""
    try:
        found = json.loads(query.get("load_relations", "[]"))
    except ValueError as error:
        raise RSeriesError(400, "load_relations is not a JSON array.") from error
    return [str(one) for one in found] if isinstance(found, list) else []


def relations_cost(request: HttpRequest) -> float:
    """0.1 drips for one related row, 0.2 for many; twice as much in a list."""
    is_list = request.method == "GET" and not request.path.rpartition("/")[2].removesuffix(".json").isdigit()
    each = (0.2 if one in TO_MANY else 0.1 for one in read_relations(request.GET))
    return sum(each) * (2 if is_list else 1)


def nested(body: Any) -> int:
    """Related rows in a body."""
    if not isinstance(body, dict):
        return 0
    below = [row for value in body.values() if isinstance(value, dict) for row in rows_of(value)]
    return len(below) + sum(nested(row) for row in below)


def rows_of(relation: Json) -> list[Json]:
    """`{"ItemShop": [{…}]}`, or one object where the list would have one. Anything else is no relation."""
    found: list[Json] = []
    for value in relation.values():
        rows = value if isinstance(value, list) else [value]
        found += [row for row in rows if isinstance(row, dict)]
    return found


def read_body(request: HttpRequest) -> Any:
    """JSON; {} without a body. Raises RSeriesError (400)."""
    if not request.body:
        return {}
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise RSeriesError(400, "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise RSeriesError(400, "The body is not an object.")
    return body


def answer_error(status: int, message: str) -> HttpResponse:
    """The vendor's shape of a refusal: everything is text."""
    return JsonResponse(
        {"httpCode": str(status), "httpMessage": "Error", "message": message, "errorClass": "Exception"}, status=status
    )


def too_many(wait_s: int) -> HttpResponse:
    """429; `Retry-After` in seconds."""
    reply = answer_error(429, "Rate limit exceeded.")
    reply["Retry-After"] = str(wait_s)
    reply["X-LS-API-RateLimit-Type"] = "api-leaky-bucket"
    return reply


def whole(value: object, *, field: str) -> int:
    """A whole number, also as text. Raises RSeriesError (400)."""
    try:
        return int(str(value))
    except ValueError as error:
        raise RSeriesError(400, f"{field} is not a whole number: {value}") from error


def is_true(value: object) -> bool:
    """Truth as text or as it is."""
    return str(value).lower() in ("true", "1")

"""The door of the API: finds the operation, lets in who may, checks what came, and answers in JSON whatever happens.

Order of the checks: address, method, token, rate, scope, then what was sent; nothing of a request without a valid token
is read. It needs no session, cookie or CSRF token: a request without a token does nothing, and browsers send none.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db.utils import OperationalError
from django.http import HttpRequest, HttpResponse, RawPostDataException, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from channels.connectors.own.connector import as_number
from channels.own import budget, holds, orders, site, tokens
from channels.own.api import openapi
from channels.own.api.calls import Call, Json, Operation, Parameter, Reply
from channels.own.api.operations import OPERATIONS
from channels.own.api.problems import MEDIA_TYPE, Problem
from channels.own.tokens import Caller
from inventory import ledger, reservations

log = logging.getLogger(__name__)

BODY_MAX = 256 * 1024
DOCUMENT = "/openapi.json"
BEARER = re.compile(r"Bearer +(sst_[A-Za-z0-9_-]{20,100}) *", re.IGNORECASE)


@dataclass(frozen=True)
class _Route:
    pattern: re.Pattern[str]
    by_method: Mapping[str, Operation]


def _routes() -> list[_Route]:
    found: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        found.setdefault(operation.path, {})[operation.method] = operation
    # The paths are ours: letters, slashes and names in braces.
    return [_Route(re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), methods) for path, methods in found.items()]


ROUTES = _routes()


@csrf_exempt
def api(request: HttpRequest, path: str) -> HttpResponse:
    """Answer one request below /api/v1. Never raises."""
    headers: dict[str, str] = {}
    try:
        reply = _answer(request, path, headers)
        response = _json(reply.document, reply.status)
        headers |= reply.headers
    except Problem as problem:
        response = _json(problem.document(), problem.kind.status, MEDIA_TYPE)
        headers |= problem.headers
    except (OperationalError, PoolTimeout) as error:  # a lock that was not to be had in time, a database that restarts
        log.warning("api: %s", error)
        response = _json(Problem("busy", "Nothing was changed. Try again in a second.").document(), 503, MEDIA_TYPE)
        headers["Retry-After"] = "1"
    except Exception:  # the boundary: a fault of ours is answered in the API's own words, and logged
        log.exception("api: %s %s", request.method, path)
        response = _json(Problem("internal", "Nothing was changed. We have been told.").document(), 500, MEDIA_TYPE)
    for name, value in headers.items():
        response[name] = value
    response["Cache-Control"] = "no-store"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _json(document: Json, status: int, media_type: str = "application/json") -> HttpResponse:
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
    return HttpResponse(body, status=status, content_type=media_type)


def _answer(request: HttpRequest, path: str, headers: dict[str, str]) -> Reply:
    method = "GET" if request.method == "HEAD" else request.method or ""
    if path == DOCUMENT:
        if method != "GET":
            raise _other_method(["GET"])
        return Reply(openapi.document())
    operation, found = _find(path, method)
    caller = _caller(request)
    _spend(caller, headers)
    if operation.scope not in caller.scopes:
        raise Problem("forbidden", f"The token lacks the scope {operation.scope.value}.")
    errors: list[Json] = []
    values = _values(operation, request, found, errors)
    body = _body(operation, request, errors)
    if errors:
        raise Problem("invalid", "Nothing was changed: see `errors`.", errors=errors)
    return _handle(operation, Call(caller, timezone.now(), values, body))


def _find(path: str, method: str) -> tuple[Operation, Mapping[str, str]]:
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is None:
            continue
        if method not in route.by_method:
            raise _other_method(route.by_method)
        return route.by_method[method], match.groupdict()
    raise Problem("not-found", "There is no such address. /api/docs lists them.")


def _other_method(methods: Iterable[str]) -> Problem:
    allowed = [*methods, *(["HEAD"] if "GET" in methods else [])]
    return Problem("method-not-allowed", f"It takes {', '.join(allowed)}.", headers={"Allow": ", ".join(allowed)})


def _caller(request: HttpRequest) -> Caller:
    match = BEARER.fullmatch(request.headers.get("Authorization", ""))
    caller = tokens.who(match[1]) if match else None
    if caller is None:
        raise Problem(
            "unauthorized", "Send a token that is in use.", headers={"WWW-Authenticate": 'Bearer realm="StoreStudio"'}
        )
    return caller


def _spend(caller: Caller, headers: dict[str, str]) -> None:
    left = budget.take(token_id=caller.token_id, limit=caller.requests_per_minute)
    headers["RateLimit-Policy"] = f'"default";q={left.limit};w={budget.WINDOW_S}'
    headers["RateLimit"] = f'"default";r={left.remaining};t={left.reset_s}'
    if not left.is_allowed:
        raise Problem(
            "rate-limited", f"{left.limit} requests a minute are used up.", headers={"Retry-After": str(left.reset_s)}
        )


def _values(operation: Operation, request: HttpRequest, found: Mapping[str, str], errors: list[Json]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    query = request.GET
    known = {one.name for one in operation.parameters if one.place == "query"}
    errors += [{"at": f"query {name}", "message": "not known"} for name in query if name not in known]
    for one in operation.parameters:
        if one.place == "path":
            try:
                values[one.name] = one.read(found[one.name])
            except ValueError:
                raise Problem("not-found", f"{one.name} is {found[one.name][:80]!r}: there is none such.") from None
            continue
        given = query.getlist(one.name) if one.place == "query" else [request.headers.get(one.name)]
        _read(one, [text for text in given if text is not None], values, errors)
    return values


def _read(one: Parameter, given: list[str], values: dict[str, Any], errors: list[Json]) -> None:
    at = f"{one.place} {one.name}"
    if not given:
        if one.is_required:
            errors.append({"at": at, "message": "is required"})
        return
    most = int(one.schema["maxItems"]) if one.is_list else 1
    if len(given) > most:
        errors.append({"at": at, "message": f"{most} at most"})
        return
    try:
        read = [one.read(text) for text in given]
    except ValueError as error:
        errors.append({"at": at, "message": str(error)})
        return
    values[one.name] = read if one.is_list else read[0]


def _body(operation: Operation, request: HttpRequest, errors: list[Json]) -> Any:
    if operation.body is None:
        return None
    if request.content_type != "application/json":
        raise Problem("unsupported-media-type", f"This is {request.content_type or 'of no named type'}.")
    raw = _raw(request)
    try:
        text = raw.decode()
        document = json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("malformed", str(error)[:200]) from None
    if not isinstance(document, dict):
        raise Problem("malformed", "A JSON object is needed.")
    try:
        return operation.body.model_validate_json(raw)
    except ValidationError as error:
        errors += [_field_error(one) for one in error.errors(include_url=False, include_input=False)[:20]]
        return None


def _raw(request: HttpRequest) -> bytes:
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
        raw = b"" if announced > BODY_MAX else request.read(BODY_MAX + 1)
    except (ValueError, RequestDataTooBig, RawPostDataException, UnreadablePostError) as error:
        raise Problem("malformed", "The body did not arrive whole.") from error
    if announced > BODY_MAX or len(raw) > BODY_MAX:
        raise Problem("too-large", f"{BODY_MAX // 1024} KB at most.")
    return raw


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key comes twice in one object: which one counts?")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _field_error(one: Any) -> Json:
    # Of a choice between shapes the branch is named too: it is no part of the document.
    place = [str(part) for part in one["loc"]]
    steps = [part for n, part in enumerate(place) if not (part in ("sku", "variant_id") and n + 1 < len(place))]
    steps = steps[:-1] if len(steps) > 1 and steps[-2] == steps[-1] else steps
    return {"at": "/" + "/".join(steps), "message": one["msg"].removeprefix("Value error, ")}


def _handle(operation: Operation, call: Call) -> Reply:
    try:
        return operation.handle(call)
    except tuple(_PROBLEMS) as error:
        raise next(make for kind, make in _PROBLEMS.items() if isinstance(error, kind))(error) from error


def _shortages(error: holds.NotEnough) -> Problem:
    missing: list[Json] = [
        {
            "variant_id": one.variant_id, "sku": one.sku, "requested": as_number(one.requested),
            "available": as_number(one.available),
        }
        for one in error.shortages
    ]  # fmt: skip
    first = missing[0]
    words = f"Nothing was held: {first['available']} of {first['requested']} {first['sku'] or first['variant_id']}"
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    return Problem("insufficient-stock", f"{words} at one place{more}.", shortages=missing)


_PROBLEMS: dict[type[Exception], Callable[[Any], Problem]] = {
    holds.NotEnough: _shortages,
    holds.WholeUnitsOnly: lambda error: Problem("whole-units-only", str(error), names=error.names),
    site.UnknownGoods: lambda error: Problem("unknown-goods", str(error), names=error.names),
    holds.UnknownPlace: lambda error: Problem("unknown-location", f"This site does not sell from location {error}."),
    orders.UnknownPlace: lambda error: Problem("unknown-location", f"This site does not sell from location {error}."),
    holds.NoSuchHold: lambda error: Problem("not-found", f"There is no hold {error}."),
    orders.NoSuchOrder: lambda error: Problem("not-found", f"There is no order {error}."),
    reservations.ReservationEnded: lambda error: Problem("hold-ended", f"It is {error.state}.", state=error.state),
    ledger.IdempotencyConflict: lambda error: Problem("key-reused", "Another request came under this key before."),
    ledger.UnknownCell: lambda error: Problem("unknown-goods", "Something was changed at the shop just now.", names=[]),
    orders.OrderExists: lambda error: Problem("order-exists", f"Order {error} is there and looks otherwise."),
    orders.StaleOrder: lambda error: Problem("order-stale", f"A description of {error} came before."),
    orders.Impossible: lambda error: Problem("order-impossible", str(error)),
}

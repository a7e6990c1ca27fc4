"""From an HTTP request to a handler and back: key and secret, JSON, errors, planned faults."""

import base64
import binascii
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.csrf import csrf_exempt

from channels.sandbox import faults
from channels.sandbox.woocommerce import errors, events
from channels.sandbox.woocommerce.errors import WooError
from channels.sandbox.woocommerce.models import ApiKey, Site

log = logging.getLogger(__name__)

Handler = Callable[..., Any]
View = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Call:
    """One authorised request. `url` is the address asked for, without its query."""

    site: Site
    query: QueryDict
    body: dict[str, Any]
    url: str = ""


@dataclass(frozen=True)
class Answer:
    """A body with another status than 200, or with headers."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


def endpoint(operation: str) -> Callable[[Handler], View]:
    """Make a view of a handler `(*, call, **ids) -> body or Answer`.

    The handler runs in one transaction; a WooError undoes it and becomes the answer. Webhooks of what it changed are
    owed at its end. `operation` is the name that planned faults aim at, such as `products.batch`.
    """
    is_write = operation.rpartition(".")[2] not in ("list", "retrieve")

    def decorate(handler: Handler) -> View:
        @faults.misbehaves(
            vendor="woocommerce",
            operation=operation,
            rate_limited=lambda: _error(errors.too_many()),
            server_error=lambda: _error(errors.server_error()),
        )
        def view(request: HttpRequest, *, domain: str, **ids: Any) -> HttpResponse:
            try:
                site = _authorize(request, domain=domain, is_write=is_write)
                call = Call(site, request.GET, _body(request), request.build_absolute_uri(request.path))
                with transaction.atomic(), events.gathered(site):
                    result = handler(call=call, **ids)
            except WooError as error:
                return _error(error)
            except Exception:
                log.exception("the WooCommerce stand-in failed in %s", operation)
                return _error(errors.server_error())
            return _answer(result if isinstance(result, Answer) else Answer(result))

        return view

    return decorate


def methods(**views: View) -> View:
    """One address, one view a method; anything else is WordPress's “no route”."""

    @csrf_exempt
    def dispatch(request: HttpRequest, **ids: Any) -> HttpResponse:
        view: View = views.get(request.method or "", _no_route)
        return view(request, **ids)

    return dispatch


def _no_route(request: HttpRequest, **_ids: Any) -> HttpResponse:
    words = "No route was found matching the URL and request method."
    return _error(WooError("rest_no_route", words, status=404))


no_route = csrf_exempt(_no_route)


def _authorize(request: HttpRequest, *, domain: str, is_write: bool) -> Site:
    """By Basic authentication: what WooCommerce takes over HTTPS. (Over HTTP it wants OAuth 1.0a; we ask no TLS.)"""
    kind, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name = secret = ""
    if kind.lower() != "basic" or not name:
        raise errors.unauthorized("Sorry, you cannot list resources.", code="woocommerce_rest_cannot_view")
    key = ApiKey.objects.select_related("site").filter(site=domain, consumer_key=name).first()
    if key is None:
        raise errors.unauthorized("Consumer key is invalid.")
    if key.consumer_secret != secret:
        raise errors.unauthorized("Consumer secret is invalid.")
    if is_write and key.permissions == ApiKey.Permissions.READ:
        raise errors.unauthorized("The API key provided does not have write permissions.")
    if not is_write and key.permissions == ApiKey.Permissions.WRITE:
        raise errors.unauthorized("The API key provided does not have read permissions.")
    return key.site


def _body(request: HttpRequest) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise WooError("rest_invalid_json", "Invalid JSON body passed.") from error
    if not isinstance(body, dict):
        raise WooError("rest_invalid_json", "Invalid JSON body passed.")
    if rb"\u0000" in request.body:
        raise WooError("rest_invalid_param", "Text must not contain the character NUL.")
    return body


def _answer(answer: Answer) -> HttpResponse:
    text = json.dumps(answer.body, separators=(",", ":"))
    return HttpResponse(text, content_type="application/json", status=answer.status, headers=answer.headers)


def _error(error: WooError) -> HttpResponse:
    return _answer(Answer(error.body, status=error.status))

"""Misbehaviour on request, and the switches for what vendors do where that is not established."""

import functools
import random
import time
from collections.abc import Callable
from typing import Any

from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse

from channels.sandbox.models import Fault, Switch

TIMEOUT_S = 0.2  # how long a lost answer hangs before the connection is cut with a 504


def strikes(*, vendor: str, operation: str, kind: str) -> Fault | None:
    """The planned fault that hits this call, counted down; None nearly always."""
    plans = Fault.objects.filter(Q(remaining=None) | Q(remaining__gt=0), vendor=vendor, kind=kind).order_by("pk")
    for fault in plans:
        if not operation.startswith(fault.operation) or random.random() >= fault.probability:
            continue
        if fault.remaining is not None:
            taken = Fault.objects.filter(pk=fault.pk, remaining__gt=0).update(remaining=F("remaining") - 1)
            if not taken:
                continue
        return fault
    return None


def switch(name: str, default: Any) -> Any:
    """The value set for a behaviour that is not established, else `default`."""
    row = Switch.objects.filter(pk=name).first()
    return default if row is None else row.value


Answer = Callable[[], HttpResponse]
View = Callable[..., HttpResponse]


def misbehaves(*, vendor: str, operation: str, rate_limited: Answer, server_error: Answer) -> Callable[[View], View]:
    """Wrap a sandbox view so that planned faults hit it; the answers are the vendor's own error bodies.

    The view must commit its own transaction: a lost answer (`timeout_after`) is lost after the commit.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if strikes(vendor=vendor, operation=operation, kind=Fault.Kind.RATE_LIMITED):
                return rate_limited()
            if strikes(vendor=vendor, operation=operation, kind=Fault.Kind.SERVER_ERROR):
                return server_error()
            response = view(request, *args, **kwargs)
            if strikes(vendor=vendor, operation=operation, kind=Fault.Kind.TIMEOUT_AFTER):
                time.sleep(TIMEOUT_S)
                return HttpResponse(status=504)
            return response

        return wrapped

    return decorate

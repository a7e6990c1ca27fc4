"""WSGI entry point of the product.

Webhooks and the API take a way of their own through Django: sessions, cookies, CSRF and page headers are of no use to a
machine that signs its requests or sends a token, and they took most of the time of a webhook (docs/benchmarks.md).
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "storestudio.settings")

MACHINES = ("/webhooks/", "/api/v1/")


class BareHandler(WSGIHandler):
    """Django's handler without middleware: the same addresses, views and errors, and each answer's length."""

    _view_middleware: list[Any]
    _template_response_middleware: list[Any]
    _exception_middleware: list[Any]
    _middleware_chain: Callable[[HttpRequest], HttpResponseBase]

    def load_middleware(self, is_async: bool = False) -> None:
        """None but what turns exceptions into answers."""
        answer: Callable[[HttpRequest], Any] = convert_exception_to_response(
            self._get_response  # type: ignore[attr-defined]
        )

        def answer_with_length(request: HttpRequest) -> HttpResponseBase:
            response: HttpResponse = answer(request)
            response["Content-Length"] = len(response.content)
            return response

        self._view_middleware = []
        self._template_response_middleware = []
        self._exception_middleware = []
        self._middleware_chain = answer_with_length


_pages = get_wsgi_application()
_machines = BareHandler()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Machines to the bare handler, all else to the full one."""
    handler = _machines if environ.get("PATH_INFO", "").startswith(MACHINES) else _pages
    return handler(environ, start_response)

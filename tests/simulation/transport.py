"""The network of a schedule: every request is answered in this process by the application it is meant for.

Real requests and real answers (methods, headers, raw bodies) without sockets; what goes wrong on the way is asked of
`on_call`. A studio that calls a vendor inside a transaction is caught here.
"""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import format_datetime
from unittest import mock
from urllib.parse import unquote, urlsplit

import requests
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from requests.structures import CaseInsensitiveDict

from tests.simulation.clock import Clock
from tests.simulation.databases import Killed, Parties

VENDORS, STUDIO = "https://vendors.example", "http://studio.example"
TRAVEL_S = 0.05  # what a call takes there and back


@dataclass(frozen=True)
class Call:
    """One request on its way: who asks, and what."""

    party: str
    method: str
    url: str
    is_token: bool


class Network:
    """Routes requests to the vendors' stand-ins and to the studio's webhook addresses."""

    def __init__(self, *, parties: Parties, clock: Clock) -> None:
        self.parties, self.clock = parties, clock
        self.handlers = _handlers()
        self.digest, self.calls = hashlib.sha256(), 0
        self.on_call: Callable[[Call], None] = lambda call: None
        self.on_answer: Callable[[Call, requests.Response], None] = lambda call, answer: None

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        """Carry one request there and the answer back; `on_call` and `on_answer` may raise in between."""
        url = request.url or ""
        host = VENDORS if url.startswith(VENDORS) else STUDIO
        call = Call(self.clock.party, request.method or "", url, is_token="/oauth" in url or url.endswith("/token"))
        self.on_call(call)
        self.clock.sleep(TRAVEL_S / 2)
        self.calls += 1
        try:
            with self.parties.working("vendor" if host == VENDORS else "web"):
                answer = self._answer(self.handlers[host], request)
        except Killed as killed:
            if host == VENDORS:
                raise
            raise requests.ConnectionError("the web process died") from killed
        self._write_down(call, request, answer)
        self.clock.sleep(TRAVEL_S / 2)
        self.on_answer(call, answer)
        return answer

    def _write_down(self, call: Call, request: requests.PreparedRequest, answer: requests.Response) -> None:
        """Two runs of one seed exchange the same bytes at the same times."""
        head = f"{self.clock.elapsed_s:.3f} {call.party} {call.method} {call.url} {answer.status_code}\n"
        body = request.body or b""
        self.digest.update(head.encode() + (body.encode() if isinstance(body, str) else body) + (answer.content or b""))

    def _answer(self, handler: WSGIHandler, request: requests.PreparedRequest) -> requests.Response:
        answer = requests.Response()
        answer.url, answer.request = request.url or "", request

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            answer.status_code, answer.reason = int(status[:3]), status[4:]
            answer.headers = CaseInsensitiveDict(headers)

        result = handler(_environ(request), start)
        body = b"".join(result)
        result.close()
        answer.headers.setdefault("Date", format_datetime(self.clock.now(), usegmt=True))
        answer.raw = io.BytesIO(body)
        answer._content = body  # read already
        answer.encoding = requests.utils.get_encoding_from_headers(answer.headers)
        return answer


def _handlers() -> dict[str, WSGIHandler]:
    """The stand-ins run without middleware, as in their own process; the studio with all of its own."""
    with override_settings(MIDDLEWARE=[]):
        vendors = WSGIHandler()
    return {VENDORS: vendors, STUDIO: WSGIHandler()}


def _environ(request: requests.PreparedRequest) -> dict:
    parts = urlsplit(request.url or "")
    body = request.body or b""
    body = body.encode() if isinstance(body, str) else body
    environ = {
        "REQUEST_METHOD": request.method, "PATH_INFO": unquote(parts.path), "QUERY_STRING": parts.query,
        "SCRIPT_NAME": "", "SERVER_NAME": parts.hostname, "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0), "wsgi.url_scheme": parts.scheme,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr, "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)), "HTTP_HOST": parts.netloc,
    }  # fmt: skip
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        value = value.decode() if isinstance(value, bytes) else value
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ


class _Adapter(requests.adapters.BaseAdapter):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def send(self, request, **_options):
        return self.network.send(request)

    def close(self) -> None:
        pass


@contextmanager
def in_place(network: Network) -> Iterator[None]:
    """Every session of `requests` sends through this network while the block runs."""
    adapter = _Adapter(network)

    def get_adapter(session: requests.Session, url: str) -> requests.adapters.BaseAdapter:
        if not url.startswith((VENDORS, STUDIO)):
            raise requests.ConnectionError(f"no such host in a simulation: {url}")
        return adapter

    with mock.patch.object(requests.Session, "get_adapter", get_adapter):
        yield

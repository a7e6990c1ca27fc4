"""The stand-ins and the address where webhooks arrive, served by threads of this process: for benches."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.test.utils import override_settings


class Quiet(WSGIRequestHandler):
    """Says nothing for each request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


@contextmanager
def served() -> Iterator[None]:
    """Over real HTTP at a free port of this machine, with the settings that name it, until the end of the block."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), Quiet)
    url = f"http://127.0.0.1:{server.server_port}"
    with override_settings(SANDBOX_URL=url, PUBLIC_URL=url, ROOT_URLCONF="channels.sandbox.bench_urls"):
        server.set_app(WSGIHandler())
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()

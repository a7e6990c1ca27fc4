"""An endpoint of somebody else's, over real HTTP: answers as it is told to, remembers what came."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Listener:
    """Where it listens, what it answers, what came."""

    url: str = ""
    status: int = 200
    came: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def told(self, topic: str) -> list[dict[str, Any]]:
        """What came of one topic, unpacked."""
        return [one["data"] for one in self.documents() if one["type"] == topic]

    def documents(self) -> list[dict[str, Any]]:
        """Every body that came, as JSON."""
        return [json.loads(body) for _, body in self.came]


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            listener.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(listener.status)
            self.end_headers()
            self.wfile.write(b"thanks" if listener.status == 200 else b"no")

        def log_message(self, *args: Any) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    listener.url = f"http://127.0.0.1:{server.server_port}/hooks"
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()

import base64
import hashlib
import hmac
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, connections

from channels import credentials
from channels.models import Connection, InboundEvent
from inventory import pgbench
from storestudio.accounts.models import Merchant

CLIENTS = 8
SIGNATURE_KEY = "bench"
BARE_INSERT = """\\set k random(1, 9000000000000000000)
INSERT INTO channels_inboundevent (merchant_id, connection_id, topic, dedupe_key, headers, body, occurred_at,
    received_at, state, outcome, attempts, next_attempt_at, error)
VALUES ({merchant}, {connection}, 'order.updated', 'pgbench-:k', '{headers}', '{body}', now(), now(), 'pending', '', 0,
    now(), '') ON CONFLICT (connection_id, dedupe_key) DO NOTHING RETURNING id;
"""


class Command(BaseCommand):
    help = "Webhooks a second through the real web server, beside pgbench running the bare INSERT, in turns."

    def add_arguments(self, parser: CommandParser) -> None:
        """How long and how often."""
        parser.add_argument("--rounds", type=int, default=5)
        parser.add_argument("--seconds", type=float, default=4.0, help="of each round")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print accepted webhooks a second, the limit beside it, and their ratio (medians)."""
        pgbench.program()
        channel, ours, limit = _connection(), [], []
        with serve() as port:
            for _ in range(options["rounds"]):
                limit.append(_bare(channel, options["seconds"]))
                ours.append(_ingest(channel, port, options["seconds"]))
        ratio = statistics.median(a / b for a, b in zip(ours, limit, strict=True))
        self.stdout.write(
            f"webhook ingest, {CLIENTS} clients   ours {statistics.median(ours):8.0f}   bare INSERT "
            f"{statistics.median(limit):7.0f}   ratio {ratio:5.2f} (at least 0.20)"
        )


def _connection() -> Connection:
    merchant, _ = Merchant.objects.get_or_create(slug="bench", defaults={"name": "Bench"})
    channel = Connection.objects.filter(merchant=merchant, channel="square").first()
    if channel is None:
        channel = Connection(
            merchant=merchant, channel="square", label="Bench till", account_id="bench", base_url="http://127.0.0.1:9",
            number=Connection.Number.IN_STOCK,
        )  # fmt: skip
        credentials.store(channel, {"access_token": "none", "signature_key": SIGNATURE_KEY})
        channel.save()
    return channel


@contextmanager
def serve() -> Iterator[int]:
    """The product's own web server on a free port, as deployed: 2 processes of 4 threads."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "--workers", "2",
        "--blocking-threads", "4", "--no-access-log", "--log-level", "error", "--host", "127.0.0.1",
        "--port", str(port), "storestudio.wsgi:application",
    ]  # fmt: skip
    server = subprocess.Popen(command, env=os.environ | {"LOG_LEVEL": "ERROR"})  # noqa: S603
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        time.sleep(1)
        yield port
    finally:
        server.terminate()
        server.wait(10)


def _bare(channel: Connection, seconds: float) -> float:
    script = BARE_INSERT.format(
        merchant=channel.merchant_id, connection=channel.pk, body=_body().decode(), headers='{"user-agent": "pgbench"}'
    )
    return pgbench.transactions_a_second(script, clients=CLIENTS, seconds=seconds)


def _body() -> bytes:
    order = {"order_updated": {"order_id": uuid.uuid4().hex, "version": 3, "state": "COMPLETED", "location_id": "L1"}}
    envelope = {
        "merchant_id": "bench", "type": "order.updated", "event_id": str(uuid.uuid4()),
        "created_at": "2026-11-23T12:00:00Z", "data": {"type": "order_updated", "id": "x", "object": order},
    }  # fmt: skip
    return json.dumps(envelope).encode()


def _request(path: str, url: str) -> bytes:
    body = _body()
    signature = base64.b64encode(hmac.new(SIGNATURE_KEY.encode(), url.encode() + body, hashlib.sha256).digest())
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        f"x-square-hmacsha256-signature: {signature.decode()}\r\nuser-agent: Square Connect v2\r\n\r\n"
    ).encode() + body


def _ingest(channel: Connection, port: int, seconds: float) -> float:
    """Webhooks accepted a second; every 200 must have left its row."""
    connections.close_all()
    connection.close_pool()  # type: ignore[attr-defined]
    before = InboundEvent.objects.filter(connection=channel).count()
    url = credentials.account(channel).webhook_url
    connections.close_all()
    context = multiprocessing.get_context("fork")
    start, counts = context.Event(), context.Queue()
    senders = [context.Process(target=_send, args=(url, port, seconds, start, counts.put)) for _ in range(CLIENTS)]
    for sender in senders:
        sender.start()
    ready = [counts.get() for _ in senders]
    start.set()
    accepted: int = sum(counts.get() for _ in ready)
    for sender in senders:
        sender.join()
    stored = InboundEvent.objects.filter(connection=channel).count() - before
    if stored != accepted:
        raise CommandError(f"{accepted} webhooks were answered 200 and {stored} rows are there")
    return accepted / seconds


def _send(url: str, port: int, seconds: float, start: Event, tell: Callable[[int], None]) -> None:
    """Send prepared, signed requests over one kept connection, one after the other."""
    path = "/" + url.split("/", 3)[3]
    requests = [_request(path, url) for _ in range(int(seconds * 1500))]
    with socket.create_connection(("127.0.0.1", port)) as wire:
        tell(0)
        start.wait()
        end, accepted = time.monotonic() + seconds, 0
        for request in requests:
            if time.monotonic() >= end:
                break
            wire.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += wire.recv(65536)
            accepted += answer.startswith(b"HTTP/1.1 200")
    tell(accepted)

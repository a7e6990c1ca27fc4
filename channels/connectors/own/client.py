"""HTTP to the shop's own endpoints: one signed POST, explicit time-outs, no redirects, only to public addresses."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from channels.connectors.own import signing

# Three endpoints one after the other are told within the lease of one write (30 s).
TIMEOUT_S = (3.0, 6.0)
ENDPOINTS_MAX = 3
ANSWER_MAX = 2_000  # characters of an answer that are kept
GONE = 410
USER_AGENT = "StoreStudio-Webhooks/1"


@dataclass(frozen=True)
class Endpoint:
    """Where to send. `keys`: secrets to sign with, the newest first. `may_be_private`: on a developer's machine."""

    endpoint_id: int
    url: str
    keys: Sequence[str]
    may_be_private: bool = False


@dataclass(frozen=True)
class Message:
    """What to send: the same id and bytes however often it is tried."""

    message_id: str
    topic: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What came of one try. `status` 0: nobody answered, `error` says why."""

    status: int
    text: str
    error: str
    took_ms: int
    sent_at: datetime

    @property
    def is_taken(self) -> bool:
        """Whether it was taken: any 2xx, nothing else."""
        return 200 <= self.status < 300


class PrivateAddress(NewConnectionError):
    """The name leads to an address inside a network, which a shop's endpoint never is."""


def deliver(*, endpoint: Endpoint, message: Message, sent_at: datetime) -> Answer:
    """Send once, signed, and say what came of it; raises nothing for the other side's failure."""
    signed = signing.headers(keys=endpoint.keys, message_id=message.message_id, sent_at=sent_at, body=message.body)
    headers = {"content-type": "application/json", **signed}
    return post(
        endpoint.url, body=message.body, headers=headers, may_be_private=endpoint.may_be_private, sent_at=sent_at
    )


def post(url: str, *, body: bytes, headers: Mapping[str, str], may_be_private: bool, sent_at: datetime) -> Answer:
    """One POST, only to a public address unless `may_be_private`; raises nothing for the other side's failure."""
    started = time.monotonic()
    status, text, error = 0, "", ""
    try:
        with _session(may_be_private=may_be_private) as session:
            reply = session.post(
                url, data=body, headers={"user-agent": USER_AGENT, **headers}, timeout=TIMEOUT_S,
                allow_redirects=False, stream=True,
            )  # fmt: skip
            status, text = reply.status_code, _beginning(reply)
            if not 200 <= status < 300:
                error = f"answered {status}"
    except requests.RequestException as failure:
        error = _words(failure)
    except ValueError as failure:  # an address that cannot be read
        error = str(failure)[:300]
    return Answer(
        status=status, text=text, error=error, took_ms=round((time.monotonic() - started) * 1000), sent_at=sent_at
    )


def _beginning(reply: requests.Response) -> str:
    """The beginning of the answer: a page without end must not fill our memory."""
    raw = next(reply.iter_content(ANSWER_MAX), b"")
    return str(raw.decode(errors="replace")[:ANSWER_MAX].replace("\x00", ""))


def _words(failure: requests.RequestException) -> str:
    if isinstance(failure, requests.Timeout):
        return "no answer in time"
    cause: BaseException | None = failure
    while cause is not None:
        reason = getattr(cause, "reason", None) or (cause.args[0] if cause.args else None)
        if isinstance(reason, PrivateAddress):
            return "its name leads to a private address"
        cause = reason if isinstance(reason, BaseException) else None
    # In words of our own: what the library says repeats the address, which may be a secret.
    if isinstance(failure, requests.exceptions.SSLError):
        return "its certificate is not valid"
    if isinstance(failure, requests.ConnectionError):
        return "nobody answers there"
    return f"it cannot be called ({type(failure).__name__})"


def _session(*, may_be_private: bool) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # neither a proxy nor a ~/.netrc of this machine
    if not may_be_private:
        session.mount("http://", _PublicAdapter())
        session.mount("https://", _PublicAdapter())
    return session


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet."""
    return ipaddress.ip_address(address.partition("%")[0]).is_global


def _checked(connect: Callable[[], Any], owner: Any) -> Any:
    """The connection as made, refused where it ended inside a network: whatever the name said a moment ago."""
    connected = cast(socket.socket, connect())
    if not is_public(str(connected.getpeername()[0])):
        connected.close()
        raise PrivateAddress(owner, "private address")
    return connected


class _PublicHTTP(HTTPConnection):
    def _new_conn(self) -> Any:
        return _checked(super()._new_conn, self)


class _PublicHTTPS(HTTPSConnection):
    def _new_conn(self) -> Any:
        return _checked(super()._new_conn, self)


class _PublicHTTPPool(HTTPConnectionPool):
    ConnectionCls = _PublicHTTP


class _PublicHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPS


class _PublicAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """The pools of this adapter check where they got to."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}

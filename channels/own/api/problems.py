"""Errors of the API as problem details (RFC 9457): what happened, that nothing was changed, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """One kind of error: the same status, title and words wherever it happens."""

    name: str
    status: int
    title: str
    help: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("malformed", 400, "The request cannot be read", "Send a JSON object in UTF-8, each key once."),
        Kind("unauthorized", 401, "No valid token", "Send `Authorization: Bearer sst_…` with a token that is in use."),
        Kind("forbidden", 403, "The token may not do this", "Make a token with the scope that `detail` names."),
        Kind(
            "not-found", 404, "There is no such thing", "Check the address and the id; ids of other shops are unknown."
        ),
        Kind("method-not-allowed", 405, "The address takes another method", "`Allow` names those it takes."),
        Kind(
            "insufficient-stock",
            409,
            "Not enough: nothing was held",
            "`shortages` says of what and how many there are.",
        ),
        # Not 404: what the address names is there, what the request names besides is not.
        Kind(
            "unknown-goods", 409, "Something is not sold here", "`names` are SKUs or variants this site does not list."
        ),
        Kind("unknown-location", 409, "There is no such location", "`GET /api/v1/locations` lists them."),
        Kind("whole-units-only", 409, "Sold by the piece", "`names` cannot be had in fractions."),
        Kind("hold-ended", 409, "The hold is no longer held", "`state` says how it ended. Make a new hold."),
        Kind(
            "key-reused", 409, "The key was used for something else", "Use a fresh Idempotency-Key for another request."
        ),
        Kind("order-exists", 409, "The order id is another order's", "Send changes of an order with PUT."),
        Kind("order-stale", 409, "Older than what we have", "Nothing was changed: a newer description came before."),
        Kind("order-impossible", 409, "This cannot have happened", "`detail` says why; nothing was changed."),
        Kind("site-paused", 409, "The site is paused", "Somebody at the shop paused it. Orders are still taken."),
        Kind("too-large", 413, "The request is too large", "Send 256 KB at most."),
        Kind("unsupported-media-type", 415, "Not JSON", "Send `Content-Type: application/json`."),
        Kind("invalid", 422, "Something in the request is not as described", "`errors` names each place and why."),
        Kind("rate-limited", 429, "Too many requests", "Wait as long as `Retry-After` says."),
        Kind("internal", 500, "Our fault", "Nothing was changed. Try again; the same key is safe."),
        Kind("busy", 503, "Too busy for the moment", "Nothing was changed. Try again after `Retry-After`."),
    )
}


class Problem(Exception):
    """Ends a request with this error; `extra` are further members, `headers` further headers."""

    def __init__(self, name: str, detail: str, *, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.kind = KINDS[name]
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """As it is sent."""
        return {
            "type": f"/api/docs#{self.kind.name}",
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            **self.extra,
        }

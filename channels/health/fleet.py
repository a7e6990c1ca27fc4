"""Every shop a person looks after, a line a connection, in a fixed number of queries whatever their number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from channels import registry
from channels.health import lag, state
from channels.health.budget import Budget, budgets
from channels.health.rates import Rate, rates
from channels.models import Connection, Incident, SubscriptionRepair
from channels.watching import VERSION_ENDS_SOON
from storestudio.accounts.models import Merchant

CHECKED_WITHIN = timedelta(hours=2)  # webhooks are looked at hourly; one look may be late
TOKEN_ENDS_SOON = timedelta(days=3)  # renewed long before, where renewing works
ENDED = "key has ended"
SHOPS_MAX = 200  # as in the list of shops
WEIGHTS = {kind: weight for weight, kind in enumerate(state.KINDS_BY_WEIGHT)}


@dataclass(frozen=True)
class FleetLine:
    """One connection of one shop. `concerns`: what about it needs attention, in words; none: all is well."""

    merchant: Merchant
    line: state.ChannelLine
    applied: lag.Spread | None  # an event there → applied here, last hour
    told: lag.Spread | None  # applied here → acknowledged there, last hour
    budget: Budget
    incidents: int
    rate: Rate
    speaks: str  # the API version we speak
    ends_on: date | None  # until when the vendor promises to serve it
    has_webhooks: bool
    are_webhooks_missing: bool
    concerns: Sequence[str]

    @property
    def connection(self) -> Connection:
        """The connection itself."""
        return self.line.connection

    @property
    def more_concerns(self) -> list[str]:
        """Those that the word on its state does not say already."""
        return [concern for concern in self.concerns if concern != self.line.word]

    @property
    def has_key_ended(self) -> bool:
        """Whether its key is over, by the time at which the line was made."""
        return ENDED in self.concerns

    @property
    def reports_other_version(self) -> bool:
        """Whether the channel reports another API version than we speak."""
        return bool(self.connection.api_version) and self.connection.api_version != self.speaks


def fleet_lines(*, merchants: Sequence[Merchant], now: datetime) -> list[FleetLine]:
    """A line for each connection of these shops that is not disconnected; by shop, then oldest first."""
    shops = {merchant.pk: merchant for merchant in merchants}
    rows = Connection.objects.filter(merchant__in=shops).exclude(state=Connection.State.CLOSED).defer("credentials")
    connections = sorted(rows, key=lambda one: (shops[one.merchant_id].name, one.merchant_id, one.pk))
    lines = state.lines_of(connections=connections, now=now)
    applied = lag.applying(connections=connections, now=now)
    told = lag.sending(connections=connections, now=now)
    spent = budgets(connections=connections, now=now)
    left = rates(connections=connections, now=now)
    open_ones = _counted(Incident.objects.standing().filter(merchant__in=shops).values_list("connection_id"))
    silent = set(
        SubscriptionRepair.objects.filter(connection__in=connections, repaired_at=None).values_list(
            "connection_id", flat=True
        )
    )
    return [
        _line(
            line,
            shops[line.connection.merchant_id],
            now=now,
            applied=applied.get(line.connection.pk),
            told=told.get(line.connection.pk),
            budget=spent[line.connection.pk],
            rate=left[line.connection.pk],
            incidents=open_ones.get(line.connection.pk, 0),
            are_webhooks_missing=line.connection.pk in silent,
        )
        for line in lines
    ]


def _counted(ids: Iterable[tuple[int | None]]) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for (pk,) in ids:
        found[pk] = found.get(pk, 0) + 1
    return found


def _line(line: state.ChannelLine, merchant: Merchant, *, now: datetime, **facts: Any) -> FleetLine:
    connection = line.connection
    can = registry.capabilities(connection.channel) if connection.channel in registry.EVERY else None
    made = FleetLine(
        merchant=merchant,
        line=line,
        speaks=can.api_version if can else "",
        ends_on=can.api_ends_on if can else None,
        has_webhooks=bool(can and can.topics),
        concerns=(),
        **facts,
    )
    return replace(made, concerns=_concerns(made, now=now))


def _concerns(one: FleetLine, *, now: datetime) -> list[str]:
    """What needs a person here. Waiting for the first yes does not: that is work, not trouble."""
    connection, queues = one.connection, one.line.queues
    found = [one.line.word] if one.line.kind in ("warn", "bad") else []
    if one.incidents:
        found.append("1 open incident" if one.incidents == 1 else f"{one.incidents} open incidents")
    if queues.quarantined:
        found.append(f"{queues.quarantined} in quarantine")
    if one.are_webhooks_missing:
        found.append("webhooks missing")
    elif one.has_webhooks and connection.approved_at and is_unchecked(connection, now=now):
        found.append("webhooks not checked")
    if one.reports_other_version:
        found.append(f"speaks {connection.api_version}")
    elif one.ends_on is not None and one.ends_on <= (now + VERSION_ENDS_SOON).date():
        found.append(f"API {one.speaks} ends {one.ends_on:%d %b %Y}")
    if one.rate.kind == "warn":
        found.append("asked to slow down" if one.rate.slowed else "rate limit nearly used up")
    if connection.token_expires_at and connection.token_expires_at < now:
        found.append(ENDED)
    if one.budget.kind == "bad":
        found.append("error budget spent")
    return found


def is_unchecked(connection: Connection, *, now: datetime) -> bool:
    """Whether its webhooks should have been looked at by now and were not."""
    last = max(connection.subscriptions_checked_at or connection.created_at, connection.created_at)
    return now - last > CHECKED_WITHIN


def _p99(spread: lag.Spread | None) -> float:
    return spread.p99 if spread else -1.0


def _aged(since: datetime | None) -> float:
    return -since.timestamp() if since else float("-inf")


# What a column sorts by, the worst first; shops by name.
SORTS: dict[str, Callable[[FleetLine], Any]] = {
    "state": lambda one: (WEIGHTS[one.line.kind], len(one.concerns)),
    "applied": lambda one: _p99(one.applied),
    "told": lambda one: _p99(one.told),
    "waiting": lambda one: (_aged(one.line.queues.waiting_since), one.line.queues.waiting),
    "sending": lambda one: (_aged(one.line.queues.dirty_since), one.line.queues.dirty),
    "drift": lambda one: one.line.queues.drift,
    "heard": lambda one: -one.line.heard_at.timestamp() if one.line.heard_at else float("inf"),
    "rate": lambda one: -(one.rate.share if one.rate.share is not None else 2.0) + one.rate.slowed,
    "budget": lambda one: -(one.budget.left if one.budget.left is not None else float("inf")),
}


def sort(lines: Sequence[FleetLine], *, by: str) -> list[FleetLine]:
    """The worst first by that column; by shop where there is no such column."""
    key = SORTS.get(by)
    return sorted(lines, key=key, reverse=True) if key else list(lines)

"""What no single call tells, found by a sweep: channels that do not answer, news that takes too long, old versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db.models import Min, Q, QuerySet

from channels import collisions, contact, incidents, registry
from channels.models import ChannelStock, Connection, InboundEvent

Kind = incidents.Kind
BEHIND_AFTER = timedelta(minutes=1)  # a sale that waits so long has missed its promise twelve times over
VERSION_ENDS_SOON = timedelta(days=90)
Found = Iterable[tuple[Connection, str, str]]  # the connection, what to say, what says so


def sweep(*, now: datetime) -> None:
    """Look at every live connection; open, end and settle incidents; a fixed number of queries beside their number."""
    live = list(Connection.objects.filter(state=Connection.State.LIVE).defer("credentials").order_by("pk"))
    away = [one for one in live if one.failures >= contact.FAILURES_BEFORE_REST]
    several = "{channel} does not answer at {{count}} connections."
    _report(Kind.UNREACHABLE, _away(away), key=_channel, many=several, now=now)
    # What waits because a channel does not answer has that cause, and no other.
    reached = [one for one in live if one not in away]
    _report(Kind.BEHIND, _behind(reached, now=now), key=_connection, many="", now=now)
    _report(Kind.VERSION, _versions(live, now=now), key=_connection, many="", now=now)
    collisions.sweep(now=now)
    incidents.settle(now=now)
    incidents.sweep_outages(now=now)


def _channel(connection: Connection) -> str:
    return f"channel:{connection.channel}"


def _connection(connection: Connection) -> str:
    return f"connection:{connection.pk}"


def _report(kind: str, found: Found, *, key: Callable[[Connection], str], many: str, now: datetime) -> None:
    """Each that was found is open; each subject and incident of this kind that was not is well again."""
    standing: set[tuple[int, str]] = set()
    subjects: set[tuple[int, str, str]] = set()
    for connection, title, evidence in found:
        cause, subject = key(connection), _connection(connection)
        standing.add((connection.merchant_id, cause))
        subjects.add((connection.merchant_id, cause, subject))
        incidents.open_or_count(
            merchant_id=connection.merchant_id,
            connection_id=connection.pk,
            kind=kind,
            key=cause,
            title=title,
            subject=subject if many else "",
            many=many.format(channel=registry.label(connection.channel)) if many else "",
            is_a_look=True,
            now=now,
            evidence=evidence,
        )
    incidents.resolve_others(kind=kind, standing=standing, subjects=subjects, how="well again", now=now)


def _away(away: Iterable[Connection]) -> Found:
    for one in away:
        yield one, f"{one.label} does not answer. We keep trying; nothing is lost.", one.last_error


def _behind(connections: Iterable[Connection], *, now: datetime) -> Found:
    by_pk = {one.pk: one for one in connections}
    since = now - BEHIND_AFTER
    events = InboundEvent.objects.filter(state=InboundEvent.State.PENDING, received_at__lte=since)
    cells = ChannelStock.objects.filter(
        Q(next_attempt_at=None) | Q(next_attempt_at__lte=now),
        dirty_at__lte=since, write=None, blocked_reason="", drift_at=None, missing_at=None, held_by=None,
    )  # fmt: skip
    waiting = _oldest(events, "received_at", by_pk)
    unsent = _oldest(cells, "dirty_at", by_pk)
    for pk in sorted(waiting.keys() | unsent.keys()):
        said = []
        if pk in waiting:
            said.append(f"a message waits since {waiting[pk]:%H:%M:%S} UTC")
        if pk in unsent:
            said.append(f"a number waits since {unsent[pk]:%H:%M:%S} UTC")
        yield (
            by_pk[pk],
            f"{by_pk[pk].label} is behind: sales take longer than a minute to get through.",
            "; ".join(said),
        )


def _oldest(
    rows: QuerySet[InboundEvent] | QuerySet[ChannelStock], moment: str, among: Iterable[int]
) -> dict[int, datetime]:
    found = rows.filter(connection__in=list(among)).order_by().values_list("connection").annotate(Min(moment))
    return dict(found)


def _versions(connections: Iterable[Connection], *, now: datetime) -> Found:
    for one in connections:
        if one.channel not in registry.EVERY:
            continue
        can = registry.capabilities(one.channel)
        if one.api_version and one.api_version != can.api_version:
            yield one, f"{one.label} speaks API {one.api_version}, we speak {can.api_version}.", "as it reported"
        elif can.api_ends_on and can.api_ends_on <= (now + VERSION_ENDS_SOON).date():
            yield (
                one,
                f"{one.label}: API {can.api_version} is supported until {can.api_ends_on:%d %b %Y}.",
                "the vendor's calendar",
            )

"""What needs a person, each with the one thing to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from channels.health.state import ChannelLine
from channels.incidents import STAFF_KINDS
from channels.models import Connection, Incident
from storestudio.accounts.models import Merchant

Kind = Incident.Kind
SHOWN_MAX = 50
# What to press, and which page of the connection (or of the goods) it leads to.
ACTIONS = {
    Kind.OVERSOLD: ("Decide who gets it", "collisions"),
    Kind.DRIFT: ("Decide which number is right", "channel"),
    Kind.QUARANTINE: ("Read it", "channel_messages"),
    Kind.RECONNECT: ("Connect again", "channel"),
    Kind.REFUSED: ("See what was refused", "channel_writes"),
    Kind.UNLINKED_SALE: ("See the listing", "channel_listings"),
    Kind.GUARD: ("See what was stopped", "channel_drift"),
    Kind.WEBHOOKS: ("See what is known", "channel"),
    Kind.UNREACHABLE: ("See what is known", "channel"),
    Kind.BEHIND: ("See what waits", "channel"),
    Kind.VERSION: ("See what is known", "channel"),
    Kind.COMMAND: ("See the order", "order"),
}


@dataclass(frozen=True)
class Need:
    """One thing to do. `page` is a URL name; its argument is `target` (a connection's or a variant's id)."""

    key: str
    kind: str  # bad or warn
    title: str
    detail: str
    action: str
    page: str
    target: int
    query: str
    since: datetime | None
    times: int = 1
    incident_id: int | None = None  # of the incident's own page
    taken_by: str = ""  # who is on it

    @property
    def is_for_managers(self) -> bool:
        """Whether its page opens only to who may decide."""
        return self.page in ("channel_places", "channel_preview")


def needs(*, merchant: Merchant, lines: Sequence[ChannelLine]) -> list[Need]:
    """Open incidents, worst first, then the steps that a connection waits for."""
    incidents = (
        Incident.objects.pressing()
        .of(merchant)
        .exclude(kind__in=STAFF_KINDS)
        .select_related("connection", "variant__product", "acknowledged_by")
        .order_by(F("opened_at").desc(), "-pk")[:SHOWN_MAX]
    )
    found = [need_of(incident) for incident in incidents]
    found.sort(key=lambda need: need.kind != "bad")
    return found + [step for line in lines for step in _steps(line)]


def need_of(incident: Incident) -> Need:
    """An incident as a thing to do; give it with its connection, variant and who took it on."""
    kind = Kind(incident.kind)
    action, page = ACTIONS[kind]
    target = incident.connection_id
    if page == "variant" and incident.variant_id is not None:
        target = incident.variant_id
    elif page == "collisions":
        target = None
    elif page == "order":
        target = incident.detail.get("order_id")
    elif target is None:
        page, action = "channels", "Look at the channels"
    elif page == "variant":
        page = "channel"
    queries = {Kind.QUARANTINE: "?state=quarantined", Kind.REFUSED: "?outcome=refused"}
    variant = incident.variant
    return Need(
        key=f"incident-{incident.pk}",
        kind="bad" if incident.severity == Incident.Severity.CRITICAL else "warn",
        title=incident.title,
        detail=_detail(incident, goods=variant.full_title if variant else ""),
        action=action,
        page=page,
        target=target or 0,
        query=queries.get(kind, f"#incident-{incident.pk}" if page == "channel" else ""),
        since=incident.opened_at,
        times=incident.times,
        incident_id=incident.pk,
        taken_by=incident.acknowledged_by.get_short_name() if incident.acknowledged_by else "",
    )


def _detail(incident: Incident, *, goods: str) -> str:
    """What it is about, in a few words; nothing that the title says already."""
    place = incident.connection.label if incident.connection else ""
    parts = [part for part in (goods, place) if part and part not in incident.title]
    return " · ".join([*parts, incident.get_kind_display()])


def _steps(line: ChannelLine) -> list[Need]:
    """What stands between a connection and being live, or a listing and being kept."""
    connection, queues = line.connection, line.queues
    steps = []
    if queues.unmapped and connection.state != Connection.State.CLOSED:
        places = "a place" if queues.unmapped == 1 else f"{queues.unmapped} places"
        steps.append(
            _step(
                line,
                "places",
                f"{connection.label} has {places} that we cannot match to yours",
                "Stock there is not kept until you say which of your locations it is.",
                "Match places",
                "channel_places",
            )
        )
    elif connection.state == Connection.State.PAUSED and connection.approved_at is None:
        steps.append(
            _step(
                line,
                "approve",
                f"{connection.label} waits for your yes",
                "See what would change there before the first number is sent.",
                "See what would change",
                "channel_preview",
            )
        )
    elif queues.new and connection.approved_at is not None and connection.state != Connection.State.CLOSED:
        numbers = "1 new number" if queues.new == 1 else f"{queues.new} new numbers"
        steps.append(
            _step(
                line,
                "new",
                f"{numbers} on {connection.label} could be kept",
                "Listings or places that came later wait for a yes of their own.",
                "See what would change",
                "channel_preview",
            )
        )
    if queues.unlinked:
        listings = "1 listing" if queues.unlinked == 1 else f"{queues.unlinked} listings"
        steps.append(
            _step(
                line,
                "unlinked",
                f"{listings} on {connection.label} match nothing of yours",
                "Their stock is left alone: never read as yours, never written.",
                "See them",
                "channel_listings",
            )
        )
    return steps


def _step(line: ChannelLine, key: str, title: str, detail: str, action: str, page: str) -> Need:
    return Need(
        key=f"{key}-{line.connection.pk}",
        kind="warn",
        title=title,
        detail=detail,
        action=action,
        page=page,
        target=line.connection.pk,
        query="",
        since=None,
    )

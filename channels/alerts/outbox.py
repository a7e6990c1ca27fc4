"""From timelines to people: what is to be told is a row, tried until it is sent; what is due for one route goes out
as one message.

`decide` reads the timeline lines nobody has looked at and makes a delivery for each route that wants them, in one
transaction with marking them looked at; a unique key keeps one thing from being told twice. `send_due` leases what is
due, sends outside any transaction, keeps what came of it. A worker that dies between the two sends again, under the
same Message-ID: at least once.
"""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from channels import incidents
from channels.alerts import routes, sending, wording
from channels.alerts.models import AlertDelivery, AlertRoute
from channels.models import Incident, IncidentEvent
from storestudio.accounts.models import Membership, User

Step = IncidentEvent.Kind
State = AlertDelivery.State
About = AlertDelivery.About
TOLD = (Step.OPENED, Step.WORSE, Step.WOKEN, Step.CLOSED)
# Shops that lose one vendor at once are told of to staff as one outage, which takes a sweep or two to be seen.
OUTAGE_SEEN_AFTER = timedelta(seconds=30)
AT_ONCE_MAX = 200
LEASE = timedelta(seconds=60)  # longer than a mail server or a webhook may take
PAUSES_S = (30, 300, 1800, 7200, 21_600)  # after each try that failed; then it is given up
WEEK, DAY = timedelta(days=7), timedelta(days=1)


# --- who is told -----------------------------------------------------------------------------------------------


def decide(*, now: datetime) -> int:
    """Make deliveries of what has happened since; returns how many lines of timelines were looked at."""
    routes.make_up()
    with transaction.atomic():
        waits = Q(kind__in=TOLD, incident__kind=Incident.Kind.UNREACHABLE, at__gt=now - OUTAGE_SEEN_AFTER)
        new = IncidentEvent.objects.filter(~waits, alerted_at=None).order_by("pk")
        found = list(new.select_for_update(skip_locked=True, of=("self",)).select_related("incident")[:AT_ONCE_MAX])
        told = [event for event in found if event.kind in TOLD]
        by_merchant = _routes_of({event.incident.merchant_id for event in told})
        AlertDelivery.objects.bulk_create(
            [
                _delivery(event, route, now=now)
                for event in told
                for route in by_merchant[event.incident.merchant_id]
                if _is_for(route, event)
            ],
            ignore_conflicts=True,
        )
        IncidentEvent.objects.filter(pk__in=[event.pk for event in found]).update(alerted_at=now)
    return len(found)


def _routes_of(merchants: Iterable[int]) -> defaultdict[int, list[AlertRoute]]:
    found: defaultdict[int, list[AlertRoute]] = defaultdict(list)
    rows = AlertRoute.objects.filter(merchant__in=list(merchants), is_on=True, removed_at=None)
    for route in rows.select_related("merchant", "membership__user").order_by("pk"):
        found[route.merchant_id].append(route)
    return found


def _is_staffs(route: AlertRoute) -> bool:
    return route.membership is not None and route.membership.role == Membership.Role.ONBOARDING


def _is_for(route: AlertRoute, event: IncidentEvent) -> bool:
    """Whether this line is told there by itself, rather than in a digest or not at all."""
    incident = event.incident
    is_urgent = incident.severity == Incident.Severity.CRITICAL
    if incident.kind in incidents.STAFF_KINDS and not _is_staffs(route):
        return False
    if not route.wants(kind=incident.kind, severity=incident.severity):
        return False
    if event.kind == Step.CLOSED and not route.tells_closing:
        return False
    return route.pace == AlertRoute.Pace.AT_ONCE or (is_urgent and route.breaks_through)


def _delivery(event: IncidentEvent, route: AlertRoute, *, now: datetime) -> AlertDelivery:
    is_urgent = event.incident.severity == Incident.Severity.CRITICAL and event.kind != Step.CLOSED
    return AlertDelivery(
        merchant_id=route.merchant_id, route=route, event=event, incident=event.incident, created_at=now,
        dedupe_key=_key(event, route),
        next_attempt_at=routes.may_be_told_at(route, is_urgent=is_urgent, now=now),
    )  # fmt: skip


def _key(event: IncidentEvent, route: AlertRoute) -> str:
    """One thing is told once: to staff an outage, however many of their shops it meets."""
    outage = event.incident.outage_id
    if outage is not None and _is_staffs(route) and route.membership is not None:
        return f"outage:{outage}:{event.kind}:user:{route.membership.user_id}"
    return f"event:{event.pk}:route:{route.pk}"


def make_digests(*, now: datetime) -> int:
    """Make the digest of each route whose hour has come where its shop is; returns how many."""
    made = 0
    paced = AlertRoute.objects.filter(is_on=True, removed_at=None).exclude(pace=AlertRoute.Pace.AT_ONCE)
    for route in paced.select_related("merchant").order_by("pk"):
        local = now.astimezone(ZoneInfo(route.merchant.timezone))
        today = local.date()
        if local.time() < AlertRoute.DIGEST_AT or (route.pace == AlertRoute.Pace.WEEKLY and today.weekday() != 0):
            continue
        if route.digested_on is not None and route.digested_on >= today:
            continue
        with transaction.atomic():
            AlertDelivery.objects.bulk_create(
                [
                    AlertDelivery(
                        merchant_id=route.merchant_id, route=route, about=About.DIGEST, created_at=now,
                        dedupe_key=f"digest:{route.pk}:{today}", next_attempt_at=now,
                    )
                ],
                ignore_conflicts=True,
            )  # fmt: skip
            AlertRoute.objects.filter(pk=route.pk).update(digested_on=today)
        made += 1
    return made


# --- telling them ----------------------------------------------------------------------------------------------


def send_due(*, now: datetime) -> int:
    """Send what is due, one message a route; returns how many messages were tried. Call outside any transaction."""
    claimed = _claim(now=now)
    by_route: defaultdict[int, list[AlertDelivery]] = defaultdict(list)
    for delivery in claimed:
        by_route[delivery.route_id].append(delivery)
    tries = 0
    for mine in by_route.values():
        worth = _worth_telling(mine, now=now)
        for digest in [one for one in worth if one.about == About.DIGEST]:
            tries += _send_digest(digest, now=now)
        events = [one for one in worth if one.about == About.EVENT]
        if events:
            tries += 1
            lines = [wording.line(one.incident, step=one.event.kind) for one in events if one.incident and one.event]
            _send(events, wording.message(merchant=mine[0].route.merchant, lines=lines), now=now)
    return tries


def _claim(*, now: datetime) -> list[AlertDelivery]:
    """Lease what is due, oldest first; a worker that dies lets the lease run out."""
    with transaction.atomic():
        due = AlertDelivery.objects.filter(state=State.PENDING, next_attempt_at__lte=now)
        ids = [
            one.pk for one in due.order_by("next_attempt_at", "pk").select_for_update(skip_locked=True)[:AT_ONCE_MAX]
        ]
        AlertDelivery.objects.filter(pk__in=ids).update(next_attempt_at=now + LEASE)
    found = AlertDelivery.objects.filter(pk__in=ids).select_related(
        "route__merchant", "route__membership__user", "event", "incident__merchant", "incident__outage"
    )
    return list(found.order_by("pk"))


def _worth_telling(mine: Sequence[AlertDelivery], *, now: datetime) -> list[AlertDelivery]:
    """Those that still say something; the others are dropped, with the reason."""
    told = set(
        AlertDelivery.objects.filter(
            route=mine[0].route_id, state=State.SENT, incident__in=[one.incident_id for one in mine if one.incident_id]
        ).values_list("incident", flat=True)
    )
    worth = []
    for one in mine:
        if reason := _needless(one, told=told):
            _end([one], State.DROPPED, now=now, error=reason)
        elif _is_quiet(one):
            AlertDelivery.objects.filter(pk=one.pk).update(next_attempt_at=now + LEASE)
        else:
            worth.append(one)
    return worth


def _is_quiet(one: AlertDelivery) -> bool:
    """Well again, perhaps only for the moment: it waits until that is known."""
    if one.incident is None or one.event is None or one.event.kind == Step.CLOSED:
        return False
    return one.incident.quiet_at is not None


def _needless(one: AlertDelivery, *, told: set[int]) -> str:
    """Why it is no longer worth telling; "" where it is."""
    route, incident = one.route, one.incident
    if not route.is_on or route.removed_at is not None:
        return "the route is switched off"
    if route.membership is not None and not route.membership.user.is_active:
        return "this person no longer signs in"
    if incident is None or one.event is None:
        return ""
    if one.event.kind == Step.CLOSED:
        return "" if incident.pk in told else "nobody here was told that it had opened"
    if incident.resolved_at is not None:
        return "over before it was told"
    if incident.acknowledged_at is not None:
        return "someone is on it"
    return "put off" if incident.snoozed_until is not None else ""


def _send_digest(digest: AlertDelivery, *, now: datetime) -> int:
    route = digest.route
    span = WEEK if route.pace == AlertRoute.Pace.WEEKLY else DAY
    rows = Incident.objects.of(route.merchant).select_related("merchant", "outage")
    if not _is_staffs(route):
        rows = rows.exclude(kind__in=incidents.STAFF_KINDS)
    open_ones = rows.pressing().order_by("-severity", "opened_at", "pk")
    over = rows.filter(resolved_at__gt=now - span, confirmed_at__isnull=False).order_by("-resolved_at", "pk")
    lines = [
        wording.line(one, step=step)
        for step, found in ((Step.OPENED, open_ones), (Step.CLOSED, over))
        for one in found[:AT_ONCE_MAX]
        if route.wants(kind=one.kind, severity=one.severity)
    ]
    if not lines:
        _end([digest], State.DROPPED, now=now, error="nothing to tell")
        return 0
    waiting = sum(not one.is_over for one in lines)
    intro = f"{waiting} open, {len(lines) - waiting} over since the last digest."
    word = "week" if route.pace == AlertRoute.Pace.WEEKLY else "day"
    subject = f"Your {word}: {waiting} open, {len(lines) - waiting} over"
    _send([digest], wording.message(merchant=route.merchant, lines=lines, subject=subject, intro=intro), now=now)
    return 1


def _send(group: Sequence[AlertDelivery], message: wording.Message, *, now: datetime) -> str:
    """One try for all of them; returns what went wrong, "" where nothing did."""
    route = group[0].route
    keys = ",".join(sorted(one.dedupe_key for one in group))
    error = sending.send(route, message, message_id=hashlib.blake2s(keys.encode(), digest_size=16).hexdigest(), now=now)
    with transaction.atomic():
        if not error:
            _end(group, State.SENT, now=now)
            AlertRoute.objects.filter(pk=route.pk).update(last_sent_at=now, failing_since=None)
            return ""
        AlertRoute.objects.filter(pk=route.pk).update(failing_since=Coalesce("failing_since", now))
        _put_off(group, error, now=now)
    return error


def _put_off(group: Sequence[AlertDelivery], error: str, *, now: datetime) -> None:
    for one in group:
        if one.attempts >= len(PAUSES_S):
            _end([one], State.FAILED, now=now, error=error)
            continue
        pause = timedelta(seconds=PAUSES_S[one.attempts] * random.uniform(0.9, 1.1))
        AlertDelivery.objects.filter(pk=one.pk, state=State.PENDING).update(
            attempts=F("attempts") + 1, next_attempt_at=now + pause, error=error[:300]
        )


def _end(group: Sequence[AlertDelivery], state: str, *, now: datetime, error: str = "") -> None:
    AlertDelivery.objects.filter(pk__in=[one.pk for one in group], state=State.PENDING).update(
        state=state, ended_at=now, next_attempt_at=None, error=error[:300], attempts=F("attempts") + 1
    )


def send_test(*, route: AlertRoute, actor: User, now: datetime) -> str:
    """Send a test at once, quiet hours or not; returns what went wrong, "" where nothing did."""
    delivery = AlertDelivery.objects.create(
        merchant_id=route.merchant_id, route=route, about=About.TEST, created_at=now, attempts=len(PAUSES_S),
        dedupe_key=f"test:{route.pk}:{actor.pk}:{now.isoformat()}", next_attempt_at=now + LEASE,
    )  # fmt: skip
    intro = f"{actor.get_full_name()} sent this test. An alert would arrive here."
    return _send([delivery], wording.message(merchant=route.merchant, lines=[], subject="A test", intro=intro), now=now)

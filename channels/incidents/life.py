"""The life of an incident: seen, opened, quiet, back again, closed. Each step is a line of its timeline.

Times come in as `now`; where a room leaves it out, the step happens now. Locks only incident rows, by primary key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from psycopg.types.json import Jsonb

from channels.incidents.policies import POLICIES, policy_of
from channels.models import Incident, IncidentEvent, IncidentSubject
from storestudio.accounts.models import User

Kind = Incident.Kind
Step = IncidentEvent.Kind

_RAISE = """
INSERT INTO channels_incident (merchant_id, connection_id, kind, key, title, detail, severity, variant_id, cell_id,
                               opened_at, confirmed_at, seen_at, times, resolution)
VALUES (%(merchant)s, %(connection)s, %(kind)s, %(key)s, %(title)s, %(detail)s, %(severity)s, %(variant)s, %(cell)s,
        %(now)s, %(confirmed)s, %(now)s, 1, '')
ON CONFLICT (merchant_id, kind, key) WHERE resolved_at IS NULL
DO UPDATE SET seen_at = excluded.seen_at, times = channels_incident.times + %(count)s,
              title = excluded.title, detail = excluded.detail
RETURNING id, xmax = 0
"""


def open_or_count(
    *,
    merchant_id: int,
    kind: str,
    key: str,
    title: str,
    connection_id: int | None = None,
    variant_id: int | None = None,
    cell_id: int | None = None,
    subject: str = "",
    many: str = "",
    is_a_look: bool = False,
    now: datetime | None = None,
    **detail: Any,
) -> int:
    """Open the incident of this cause, or count the open one up; returns its id.

    `subject` names the one thing it is about where the cause may meet several; `many` is the title then, with
    {count}. `is_a_look`: a sweep saw it still there, which is not another time.
    """
    moment = now or timezone.now()
    policy = policy_of(kind)
    values: dict[str, Any] = {
        "merchant": merchant_id, "connection": connection_id, "kind": str(kind), "key": key[:120],
        "title": title[:300], "detail": Jsonb(detail | ({"many": many} if many else {})),
        "severity": policy.severity.value, "variant": variant_id, "cell": cell_id, "now": moment,
        "confirmed": moment if policy.opens_at_once else None, "count": 0 if is_a_look else 1,
    }  # fmt: skip
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute(_RAISE, values)
            pk, is_new = cursor.fetchone()
        if is_new:
            _tell([pk], Step.OPENED if policy.opens_at_once else Step.WATCHED, title, at=moment)
            if policy.does and policy.opens_at_once:
                _tell([pk], Step.DID, policy.does, at=moment)
        else:
            _come_back(pk, title, now=moment, counted=not is_a_look)
        if subject:
            _join(pk, subject[:80], title, is_new=is_new, now=moment, of=(connection_id, variant_id, cell_id))
    return int(pk)


def _come_back(pk: int, title: str, *, now: datetime, counted: bool) -> None:
    quiet = Incident.objects.filter(pk=pk, quiet_at__isnull=False)
    # One that is only watched must hold anew: its time runs from here.
    quiet.filter(confirmed_at=None).update(opened_at=now)
    if quiet.update(quiet_at=None, resolution="", times=F("times") + (0 if counted else 1)):
        _tell([pk], Step.RETURNED, title, at=now)


def _join(
    pk: int, key: str, title: str, *, is_new: bool, now: datetime, of: tuple[int | None, int | None, int | None]
) -> None:
    """Add what it is about, or know again what was well meanwhile."""
    connection_id, variant_id, cell_id = of
    subject, is_first = IncidentSubject.objects.get_or_create(
        incident_id=pk, key=key,
        defaults={
            "title": title[:300], "connection_id": connection_id, "variant_id": variant_id, "cell_id": cell_id,
            "since": now,
        },
    )  # fmt: skip
    if not is_first:
        fresh = {"since": now, "until": None} if subject.until else {}
        IncidentSubject.objects.filter(pk=subject.pk).update(title=title[:300], **fresh)
    if is_first and not is_new:
        _tell([pk], Step.JOINED, title, at=now)
    _retitle(pk)


def _retitle(pk: int) -> None:
    """It names what it is about right now: the one that is left, or how many."""
    left = list(IncidentSubject.objects.filter(incident=pk, until=None).order_by("-since", "-pk")[:1000])
    many = Incident.objects.values_list("detail__many", flat=True).get(pk=pk)
    if len(left) == 1:
        (one,) = left
        Incident.objects.filter(pk=pk).update(title=one.title, variant=one.variant_id, cell=one.cell_id)
    elif left and many:
        variants = {one.variant_id for one in left}
        variant = variants.pop() if len(variants) == 1 else None
        Incident.objects.filter(pk=pk).update(title=many.format(count=len(left))[:300], variant=variant, cell=None)


def resolve(
    *,
    merchant_id: int,
    kind: str,
    key: str = "",
    key_prefix: str = "",
    subject: str = "",
    how: str,
    actor: User | None = None,
    now: datetime | None = None,
) -> int:
    """The cause is gone (or all causes that begin so, or one subject of it): returns how many incidents that ends.

    A person's decision closes at once. Otherwise a kind that may come back is quiet first (`settle` closes it).
    """
    moment = now or timezone.now()
    which = Q(key=key) if key else Q(key__startswith=key_prefix)
    ended = 0
    with transaction.atomic():
        rows = Incident.objects.filter(which, merchant_id=merchant_id, kind=kind, resolved_at=None)
        for incident in rows.order_by("pk").select_for_update(no_key=True, of=("self",)):
            if subject and not _well_again(incident, subject, now=moment):
                continue
            incident.subjects.filter(until=None).update(until=moment)
            ended += _end(incident, how=how, actor=actor, now=moment)
    return ended


def _well_again(incident: Incident, subject: str, *, now: datetime) -> bool:
    """Note that one subject is well; True where it was the last."""
    incident.subjects.filter(key=subject[:80], until=None).update(until=now)
    if not incident.subjects.filter(until=None).exists():
        return True
    _retitle(incident.pk)
    return False


def resolve_others(
    *,
    kind: str,
    standing: Collection[tuple[int, str]],
    subjects: Collection[tuple[int, str, str]],
    how: str,
    now: datetime,
) -> None:
    """After a sweep over everything: what it did not find of this kind, (merchant, key) or subject of it, is gone."""
    rows = Incident.objects.filter(kind=kind, resolved_at=None, quiet_at=None)
    known = list(rows.order_by("pk").values_list("merchant_id", "key"))
    if not known:
        return
    for merchant_id, key in known:
        if (merchant_id, key) not in standing:
            resolve(merchant_id=merchant_id, kind=kind, key=key, how=how, now=now)
    left = IncidentSubject.objects.filter(incident__in=rows, until=None).order_by("pk")
    for merchant_id, key, subject in left.values_list("incident__merchant", "incident__key", "key"):
        if (merchant_id, key, subject) not in subjects:
            resolve(merchant_id=merchant_id, kind=kind, key=key, subject=subject, how=how, now=now)


def _end(incident: Incident, *, how: str, actor: User | None, now: datetime) -> int:
    closes_after = policy_of(incident.kind).closes_after
    if actor is None and closes_after:
        if incident.quiet_at is None:
            incident.quiet_at, incident.resolution = now, how[:300]
            incident.save(update_fields=["quiet_at", "resolution"])
            _tell([incident.pk], Step.QUIET, how, at=now)
        return 1
    _close([incident], how=how, actor=actor, now=now)
    return 1


def _close(rows: Sequence[Incident], *, how: str, actor: User | None, now: datetime) -> None:
    """Close what was open; forget what was only watched, for it never was an incident."""
    watched = [one.pk for one in rows if one.confirmed_at is None]
    Incident.objects.filter(pk__in=watched).delete()
    for incident in rows:
        if incident.pk in watched or incident.confirmed_at is None:
            continue
        words = (how or incident.resolution)[:300]
        Incident.objects.filter(pk=incident.pk).update(
            resolved_at=now, resolution=words, resolved_by=actor, snoozed_until=None
        )
        _tell([incident.pk], Step.CLOSED, words, at=now, actor=actor)


def settle(*, now: datetime) -> None:
    """What time alone does: open what has held, close what stayed well, make urgent what nobody took on, wake.

    Short transactions, one a kind and step; rows that another worker holds are left to it. Kinds of which nothing is
    under way are not asked about.
    """
    under_way = set(Incident.objects.filter(resolved_at=None).order_by().values_list("kind", flat=True).distinct())
    for kind, policy in POLICIES.items():
        if kind not in under_way:
            continue
        mine = Incident.objects.filter(kind=kind, resolved_at=None)
        if policy.closes_after:
            with transaction.atomic():
                _close(_locked(mine.filter(quiet_at__lte=now - policy.closes_after)), how="", actor=None, now=now)
        if not policy.opens_at_once:
            held = Q(opened_at__lte=now - policy.opens_after) | Q(times__gte=policy.opens_at_times)
            _confirm(mine.filter(held, confirmed_at=None, quiet_at=None), does=policy.does, now=now)
        if policy.worse_after is not None:
            late = mine.standing().filter(acknowledged_at=None, confirmed_at__lte=now - policy.worse_after)
            _make_urgent(late.filter(severity__lt=Incident.Severity.CRITICAL), now=now)
    if under_way:
        _wake_due(now=now)


def _locked(rows: Any) -> list[Incident]:
    return list(rows.order_by("pk").select_for_update(no_key=True, skip_locked=True, of=("self",)))


def _confirm(rows: Any, *, does: str, now: datetime) -> None:
    with transaction.atomic():
        found = _locked(rows)
        Incident.objects.filter(pk__in=[one.pk for one in found]).update(confirmed_at=now)
        for incident in found:
            _tell([incident.pk], Step.OPENED, incident.title, at=now)
            if does:
                _tell([incident.pk], Step.DID, does, at=now)


def _make_urgent(rows: Any, *, now: datetime) -> None:
    with transaction.atomic():
        found = [one.pk for one in _locked(rows)]
        Incident.objects.filter(pk__in=found).update(severity=Incident.Severity.CRITICAL)
        _tell(found, Step.WORSE, "It has lasted long, and nobody has taken it on.", at=now)


def _wake_due(*, now: datetime) -> None:
    with transaction.atomic():
        due = [one.pk for one in _locked(Incident.objects.filter(snoozed_until__lte=now, resolved_at=None))]
        Incident.objects.filter(pk__in=due).update(snoozed_until=None)
        _tell(due, Step.WOKEN, "", at=now)


def _tell(ids: Iterable[int], kind: str, words: str, *, at: datetime, actor: User | None = None) -> None:
    IncidentEvent.objects.bulk_create(
        IncidentEvent(incident_id=pk, kind=kind, words=words[:500], at=at, actor=actor) for pk in ids
    )


def tell(incident: Incident, kind: str, words: str, *, at: datetime, actor: User | None) -> None:
    """Add a line to an incident's timeline, in the caller's transaction."""
    _tell([incident.pk], kind, words, at=at, actor=actor)

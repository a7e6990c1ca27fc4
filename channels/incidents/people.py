"""What people do with an incident: take it on, put it off, write down what they know."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import transaction

from channels.incidents.life import tell
from channels.models import Incident, IncidentEvent
from storestudio.accounts import audit
from storestudio.accounts.models import User

Step = IncidentEvent.Kind
SNOOZE_MAX = timedelta(days=30)
MORNING = time(9)


class Over(Exception):
    """The incident was closed meanwhile: there is nothing to do about it any more."""


class WrongMoment(Exception):
    """Why it cannot be put off until then, in words for the person who tried."""


def _locked(pk: int) -> Incident:
    incident: Incident = (
        Incident.objects.select_for_update(no_key=True, of=("self",)).select_related("merchant").get(pk=pk)
    )
    if incident.resolved_at is not None:
        raise Over
    return incident


def acknowledge(*, incident_id: int, actor: User, now: datetime) -> Incident:
    """Take it on: it no longer counts as unseen and does not grow urgent. Twice changes nothing. Raises Over."""
    with transaction.atomic():
        incident = _locked(incident_id)
        if incident.acknowledged_at is None:
            incident.acknowledged_at, incident.acknowledged_by = now, actor
            incident.save(update_fields=["acknowledged_at", "acknowledged_by"])
            tell(incident, Step.ACKNOWLEDGED, "", at=now, actor=actor)
            _note_down(incident, actor, "incident.acknowledged", "taken on")
    return incident


def tomorrow_morning(*, now: datetime, zone: str) -> datetime:
    """Nine o'clock of the next day where the shop is."""
    day = now.astimezone(ZoneInfo(zone)).date() + timedelta(days=1)
    return datetime.combine(day, MORNING, tzinfo=ZoneInfo(zone))


def snooze(*, incident_id: int, until: datetime, actor: User, now: datetime) -> Incident:
    """Put it off: nobody is reminded of it before. Raises Over, WrongMoment."""
    if until <= now:
        raise WrongMoment("That moment is over. Choose one to come.")
    if until - now > SNOOZE_MAX:
        raise WrongMoment(f"It can be put off for {SNOOZE_MAX.days} days at most.")
    with transaction.atomic():
        incident = _locked(incident_id)
        incident.snoozed_until = until
        incident.save(update_fields=["snoozed_until"])
        local = until.astimezone(ZoneInfo(incident.merchant.timezone))
        words = f"until {local:%a %d %b, %H:%M}"
        tell(incident, Step.SNOOZED, words, at=now, actor=actor)
        _note_down(incident, actor, "incident.snoozed", words)
    return incident


def wake(*, incident_id: int, actor: User, now: datetime) -> Incident:
    """Take back that it was put off. Raises Over."""
    with transaction.atomic():
        incident = _locked(incident_id)
        if incident.snoozed_until is not None:
            incident.snoozed_until = None
            incident.save(update_fields=["snoozed_until"])
            tell(incident, Step.WOKEN, "", at=now, actor=actor)
            _note_down(incident, actor, "incident.woken", "no longer put off")
    return incident


def note(*, incident_id: int, text: str, actor: User, now: datetime) -> None:
    """Write something down on its timeline, closed or not."""
    tell(Incident.objects.get(pk=incident_id), Step.NOTED, text, at=now, actor=actor)


def _note_down(incident: Incident, actor: User, action: str, what: str) -> None:
    audit.record(
        actor=actor,
        merchant=incident.merchant,
        action=action,
        target=incident,
        summary=f"{incident.title[:240]}: {what}",
    )

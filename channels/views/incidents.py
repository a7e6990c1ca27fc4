"""Incidents of a shop: the list, one with its timeline, and what a person does about it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.db.models import Case, IntegerField, Q, QuerySet, When
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_POST, require_safe

from channels import health, incidents
from channels.forms import NoteForm, SnoozeForm
from channels.models import Incident
from channels.views.paging import newest_first
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view
from storestudio.accounts.models import Membership

SUBJECTS_SHOWN, EVENTS_SHOWN = 100, 300
STATES = (("open", "Open"), ("snoozed", "Put off"), ("closed", "Closed"))


def sees_evidence(request: ShopRequest) -> bool:
    """StoreStudio's own people: they see the evidence, and what only they can act on."""
    return request.membership.role == Membership.Role.ONBOARDING or request.actor.is_superuser


def _rows(request: ShopRequest) -> QuerySet[Incident]:
    rows: QuerySet[Incident] = Incident.objects.of(request.merchant).filter(confirmed_at__isnull=False)
    return rows if sees_evidence(request) else rows.exclude(kind__in=incidents.STAFF_KINDS)


def _in_state(rows: QuerySet[Incident], state: str) -> QuerySet[Incident]:
    if state == "closed":
        return rows.filter(resolved_at__isnull=False)
    is_snoozed = Q(snoozed_until__isnull=False)
    return rows.filter(is_snoozed if state == "snoozed" else ~is_snoozed, resolved_at=None)


@shop_view()
@require_safe
def incident_list(request: ShopRequest) -> HttpResponse:
    """Every incident of the shop by state, searchable; and how much of what was told was acted on."""
    state = request.GET.get("state", "")
    state = state if state in dict(STATES) else "open"
    kind = request.GET.get("kind", "")
    kind = kind if kind in Incident.Kind.values else ""
    search = request.GET.get("q", "").strip()[:100]
    found = _rows(request)
    if search:
        words = Q(title__icontains=search) | Q(variant__sku__icontains=search) | Q(connection__label__icontains=search)
        found = found.filter(words)
    if kind:
        found = found.filter(kind=kind)
    rows = _in_state(found, state).select_related("connection", "variant__product", "acknowledged_by", "resolved_by")
    context = {
        "page": newest_first(rows, request=request, by="opened_at"),
        "state": state, "search": search, "kind": kind,
        "states": [(value, label, _in_state(found, value).count()) for value, label in STATES],
        "kinds": _kinds(request),
        "acted": incidents.acted_on(merchants=[request.merchant.pk], now=utc_now())[request.merchant.pk],
    }  # fmt: skip
    return render(request, "channels/incidents.html", context)


def _kinds(request: ShopRequest) -> list[tuple[str, str]]:
    hidden = frozenset() if sees_evidence(request) else incidents.STAFF_KINDS
    return [(value, label) for value, label in Incident.Kind.choices if value not in hidden]


def _incident(request: ShopRequest, incident_id: int) -> Incident:
    rows = _rows(request).select_related("connection", "variant__product", "cell", "acknowledged_by", "resolved_by")
    return one_of(rows, merchant=request.merchant, pk=incident_id)


@shop_view()
@require_safe
def incident(request: ShopRequest, incident_id: int) -> HttpResponse:
    """One incident: what it means, what to do, what we did, everything that happened to it."""
    return _page(request, _incident(request, incident_id))


def _page(request: ShopRequest, one: Incident, *, status: int = 200, **forms: Any) -> HttpResponse:
    standing_first = Case(When(until=None, then=0), default=1, output_field=IntegerField())
    subjects = one.subjects.select_related("connection", "variant__product", "cell__channel_location")
    events = one.events.select_related("actor").order_by("-at", "-pk")
    may_act = request.may_manage and one.resolved_at is None
    context = {
        "incident": one, "need": health.need_of(one), "policy": incidents.policy_of(one.kind),
        "subjects": list(subjects.order_by(standing_first, "-since", "pk")[:SUBJECTS_SHOWN]),
        "subject_count": one.subjects.count(),
        "events": list(events[:EVENTS_SHOWN]),
        "evidence": _evidence(one) if sees_evidence(request) else None,
        "may_act": may_act,
        "snooze_form": forms.get("snooze_form") or (SnoozeForm(zone=request.merchant.timezone) if may_act else None),
        "note_form": forms.get("note_form") or NoteForm(),
    }  # fmt: skip
    return render(request, "channels/incident.html", context, status=status)


def _evidence(one: Incident) -> list[tuple[str, str]]:
    """What staff go by: the cause as the code names it, and every fact that came with it."""
    facts = [("Kind and cause", f"{one.kind} · {one.key}"), ("Seen last", f"{one.seen_at:%Y-%m-%d %H:%M:%S} UTC")]
    if one.connection is not None:
        link = one.connection
        facts += [
            ("Connection", f"#{link.pk} · {link.channel} · {link.state} · {link.failures} failures in a row"),
            ("Its last error", link.last_error or "none"),
        ]
    for name, value in one.detail.items():
        if name != "many":
            words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            facts.append((name.replace("_", " ").capitalize(), words))
    return facts


def _back(request: ShopRequest, incident_id: int) -> HttpResponse:
    if request.POST.get("to") == "list":
        return redirect("incidents", shop=request.merchant.slug)
    return redirect("incident", shop=request.merchant.slug, incident_id=incident_id)


def _is_over(request: ShopRequest, incident_id: int) -> HttpResponse:
    messages.info(request, "It was closed meanwhile: nothing is left to do.")
    return _back(request, incident_id)


@shop_view(roles=MAY_MANAGE)
@require_POST
def acknowledge_incident(request: ShopRequest, incident_id: int) -> HttpResponse:
    """This person is on it."""
    one = _incident(request, incident_id)
    try:
        taken = incidents.acknowledge(incident_id=one.pk, actor=request.actor, now=utc_now())
    except incidents.Over:
        return _is_over(request, one.pk)
    who = "You are" if taken.acknowledged_by_id == request.actor.pk else "Somebody is"
    messages.success(request, f"{who} on it. Nobody else is reminded.")
    return _back(request, one.pk)


@shop_view(roles=MAY_MANAGE)
@require_POST
def snooze_incident(request: ShopRequest, incident_id: int) -> HttpResponse:
    """Put it off for an hour, until tomorrow morning, until a moment; or take that back."""
    one = _incident(request, incident_id)
    now = utc_now()
    form = SnoozeForm(request.POST, zone=request.merchant.timezone)
    try:
        if request.POST.get("choice") == "wake":
            incidents.wake(incident_id=one.pk, actor=request.actor, now=now)
            messages.success(request, "It counts again.")
            return _back(request, one.pk)
        if form.is_valid():
            incidents.snooze(incident_id=one.pk, until=form.until_moment(now=now), actor=request.actor, now=now)
            messages.success(request, "Put off. It comes back by itself.")
            return _back(request, one.pk)
    except incidents.WrongMoment as wrong:
        form.add_error("until", str(wrong))
    except incidents.Over:
        return _is_over(request, one.pk)
    return _page(request, one, status=422, snooze_form=form)


@shop_view()
@require_POST
def note_on_incident(request: ShopRequest, incident_id: int) -> HttpResponse:
    """Write down what one knows; whoever may look may say."""
    one = _incident(request, incident_id)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return _page(request, one, status=422, note_form=form)
    incidents.note(incident_id=one.pk, text=form.cleaned_data["text"], actor=request.actor, now=utc_now())
    messages.success(request, "Written down.")
    return _back(request, one.pk)

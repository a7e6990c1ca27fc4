"""How an alert reads: a mail in plain text and simple HTML, a webhook's JSON as Slack takes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import reverse

from channels import incidents
from channels.models import Incident, IncidentEvent
from storestudio.accounts.models import Merchant

BLOCKS_MAX = 20  # Slack takes 50 in a message


@dataclass(frozen=True)
class Line:
    """One incident as it is told: a word on how it stands, its title, what to do, where to look."""

    word: str
    title: str
    to_do: str
    url: str
    is_urgent: bool = False
    is_over: bool = False


@dataclass(frozen=True)
class Message:
    """What one mail or one post says."""

    subject: str
    shop: str
    lines: Sequence[Line]
    preferences_url: str
    intro: str = ""
    more: int = field(default=0)  # lines that did not fit


def line(incident: Incident, *, step: str) -> Line:
    """An incident and what happened to it."""
    is_over = step == IncidentEvent.Kind.CLOSED
    is_urgent = incident.severity == Incident.Severity.CRITICAL
    title = incident.title
    if incident.outage is not None:
        channel = incident.outage.channel.title()
        title = (
            f"{channel} does not answer in several shops."
            if not is_over
            else f"{channel} answers again in several shops."
        )
    return Line(
        word="Over" if is_over else "Urgent" if is_urgent else incident.get_severity_display(),
        title=title,
        to_do=(incident.resolution or "well again") if is_over else incidents.policy_of(incident.kind).to_do,
        url=settings.PUBLIC_URL + reverse("incident", args=[incident.merchant.slug, incident.pk]),
        is_urgent=is_urgent and not is_over,
        is_over=is_over,
    )


def message(*, merchant: Merchant, lines: Sequence[Line], subject: str = "", intro: str = "") -> Message:
    """One message about these incidents; urgent ones first, what is over last."""
    ordered = sorted(lines, key=lambda one: (one.is_over, not one.is_urgent))
    return Message(
        subject=f"[{merchant.name}] {subject or _subject(ordered)}".replace("\n", " ")[:200],
        shop=merchant.name,
        lines=ordered[:BLOCKS_MAX],
        preferences_url=settings.PUBLIC_URL + reverse("alerts", args=[merchant.slug]),
        intro=intro,
        more=max(len(ordered) - BLOCKS_MAX, 0),
    )


def _subject(lines: Sequence[Line]) -> str:
    if len(lines) == 1:
        return f"{lines[0].word}: {lines[0].title}"
    open_ones = sum(not one.is_over for one in lines)
    if not open_ones:
        return f"{len(lines)} incidents are over"
    urgent = sum(one.is_urgent for one in lines)
    needs = "1 incident needs you" if open_ones == 1 else f"{open_ones} incidents need you"
    return f"{needs}, {urgent} urgent" if urgent else needs


def mail(one: Message) -> tuple[str, str]:
    """Plain text and HTML."""
    context = {"message": one}
    return render_to_string("alerts/mail.txt", context), render_to_string("alerts/mail.html", context)


def _escaped(text: str) -> str:
    """As Slack's text wants it: https://api.slack.com/reference/surfaces/formatting#escaping"""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def webhook(one: Message) -> bytes:
    """JSON with `text` for whoever shows one line, and `blocks` for those who show more."""
    blocks: list[dict[str, Any]] = []
    if one.intro:
        blocks.append(_section(_escaped(one.intro)))
    blocks += [
        _section(f"*{_escaped(said.word)}: <{said.url}|{_escaped(said.title)}>*\n{_escaped(said.to_do)}")
        for said in one.lines
    ]
    if one.more:
        blocks.append(_section(f"And {one.more} more."))
    document = {"text": _escaped(one.subject), "blocks": blocks or [_section(_escaped(one.subject))]}
    return json.dumps(document, ensure_ascii=False).encode()


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:3000]}}

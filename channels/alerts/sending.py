"""The two ways out: Django's mail, and a guarded POST."""

from __future__ import annotations

import smtplib
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from channels import credentials
from channels.alerts import routes, wording
from channels.alerts.models import AlertRoute
from channels.connectors.own import client


def send(route: AlertRoute, message: wording.Message, *, message_id: str, now: datetime) -> str:
    """Try once; returns what went wrong in words, "" where nothing did. Call outside any transaction."""
    if route.membership is not None:
        return _mail(route.membership.user.email, message, message_id=message_id)
    return _post(route, message, now=now)


def _mail(address: str, message: wording.Message, *, message_id: str) -> str:
    text, html = wording.mail(message)
    host = urlsplit(settings.PUBLIC_URL).hostname or "localhost"
    headers = {"Message-ID": f"<{message_id}@{host}>", "Auto-Submitted": "auto-generated"}
    made = EmailMultiAlternatives(subject=message.subject, body=text, to=[address], headers=headers)
    made.attach_alternative(html, "text/html")
    try:
        made.send()
    except (OSError, smtplib.SMTPException) as failure:
        return f"the mail server did not take it: {failure}"[:300]
    return ""


def _post(route: AlertRoute, message: wording.Message, *, now: datetime) -> str:
    try:
        url = routes.url_of(route)
    except credentials.UnknownKey as missing:
        return f"its address is encrypted under a key that is gone ({missing})"
    return client.post(
        url, body=wording.webhook(message), headers={"content-type": "application/json"},
        may_be_private=settings.SANDBOX, sent_at=now,
    ).error  # fmt: skip

"""The audit trail: one line for each thing a person (or the machine in their name) changed."""

from typing import Any

from django.db import models

from storestudio.accounts.models import AuditEntry, Merchant, User


def record(
    *, actor: User | None, merchant: Merchant | None, action: str, target: models.Model, summary: str, **detail: Any
) -> None:
    """Write one entry in the caller's transaction; `detail` holds before and after, JSON-ready."""
    AuditEntry.objects.create(
        actor=actor,
        merchant=merchant,
        action=action,
        object_type=target._meta.label,
        object_id=str(target.pk),
        summary=summary[:300],
        detail=detail,
    )

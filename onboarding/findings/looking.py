"""When a catalog is looked through: when somebody asks, when an import was applied or undone, and once at the start.

The run's row is the truth; a lost message costs seconds, until the sweep.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import current_app
from django.db import transaction
from django.db.models import Max, Q
from django.utils.timezone import now as utc_now
from kombu.exceptions import KombuError

from channels.models import Connection
from onboarding.findings import detecting
from onboarding.models import FindingRun, ImportBatch
from storestudio.accounts.models import Merchant

TASK = "onboarding.tasks.look_for_findings"
LEASE = timedelta(minutes=15)
log = logging.getLogger(__name__)


def ask(merchant: Merchant) -> FindingRun:
    """Have this shop's catalog looked through soon, by a worker; asking twice is asking once."""
    with transaction.atomic():
        run: FindingRun = FindingRun.objects.get_or_create(merchant=merchant)[0]
        FindingRun.objects.filter(pk=run.pk).update(asked_at=utc_now(), error="")
        transaction.on_commit(lambda: _send(merchant.pk))
    run.refresh_from_db()
    return run


def look(*, merchant_id: int) -> bool:
    """Look now, if somebody asked and nobody else has it; returns whether it was done. The lease ends by itself."""
    now = utc_now()
    waiting = FindingRun.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), merchant=merchant_id)
    if not waiting.filter(asked_at__isnull=False).update(lease_until=now + LEASE, stage="", done=0, total=0):
        return False
    run = FindingRun.objects.select_related("merchant").get(merchant=merchant_id)
    mine = FindingRun.objects.filter(pk=run.pk)

    def tell(stage: str, done: int, total: int) -> None:
        mine.update(stage=stage[:60], done=done, total=total, lease_until=utc_now() + LEASE)

    try:
        counts = detecting.detect(merchant=run.merchant, on_progress=tell)
    except Exception as error:
        told = f"{type(error).__name__}: {error}"[:300]
        mine.update(lease_until=None, asked_at=None, looked_at=now, error=told)  # not at once again
        raise
    # Asked again meanwhile: it waits on.
    mine.filter(asked_at=run.asked_at).update(asked_at=None)
    mine.update(lease_until=None, looked_at=now, counts=counts, error="")
    return True


def due() -> list[int]:
    """Shops that wait for a look and that no worker has."""
    for merchant in _moved():
        ask(merchant)
    now = utc_now()
    free = FindingRun.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), asked_at__isnull=False)
    return list(free.order_by("asked_at").values_list("merchant", flat=True))


def _moved() -> list[Merchant]:
    """Shops with a catalog that was never looked at, or that an import has changed since the last look began."""
    looked = dict(FindingRun.objects.values_list("merchant", "looked_at"))
    asked = set(FindingRun.objects.filter(asked_at__isnull=False).values_list("merchant", flat=True))
    read = Connection.objects.filter(catalog_read_until__isnull=False).values_list("merchant", flat=True)
    ended = [ImportBatch.State.APPLIED, ImportBatch.State.UNDONE]
    newest = ImportBatch.objects.filter(state__in=ended).values("merchant").annotate(at=Max("changed_at")).order_by()
    moved = {pk for pk in read.distinct().order_by() if pk not in looked}
    for pk, at in newest.values_list("merchant", "at"):
        before = looked.get(pk)
        if before is None or before < at:
            moved.add(pk)
    return list(Merchant.objects.filter(pk__in=moved - asked).order_by("pk"))


def _send(merchant_id: int) -> None:
    try:
        current_app.send_task(TASK, kwargs={"merchant_id": merchant_id}, retry=False)
    except (KombuError, OSError) as error:
        log.warning("no worker was woken for the findings of merchant %s: %s", merchant_id, error)

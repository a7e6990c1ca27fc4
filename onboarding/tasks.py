"""Entry points of the workers: one call into a rule each. Running one twice changes nothing."""

from __future__ import annotations

import contextlib
from typing import Any

from celery import shared_task

from onboarding import mapping
from onboarding.findings import bulk, looking
from onboarding.importing import waking, working
from onboarding.writeback import sending
from onboarding.writeback import waking as writeback_waking

LONG_S = 900  # reading a large file up to where the last slice stopped may take minutes


@shared_task(time_limit=LONG_S)
def work_on_import(*, batch_id: int, **_: Any) -> None:
    """One slice of one import; where more is to be done the next slice waits in line behind other work."""
    if working.work(batch_id=batch_id):
        waking.send(batch_id)


@shared_task
def sweep_imports(**_: Any) -> None:
    """Take up imports whose message was lost or whose worker died; let go of files nobody decided about."""
    for batch_id in working.due():
        waking.send(batch_id)
    working.purge()


@shared_task(time_limit=LONG_S)
def build_mapping(*, connection_id: int, **_: Any) -> None:
    """Make the suggestions of one connection anew."""
    with contextlib.suppress(mapping.Busy):
        mapping.build(connection_id=connection_id)


@shared_task
def sweep_mapping(**_: Any) -> None:
    """Suggestions that somebody waits for, whether their message arrived or not."""
    for connection_id in mapping.due():
        build_mapping.delay(connection_id=connection_id)


@shared_task(time_limit=LONG_S)
def send_catalog_write(*, write_id: int, **_: Any) -> None:
    """One slice of an approved write to a channel's catalog; the next slice waits in line behind other work."""
    if sending.work(write_id=write_id):
        writeback_waking.send(write_id)


@shared_task
def sweep_catalog_writes(**_: Any) -> None:
    """Take up writes whose message was lost, whose worker died, or whose channel asked for a rest."""
    for write_id in sending.due():
        writeback_waking.send(write_id)


@shared_task(time_limit=LONG_S)
def look_for_findings(*, merchant_id: int, **_: Any) -> None:
    """Look through one shop's catalog for what is wrong."""
    looking.look(merchant_id=merchant_id)


@shared_task(time_limit=LONG_S)
def accept_in_bulk(*, bulk_id: int, **_: Any) -> None:
    """One slice of the findings accepted together; the next slice waits in line behind other work."""
    if bulk.work(bulk_id=bulk_id):
        bulk.wake(bulk_id)


@shared_task
def sweep_findings(**_: Any) -> None:
    """Catalogs to look through, asked for or changed by an import; accepted findings that wait for a worker."""
    for merchant_id in looking.due():
        look_for_findings.delay(merchant_id=merchant_id)
    for bulk_id in bulk.due():
        bulk.wake(bulk_id)

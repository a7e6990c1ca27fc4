"""Sending an approved write: a lease that expires, a fresh read before each call, one outcome a line.

A call is bound before it is made: its lines get one key and the channel's own document of each, in one commit. A
worker that dies leaves lines that are sent again with the same key and the same documents, so that they take effect
once. A listing that is not as it was when a person said yes is stale: it is left alone, and what is there is kept.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now as utc_now

from channels import contact, credentials, linking, registry
from channels.models import Connection, Listing
from channels.ports import (
    Capabilities,
    Connector,
    ConnectorError,
    ListingNow,
    ListingResult,
    ListingWrite,
    WriteOutcome,
)
from inventory import identifiers
from onboarding.models import CatalogWrite, CatalogWriteLine
from onboarding.writeback import deciding, fields
from storestudio.accounts import audit

LEASE = timedelta(seconds=120)  # longer than a call's time-outs: a write is taken up again only if its worker died
VARIANTS_MAX = 250  # of one product in one call: as many as an input list takes
SLICE_S = 10.0  # then the worker lets other work have its turn
State, Outcome = CatalogWrite.State, CatalogWriteLine.Outcome
Line = CatalogWriteLine
LINE_FIELDS = ["outcome", "message", "there", "answered_at", "sent_at", "own", "idempotency_key", "goes_alone"]
LISTING_FIELDS = ["sku", "sku_key", "gtin", "barcode", "options", "title", "is_tracked", "sells_past_zero"]


def due() -> list[int]:
    """Writes that wait for a worker, the longest-waiting first; none of a channel that rests or is paused."""
    now = utc_now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    awake = Q(connection__resting_until=None) | Q(connection__resting_until__lte=now)
    may = Q(connection__state=Connection.State.LIVE) | Q(
        connection__state=Connection.State.PAUSED, connection__approved_at=None
    )
    rows = CatalogWrite.objects.filter(free, awake, may, state=State.SENDING, next_attempt_at__lte=now)
    return list(rows.order_by("next_attempt_at", "pk").values_list("pk", flat=True))


def work(*, write_id: int, slice_s: float = SLICE_S) -> bool:
    """Take the write up for one slice; whether more can be sent at once. False also where another worker has it."""
    now = utc_now()
    free = Q(lease_until=None) | Q(lease_until__lt=now)
    mine = CatalogWrite.objects.filter(free, pk=write_id, state=State.SENDING, next_attempt_at__lte=now)
    if not mine.update(lease_until=now + LEASE):
        return False
    write = CatalogWrite.objects.select_related("connection", "merchant").get(pk=write_id)
    until, goes_on = time.monotonic() + slice_s, True
    while goes_on and time.monotonic() < until:
        CatalogWrite.objects.filter(pk=write_id).update(lease_until=utc_now() + LEASE)
        goes_on = _step(write)
    CatalogWrite.objects.filter(pk=write_id).update(lease_until=None)
    return goes_on


def _step(write: CatalogWrite) -> bool:
    """One call's worth; whether to go on at once."""
    write.connection.refresh_from_db()
    resting = write.connection.resting_until
    if deciding.blocked_reason(write.connection) or (resting is not None and resting > utc_now()):
        return False
    capabilities = registry.capabilities(write.connection.channel)
    try:
        lines = _under_way(write) or _bind(write, capabilities)
        if lines is None:
            _finish(write)
            return False
        if not lines:
            return True
        _send(write, lines)
    except ConnectorError as error:
        _failed(write, error)
        return False
    contact.heard(connection_id=write.connection_id)
    CatalogWrite.objects.filter(pk=write.pk).update(attempts=0, error="")
    write.attempts = 0
    return True


def _waiting(write: CatalogWrite, capabilities: Capabilities) -> list[Line]:
    """The next lines, enough for a call and for the whole of its last product."""
    lines = write.lines.filter(outcome=Outcome.WAITING, is_excluded=False).select_related("listing")
    ordered = lines.order_by("goes_alone", "listing__product_external_id", "pk")
    return list(ordered[: capabilities.listing_batch_max + VARIANTS_MAX])


def _under_way(write: CatalogWrite) -> list[Line]:
    """The lines of a call that was bound and never answered: sent again as it was."""
    bound = write.lines.filter(outcome=Outcome.WAITING, sent_at__isnull=False)
    first = bound.order_by("sent_at", "pk").values_list("idempotency_key", flat=True).first()
    if first is None:
        return []
    return list(bound.filter(idempotency_key=first).select_related("listing").order_by("pk"))


def _bind(write: CatalogWrite, capabilities: Capabilities) -> list[Line] | None:
    """The next lines, read anew and bound to one call; those that need none are settled. None: none are left.

    Raises ConnectorError.
    """
    chosen = _next(_waiting(write, capabilities), capabilities)
    if not chosen:
        return None
    there = _read(write, chosen, capabilities)
    now, key = utc_now(), uuid.uuid4()
    to_send: list[Line] = []
    for line in chosen:
        found = there.get(line.listing.external_id)
        if found is None:
            _settle(line, Outcome.STALE, "It is not there any more.")
        elif fields.is_as(line.after, found.fields) and not _is_renamed_only(line, found):
            _settle(line, Outcome.APPLIED, "It was so already.")
        elif not fields.is_as(_seen(line), found.fields):
            _settle(line, Outcome.STALE, "It was changed there since the yes.", there=found)
        else:
            line.own, line.sent_at, line.idempotency_key = dict(found.own), now, key
            to_send.append(line)
    with transaction.atomic():
        Line.objects.bulk_update(chosen, LINE_FIELDS)
    return to_send


def _seen(line: Line) -> fields.Json:
    """As it was when a person said yes; of a product whose options an earlier call renamed, that is no change."""
    names = line.after.get("option_names")
    before: fields.Json = line.before
    return before | ({"option_names": names} if names else {})


def _is_renamed_only(line: Line, found: ListingNow) -> bool:
    """Whether the values are right and an option still has its old name."""
    return bool(line.after.get("option_names")) and dict(found.fields.options or {}) != line.after["options"]


def _next(waiting: Sequence[Line], capabilities: Capabilities) -> list[Line]:
    """As many as one call takes; variants of one product go together, for they share its options."""
    if not waiting or waiting[0].goes_alone:
        return list(waiting[:1])
    chosen: list[Line] = []
    for line in waiting:
        is_new = not chosen or line.listing.product_external_id != chosen[-1].listing.product_external_id
        is_full = len(chosen) >= (capabilities.listing_batch_max if is_new else VARIANTS_MAX)
        if line.goes_alone or is_full:
            break
        chosen.append(line)
    return chosen


def _read(write: CatalogWrite, lines: Sequence[Line], capabilities: Capabilities) -> dict[str, ListingNow]:
    names = [line.listing.external_id for line in lines]
    found: dict[str, ListingNow] = {}
    for start in range(0, len(names), capabilities.listing_reads_max):
        chunk = names[start : start + capabilities.listing_reads_max]

        def read(connector: Connector, chunk: Sequence[str] = chunk) -> Sequence[ListingNow]:
            return connector.read_listings(external_ids=chunk)

        found |= {one.external_id: one for one in credentials.with_fresh_token(write.connection_id, read)}
    return found


def _send(write: CatalogWrite, lines: Sequence[Line]) -> None:
    """Make one call and settle its lines. Raises ConnectorError: the lines stay bound to the call."""
    writes = [
        ListingWrite(
            external_id=line.listing.external_id,
            inventory_id=line.listing.inventory_id,
            product_external_id=line.listing.product_external_id,
            before=line.own or {},
            after=fields.to_fields(line.after),
            put_back=line.put_back,
        )
        for line in lines
    ]

    def tell(connector: Connector) -> Sequence[ListingResult]:
        return connector.write_listings(
            writes=writes, idempotency_key=str(lines[0].idempotency_key), now=lines[0].sent_at or utc_now()
        )

    results = credentials.with_fresh_token(write.connection_id, tell)
    with transaction.atomic():
        for line, result in zip(lines, results, strict=True):
            _take(line, result)
        Line.objects.bulk_update(lines, LINE_FIELDS)
        _remember({line.listing_id: result.now for line, result in zip(lines, results, strict=True) if result.now})
    if all(result.outcome == WriteOutcome.SKIPPED for result in results):
        raise ConnectorError("The channel wrote nothing of it and does not say why", code="ALL_SKIPPED")


def _take(line: Line, result: ListingResult) -> None:
    if result.outcome == WriteOutcome.SKIPPED:
        # A neighbour was to blame. Nothing was written, so its next call is a new one, and by itself.
        line.own, line.sent_at, line.goes_alone = None, None, True
        return
    is_applied = result.outcome == WriteOutcome.APPLIED
    _settle(line, str(result.outcome), result.message, there=None if is_applied else result.now)


def _settle(line: Line, outcome: str, message: str = "", *, there: ListingNow | None = None) -> None:
    line.outcome, line.message, line.answered_at = outcome, message[:300], utc_now()
    line.there = fields.told(there.fields, line.after) if there is not None else None


def _remember(there: Mapping[int, ListingNow]) -> None:
    """Our listings as the channel shows them now, so that reading its catalog afterwards changes nothing."""
    rows = list(Listing.objects.filter(pk__in=there).order_by("pk").select_for_update())
    for row in rows:
        now = there[row.pk].fields
        row.sku, row.sku_key = (now.sku or "")[:200], identifiers.sku_key(now.sku or "")[:200]
        row.barcode, row.gtin = (now.gtin or "")[:255], identifiers.gtin(now.gtin or "")
        row.options, row.title = dict(now.options or {}), there[row.pk].title[:300]
        row.is_tracked, row.sells_past_zero = bool(now.is_tracked), bool(now.sells_past_zero)
    Listing.objects.bulk_update(rows, LISTING_FIELDS)


def _failed(write: CatalogWrite, error: ConnectorError) -> None:
    """The same call again later, or its lines one by one where repeating it cannot help."""
    contact.failed(connection_id=write.connection_id, error=error)
    if error.permanent and not error.needs_reconnect:
        _part(_under_way(write), error)
    wait_s = error.retry_after_s if error.retry_after_s is not None else contact.backoff_s(write.attempts)
    write.attempts += 1
    CatalogWrite.objects.filter(pk=write.pk).update(
        attempts=write.attempts, error=str(error)[:300], next_attempt_at=utc_now() + timedelta(seconds=wait_s)
    )


def _part(lines: Sequence[Line], error: ConnectorError) -> None:
    for line in lines:
        if len(lines) == 1:
            _settle(line, Outcome.REFUSED, str(error))
        else:
            line.own, line.sent_at, line.goes_alone = None, None, True
    Line.objects.bulk_update(lines, LINE_FIELDS)


def _finish(write: CatalogWrite) -> None:
    with transaction.atomic():
        ended = CatalogWrite.objects.filter(pk=write.pk, state=State.SENDING).update(
            state=State.DONE, finished_at=utc_now(), error=""
        )
        if not ended:
            return
        lines = deciding.included(write)
        applied = lines.filter(outcome=Outcome.APPLIED)
        if applied.filter(after__has_key="is_tracked").exists():
            linking.ensure_cells(write.connection)
        audit.record(
            actor=write.approved_by, merchant=write.merchant, action="writeback.sent", target=write,
            summary=f"{applied.count()} of {lines.count()} listings of {write.connection.label} written",
        )  # fmt: skip

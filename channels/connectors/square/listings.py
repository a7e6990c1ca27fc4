"""Writing catalog fields to Square: the whole variation back under its version, each in a batch of its own.

https://developer.squareup.com/reference/square/catalog-api/batch-upsert-catalog-objects (Square-Version 2026-09-16):
a batch is all or nothing, and an error in one leaves the others; an object whose `version` is not the current one is
refused. So a variation that somebody touched meanwhile is never overwritten, and it stops no other.
"""

from __future__ import annotations

from collections.abc import Sequence

from channels.connectors.square import paging
from channels.connectors.square.client import Client
from channels.connectors.square.mapping import listings
from channels.connectors.square.mapping.values import Json
from channels.ports import ConnectorError, ListingNow, ListingResult, ListingWrite, WriteOutcome

READS_MAX = 1_000  # object_ids of one catalog/batch-retrieve


def read(client: Client, *, external_ids: Sequence[str]) -> list[ListingNow]:
    """Variations as they are now; deleted ones are missing."""
    return [listings.now(entry) for entry in _variations(client, external_ids).values()]


def _variations(client: Client, ids: Sequence[str]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for chunk in paging.chunks(list(dict.fromkeys(ids)), READS_MAX):
        rows = paging.rows(client.retrieve_catalog(body={"object_ids": chunk}), "objects")
        found |= {
            str(entry["id"]): entry
            for entry in rows
            if entry.get("type") == "ITEM_VARIATION" and not entry.get("is_deleted")
        }
    return found


def write(client: Client, *, writes: Sequence[ListingWrite], idempotency_key: str) -> list[ListingResult]:
    """All that may be written in one call; what the answer does not show as written is looked up.

    The body follows from the writes alone, so that a repeat is the same to the letter and Square answers as before.
    """
    refused = {write.external_id: words for write in writes if (words := listings.refusal(write))}
    sent = [write for write in writes if write.external_id not in refused]
    shown, failures = _upsert(client, sent, idempotency_key=idempotency_key) if sent else ({}, {})
    missing = [write.external_id for write in sent if write.external_id not in shown]
    there = _variations(client, missing) if missing else {}
    results = []
    for one in writes:
        if one.external_id in refused:
            results.append(ListingResult(WriteOutcome.REFUSED, refused[one.external_id]))
        elif one.external_id in shown:
            results.append(ListingResult(WriteOutcome.APPLIED, now=listings.now(shown[one.external_id])))
        else:
            words = failures.get(one.external_id, "")
            results.append(_looked_up(one, there.get(one.external_id), words, is_alone=len(sent) == 1))
    return results


def _upsert(
    client: Client, sent: Sequence[ListingWrite], *, idempotency_key: str
) -> tuple[dict[str, Json], dict[str, str]]:
    """Objects as written, by id, and what Square said of those it named as wrong. Raises ConnectorError."""
    body = {
        "idempotency_key": idempotency_key,
        "batches": [{"objects": [listings.changed(write)]} for write in sent],
    }
    try:
        reply = client.upsert_catalog(body=body)
    except ConnectorError as error:
        # An error status means that every batch failed, or that the call as such was refused. Only the former says
        # anything of the objects.
        if not error.permanent or error.needs_reconnect:
            raise
        return {}, {write.external_id: str(error) for write in sent} if len(sent) == 1 else {}
    shown = {str(entry["id"]): entry for entry in paging.rows(reply, "objects")}
    return shown, _blamed(reply.body.get("errors") or [], sent)


def _blamed(errors: Sequence[Json], sent: Sequence[ListingWrite]) -> dict[str, str]:
    """Errors by the object they name: `batches[3].objects[0]…`."""
    blamed: dict[str, str] = {}
    for error in errors:
        number = str(error.get("field") or "").partition("batches[")[2].partition("]")[0]
        is_passing = str(error.get("category")) in ("API_ERROR", "RATE_LIMIT_ERROR")
        if number.isdecimal() and int(number) < len(sent) and not is_passing:
            blamed[sent[int(number)].external_id] = f"{error.get('code')}: {error.get('detail') or ''}".strip()
    return blamed


def _looked_up(write: ListingWrite, there: Json | None, words: str, *, is_alone: bool) -> ListingResult:
    """What became of a variation that the answer does not show as written."""
    if there is None:
        return ListingResult(WriteOutcome.STALE, "It is not there any more.")
    now = listings.now(there)
    if listings.is_as_wanted(write, there):
        return ListingResult(WriteOutcome.APPLIED, now=now)
    if there.get("version") != write.before.get("version"):
        return ListingResult(WriteOutcome.STALE, "It was changed at Square meanwhile.", now=now)
    if words or is_alone:
        return ListingResult(WriteOutcome.REFUSED, words or "Square did not take it.", now=now)
    return ListingResult(WriteOutcome.SKIPPED, now=now)

"""Uploaded files: kept in pieces of 1 MB in the database, so that any worker on any machine can read them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from typing import Any

from django.db import transaction

from onboarding.importing import waking
from onboarding.models import ImportBatch, ImportChunk
from storestudio.accounts import audit
from storestudio.accounts.models import Merchant, User

PIECE = 1 << 20
BYTES_MAX = 256 << 20
ENDINGS = (".csv", ".tsv", ".txt", ".xlsx")


class CannotTake(Exception):
    """Why this file is not taken, in words for the person who sent it. Nothing was kept."""


def take(
    *, merchant: Merchant, actor: User | None, file_name: str, pieces: Iterable[bytes], name: str = ""
) -> ImportBatch:
    """Keep an uploaded file as a new batch that waits to be read. Raises CannotTake.

    One piece is in memory at a time, whatever the file's size.
    """
    file_name = file_name.replace("\\", "/").rsplit("/", 1)[-1][:255]
    if not file_name.lower().endswith(ENDINGS):
        raise CannotTake(f"“{file_name}” is no CSV or XLSX file. Export it as one of these.")
    with transaction.atomic():
        batch = ImportBatch.objects.create(
            merchant=merchant, name=(name or file_name)[:200], file_name=file_name, created_by=actor
        )
        size, digest = _keep(batch, pieces)
        batch.file_size, batch.file_digest = size, digest
        batch.save(update_fields=["file_size", "file_digest"])
        audit.record(
            actor=actor, merchant=merchant, action="import.uploaded", target=batch,
            summary=f"{file_name} uploaded to be looked at", bytes=size, sha256=digest,
        )  # fmt: skip
        waking.wake(batch.pk)
    return batch


def _keep(batch: ImportBatch, pieces: Iterable[bytes]) -> tuple[int, str]:
    digest, size, place, waiting = hashlib.sha256(), 0, 0, bytearray()
    for piece in pieces:
        size += len(piece)
        if size > BYTES_MAX:
            raise CannotTake(f"The file is larger than {BYTES_MAX >> 20} MB. Split it, or export fewer columns.")
        digest.update(piece)
        waiting += piece
        while len(waiting) >= PIECE:
            ImportChunk.objects.create(batch=batch, place=place, body=bytes(waiting[:PIECE]))
            del waiting[:PIECE]
            place += 1
    if waiting:
        ImportChunk.objects.create(batch=batch, place=place, body=bytes(waiting))
    if not size:
        raise CannotTake("The file is empty: it has 0 bytes. Export it again.")
    return size, digest.hexdigest()


def earlier(batch: ImportBatch) -> ImportBatch | None:
    """The newest batch that was applied from the very same bytes, if there is one."""
    if not batch.file_digest:
        return None
    same = ImportBatch.objects.filter(merchant=batch.merchant_id, file_digest=batch.file_digest)
    return same.filter(applied_at__isnull=False).exclude(pk=batch.pk).order_by("-applied_at", "-pk").first()


def discard_pieces(batch: ImportBatch) -> None:
    """Let go of the file: its rows are staged, and nobody will read it anew."""
    ImportChunk.objects.filter(batch=batch).delete()


class StoredFile(io.RawIOBase):
    """A batch's file, read-only and seekable; at most two pieces are in memory."""

    KEPT = 2

    def __init__(self, batch: ImportBatch) -> None:
        super().__init__()
        self._batch_id = batch.pk
        self._size = batch.file_size
        self._at = 0
        self._pieces: dict[int, bytes] = {}

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always: spreadsheets are read from their end."""
        return True

    def tell(self) -> int:
        """The place, in bytes from the start."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; before the start is the start's error, beyond the end is allowed, as files do it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("before the start of the file")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the piece at this place; fewer bytes at the end of a piece."""
        if self._at >= self._size:
            return 0
        place, offset = divmod(self._at, PIECE)
        part = self._piece(place)[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _piece(self, place: int) -> bytes:
        if place not in self._pieces:
            while len(self._pieces) >= self.KEPT:
                self._pieces.pop(next(iter(self._pieces)))
            body = ImportChunk.objects.values_list("body", flat=True).get(batch=self._batch_id, place=place)
            self._pieces[place] = bytes(body)
        return self._pieces[place]


def opened(batch: ImportBatch) -> io.BufferedReader:
    """The batch's file as a binary stream."""
    return io.BufferedReader(StoredFile(batch), buffer_size=1 << 16)

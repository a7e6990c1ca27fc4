"""How the vendor writes times, ids and numbers, and how it numbers changes."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from channels.sandbox.lightspeed.errors import LightspeedError
from channels.sandbox.lightspeed.models import Retailer

Json = dict[str, Any]


def stamp(moment: datetime | None) -> str | None:
    """ISO to the second, with the zone."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def old_stamp(moment: datetime | None) -> str | None:
    """As API 1.0 writes some of its times: UTC without saying so."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def read_uuid(value: object, *, field: str) -> uuid.UUID:
    """Raises LightspeedError (422)."""
    try:
        return uuid.UUID(str(value))
    except ValueError as error:
        raise LightspeedError(422, f"{field} is not a UUID: {value}") from error


def read_number(value: object, *, field: str) -> Decimal:
    """A number, or one as text. Raises LightspeedError (422)."""
    try:
        number = Decimal(str(value))
    except InvalidOperation as error:
        raise LightspeedError(422, f"{field} is not a number: {value}") from error
    if isinstance(value, bool) or not number.is_finite() or len(str(value)) > 32:
        raise LightspeedError(422, f"{field} is not a number: {value}")
    return number.quantize(Decimal("0.00001"))


def locked(retailer: Retailer) -> Retailer:
    """The retailer's row, locked: changes of one retailer come one after another, so that versions commit in order."""
    return Retailer.objects.select_for_update().get(pk=retailer.pk)


def versions(retailer: Retailer) -> Iterator[int]:
    """The next versions of a locked retailer, one a change; each is kept as it is taken."""
    while True:
        retailer.version += 1
        Retailer.objects.filter(pk=retailer.pk).update(version=retailer.version)
        yield retailer.version


def next_version(retailer: Retailer) -> int:
    """One version."""
    return next(versions(retailer))

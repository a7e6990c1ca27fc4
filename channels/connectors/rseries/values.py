"""The small values of R-Series' objects: every value is text, and what points nowhere is "0"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from channels.ports import ConnectorError

Json = Mapping[str, Any]
ZERO = Decimal(0)


def unreadable(what: str) -> ConnectorError:
    """An answer that does not say what it must; nothing may be concluded from it."""
    return ConnectorError(f"Lightspeed's answer cannot be read: {what}", permanent=True, code="UNREADABLE")


def rows(holder: Any, name: str) -> list[Json]:
    """Rows of a list or a relation: of one row it is an object, of none the key is missing or all of it an empty text.

    Raises ConnectorError for anything else.
    """
    if holder in ("", None):
        return []
    found = holder.get(name, []) if isinstance(holder, Mapping) else None
    listed = [found] if isinstance(found, Mapping) else found
    if not isinstance(listed, list) or not all(isinstance(row, Mapping) for row in listed):
        raise unreadable(f"{name} is no list of objects")
    return listed


def row(holder: Json, name: str) -> Json:
    """The one object of an answer. Raises ConnectorError."""
    found = holder.get(name)
    if not isinstance(found, Mapping):
        raise unreadable(f"no {name}")
    return found


def text(value: Any) -> str:
    """Text; the empty one for null."""
    return "" if value is None else str(value)


def ref(value: Any) -> str:
    """A foreign key; "" for the one that points nowhere."""
    return "" if text(value) in ("", "0") else text(value)


def is_true(value: Any) -> bool:
    """Truth comes as text."""
    return text(value) == "true"


def quantity(value: Any) -> Decimal:
    """A number as text. Raises ConnectorError."""
    try:
        parsed = Decimal(text(value))
    except InvalidOperation:
        raise unreadable(f"quantity {value!r}") from None
    if not parsed.is_finite():
        raise unreadable(f"quantity {value!r}")
    return parsed


def moment(value: Any) -> datetime | None:
    """Aware UTC; None where there is none."""
    try:
        parsed = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def happened(row: Json, field: str) -> datetime:
    """A time that must be there. Raises ConnectorError."""
    found = moment(row.get(field))
    if found is None:
        raise unreadable(f"no {field}")
    return found


def since(at: datetime) -> str:
    """“At this time or later”, as filters have it; times there are counted in seconds."""
    return f">=,{at.astimezone(UTC).replace(microsecond=0).isoformat()}"


def any_of(ids: Iterable[str]) -> str:
    """“One of these”, at most 100, as filters have it."""
    return f"IN,[{','.join(ids)}]"


def numbers(ids: Iterable[str]) -> list[str]:
    """Those that can be ids there, each once, in order."""
    return sorted({name for name in ids if name.isdecimal()}, key=int)


def chunks(ids: Sequence[str], size: int) -> list[list[str]]:
    return [list(ids[start : start + size]) for start in range(0, len(ids), size)]

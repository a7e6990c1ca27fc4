"""What an operation of the API is, what it is called with and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from channels.own.models import Scope
from channels.own.tokens import Caller

Json = dict[str, Any]


@dataclass(frozen=True)
class Parameter:
    """One value in the address, the query or the headers. `read` raises ValueError with words for the caller."""

    name: str
    place: str  # "path", "query" or "header"
    schema: Json
    read: Callable[[str], Any]
    description: str
    is_list: bool = False
    is_required: bool = False


@dataclass(frozen=True)
class Call:
    """One request, checked: who, when, with what."""

    caller: Caller
    now: datetime
    values: Mapping[str, Any]
    body: Any = None


@dataclass(frozen=True)
class Reply:
    """What is answered; `headers` beside the usual ones."""

    document: Json
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One method of one address.

    `replies`: status → (shape, words). `problems`: the kinds it may end in beside those of every call.
    """

    method: str
    path: str
    name: str
    tag: str
    scope: Scope
    summary: str
    description: str
    handle: Callable[[Call], Reply]
    replies: Mapping[int, tuple[type[BaseModel], str]]
    parameters: tuple[Parameter, ...] = ()
    body: type[BaseModel] | None = None
    problems: tuple[str, ...] = ()
    example: Json | None = None

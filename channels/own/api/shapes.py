"""What the API takes and gives, as the document at /api/v1/openapi.json says it: nothing else is let in."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    Tag,
    WithJsonSchema,
)

from channels.own.site import Address, Asked

QUANTITY_MAX = 1_000_000
LINES_MAX = 100
TTL_MAX_S = 24 * 3600
ID_MAX = 2**53 - 1  # what every JSON reader keeps exactly
# Above zero, and zero or above; at most 999 999.99999 as text.
_POSITIVE = (
    r"^(?:[1-9][0-9]{0,5}(?:\.[0-9]{1,5})?"
    r"|0\.(?:[1-9][0-9]{0,4}|0[1-9][0-9]{0,3}|00[1-9][0-9]{0,2}|000[1-9][0-9]?|0000[1-9]))$"
)
_DECIMAL = r"^(?:0|[1-9][0-9]{0,5})(?:\.[0-9]{1,5})?$"


def _as_int(value: Any) -> Any:
    """JSON knows one kind of number: 3.0 is the whole number 3."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _exactly(pattern: str) -> BeforeValidator:
    """A whole number, or a decimal as text: floats are not exact, so they are not taken."""
    compiled = re.compile(pattern)

    def check(value: Any) -> Decimal:
        value = _as_int(value)
        is_text = isinstance(value, str) and len(value) <= 13 and compiled.fullmatch(value)
        if isinstance(value, bool) or not (is_text or isinstance(value, int)):
            raise ValueError("a whole number, or a decimal as text such as “0.25” with 5 places at most")
        return Decimal(value)

    return BeforeValidator(check)


def _with_schema(lowest: int, words: str) -> WithJsonSchema:
    return WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": lowest, "maximum": QUANTITY_MAX},
                {"type": "string", "pattern": _POSITIVE if lowest else _DECIMAL, "maxLength": 13},
            ],
            "description": words,
        }
    )


_WORDS = "Whole units as a number; a fraction, of what is sold by measure, as text with 5 places at most."
OWN_ID = r"^[A-Za-z0-9][A-Za-z0-9._~:-]*$"
Text = Annotated[str, Field(max_length=120, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")]
OwnId = Annotated[
    str,
    Field(
        min_length=1, max_length=100, pattern=OWN_ID,
        description="The site's own id: letters, digits and ._~:-", examples=["1042"],
    ),
]  # fmt: skip
RowId = Annotated[StrictInt, Field(ge=1, le=ID_MAX), BeforeValidator(_as_int)]
Ttl = Annotated[
    StrictInt,
    Field(ge=10, le=TTL_MAX_S, description="Seconds from now, 10 s to a day.", examples=[900]),
    BeforeValidator(_as_int),
]


Quantity = Annotated[Decimal, _exactly(_POSITIVE), Field(gt=0, le=QUANTITY_MAX), _with_schema(1, _WORDS)]
Count = Annotated[Decimal, _exactly(_DECIMAL), Field(ge=0, le=QUANTITY_MAX), _with_schema(0, _WORDS)]


class In(BaseModel):
    """What comes in: exactly as described, nothing coerced, nothing besides."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Out(BaseModel):
    """What goes out."""

    model_config = ConfigDict(extra="forbid")


class AddressIn(In):
    """Where the goods are to go. Only used to choose a place; not kept."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2", examples=["GB"])]
    postcode: Annotated[Text, Field(max_length=20)] = ""
    city: Text = ""
    latitude: Annotated[float, Field(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180)] | None = None

    def value(self) -> Address:
        """As the rules take it."""
        return Address(**self.model_dump())


class BySku(In):
    """Goods by the shop's own SKU, present or former; case and spaces make no difference."""

    sku: Annotated[Name, Field(examples=["LNO-M-SAND"])]
    quantity: Quantity

    def asked(self) -> Asked:
        """As the rules take it."""
        return Asked(self.quantity, sku=self.sku)


class ByVariant(In):
    """Goods by their key here."""

    variant_id: Annotated[RowId, Field(examples=[4711])]
    quantity: Quantity

    def asked(self) -> Asked:
        """As the rules take it."""
        return Asked(self.quantity, variant_id=self.variant_id)


def _named_by(value: Any) -> str:
    return "variant_id" if isinstance(value, dict) and "variant_id" in value else "sku"


HoldLine = Annotated[Annotated[BySku, Tag("sku")] | Annotated[ByVariant, Tag("variant_id")], Discriminator(_named_by)]


class HoldIn(In):
    """What to hold: all of it at one place, or nothing."""

    lines: Annotated[list[HoldLine], Field(min_length=1, max_length=LINES_MAX)]
    ttl_s: Ttl = 900
    location_id: Annotated[RowId, Field(description="Hold it here. Left out: where all of it is.")] | None = None
    address: AddressIn | None = None
    reference: Annotated[Text, Field(description="What you call it: shown to the shop.", examples=["cart 81"])] = ""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"lines": [{"sku": "LNO-M-SAND", "quantity": 2}], "ttl_s": 900, "reference": "cart 81"}]
        }
    )


class ExtendIn(In):
    """How long to hold on, from now."""

    ttl_s: Ttl


Money = Annotated[str, Field(pattern=r"^(?:0|[1-9][0-9]{0,8})(?:\.[0-9]{1,2})?$", max_length=12, examples=["98.00"])]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217", examples=["GBP"])]


class OrderHeadIn(In):
    """What an order is beside its lines."""

    number: Annotated[str, Field(max_length=60, pattern=r"^[^\x00]*$", description="As the customer knows it.")] = ""
    placed_at: Annotated[AwareDatetime, Field(description="Left out: now.")] | None = None
    updated_at: (
        Annotated[AwareDatetime, Field(description="The site's clock: an older description is refused.")] | None
    ) = None
    total: Money | None = None
    currency: Currency | None = None


class ConvertIn(OrderHeadIn):
    """The order that a hold becomes; its lines are the hold's, numbered 1, 2, 3 …"""

    order_id: OwnId

    model_config = ConfigDict(json_schema_extra={"examples": [{"order_id": "1042", "number": "#1042"}]})


class OrderLineBase(In):
    """A line as it stands now."""

    line_id: OwnId
    quantity: Count
    fulfilled: Annotated[Count, Field(description="How many have left so far, in all.")] = Decimal(0)
    location_id: Annotated[RowId, Field(description="Where they are taken from. Left out: chosen.")] | None = None
    title: Annotated[str, Field(max_length=300, pattern=r"^[^\x00]*$")] = ""


class OrderLineBySku(OrderLineBase):
    """A line of goods by SKU."""

    sku: Name

    def asked(self) -> Asked:
        """As the rules take it."""
        return Asked(self.quantity, sku=self.sku)


class OrderLineByVariant(OrderLineBase):
    """A line of goods by their key here."""

    variant_id: RowId

    def asked(self) -> Asked:
        """As the rules take it."""
        return Asked(self.quantity, variant_id=self.variant_id)


OrderLineIn = Annotated[
    Annotated[OrderLineBySku, Tag("sku")] | Annotated[OrderLineByVariant, Tag("variant_id")], Discriminator(_named_by)
]


class OrderStateIn(OrderHeadIn):
    """A whole order as it stands now."""

    state: Annotated[Literal["open", "cancelled"], Field(description="Fulfilled follows from the lines.")] = "open"
    lines: Annotated[list[OrderLineIn], Field(min_length=1, max_length=LINES_MAX)]
    address: AddressIn | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"number": "#1042", "lines": [{"line_id": "1", "sku": "LNO-M-SAND", "quantity": 2, "fulfilled": 1}]}
            ]
        }
    )


class OrderIn(OrderStateIn):
    """A new order."""

    order_id: OwnId

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"order_id": "1042", "lines": [{"line_id": "1", "sku": "LNO-M-SAND", "quantity": 2}]}]
        }
    )


class LeftIn(In):
    """How many of a line have left so far, in all."""

    line_id: OwnId
    fulfilled: Count


class FulfilIn(In):
    """What has left so far; without lines: everything."""

    lines: Annotated[list[LeftIn], Field(max_length=LINES_MAX)] = []

    model_config = ConfigDict(json_schema_extra={"examples": [{"lines": [{"line_id": "1", "fulfilled": 2}]}, {}]})


class BackIn(In):
    """Units of a line that came back."""

    line_id: OwnId
    quantity: Quantity
    is_restocked: Annotated[bool, Field(description="On the shelf again; else written off.")]
    location_id: Annotated[RowId, Field(description="Whose shelf. Left out: where they left from.")] | None = None


class ReturnIn(In):
    """What one return gives back, in all."""

    return_id: OwnId
    lines: Annotated[list[BackIn], Field(min_length=1, max_length=LINES_MAX)]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"return_id": "r-7", "lines": [{"line_id": "1", "quantity": 1, "is_restocked": True}]}]
        }
    )


class Empty(In):
    """Nothing is asked."""


# --- out ----------------------------------------------------------------------------------------------------

Number = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{1,5}$"}],
            "description": "Whole units as a number, a fraction as text.",
        }
    ),
]
Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]


class DatedPromise(Out):
    """Units that were not there when they were promised."""

    quantity: Annotated[Number, Field(description="How many of the line are there later.")]
    promised_date: Annotated[Day, Field(description="When all of them are, as it was known then.")]


class HeldLine(Out):
    variant_id: int
    sku: str
    location_id: int
    quantity: Number
    promise: Annotated[DatedPromise | None, Field(description="Null where all of it was there.")]


class Hold(Out):
    id: UUID
    state: Annotated[
        Literal["held", "committed", "released", "expired"], Field(description="As it is now, swept or not.")
    ]
    reference: str
    created_at: Moment
    expires_at: Moment
    ended_at: Moment | None
    order_id: Annotated[str | None, Field(description="The order it became.")]
    lines: list[HeldLine]


class PlaceNow(Out):
    location_id: int
    waiting: Number
    fulfilled: Number
    promise: Annotated[
        DatedPromise | None,
        Field(description="What of those that wait was not there when it was held or ordered; null where all was."),
    ]


class OrderLineOut(Out):
    line_id: str
    variant_id: int | None
    sku: str
    quantity: Number
    fulfilled: Number
    restocked: Number
    written_off: Number
    places: Annotated[list[PlaceNow], Field(description="Where its units wait, and where they left from.")]


class Order(Out):
    order_id: str
    number: str
    state: Literal["open", "fulfilled", "cancelled"]
    placed_at: Moment
    updated_at: Moment
    total: str | None
    currency: str
    lines: list[OrderLineOut]


class DatedUnits(Out):
    date: Day
    quantity: Number


class PromiseOut(Out):
    """Units that may be sold now and are there by another day."""

    kind: Literal["backorder", "preorder"]
    quantity: Annotated[Number, Field(description="How many of `available` are not there yet.")]
    promised_date: Annotated[Day, Field(description="When all of them are there.")]
    message: Annotated[str, Field(description="What the shop tells its customers.")]
    dates: Annotated[list[DatedUnits], Field(description="Which of them are there when, the soonest first.")]


class OfferedAt(Out):
    location_id: int
    available: Number
    in_stock: Annotated[Number, Field(description="What of `available` is there now.")]
    promise: Annotated[PromiseOut | None, Field(description="The rest of it; null where there is none.")]


class Offer(Out):
    variant_id: int
    sku: str
    available: Annotated[Number, Field(description="What this site may sell now, over the locations shown.")]
    in_stock: Annotated[Number, Field(description="What of that is there now; the rest is promised.")]
    locations: list[OfferedAt]


class Offers(Out):
    as_of: Moment
    items: list[Offer]
    unknown: Annotated[list[str], Field(description="SKUs asked for that this site does not list.")]
    next_cursor: Annotated[str | None, Field(description="Send it as `cursor` for the next page; null on the last.")]


class Location(Out):
    location_id: int
    name: str
    timezone: str


class Locations(Out):
    items: list[Location]


class FieldError(Out):
    """What is wrong where: `at` is a JSON pointer into the body, or names a header, path or query parameter."""

    at: str
    message: str


class ShortageOut(Out):
    """What is missing."""

    variant_id: int
    sku: str
    requested: Number
    available: Annotated[Number, Field(description="At the place asked for, or at the best single place.")]


class ProblemOut(BaseModel):
    """Problem details (RFC 9457)."""

    type: Annotated[str, Field(description="A page about this kind of error.", examples=["/api/docs#invalid"])]
    title: str
    status: int
    detail: str
    errors: Annotated[list[FieldError] | None, Field(description="Of `invalid`.")] = None
    shortages: Annotated[list[ShortageOut] | None, Field(description="Of `insufficient-stock`.")] = None
    names: Annotated[list[str] | None, Field(description="Of `unknown-goods` and `whole-units-only`.")] = None
    state: Annotated[str | None, Field(description="Of `hold-ended`.")] = None


def ttl(seconds: int) -> timedelta:
    """As the rules take it."""
    return timedelta(seconds=seconds)

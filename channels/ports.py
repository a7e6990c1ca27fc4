"""What a channel's connector offers and speaks: one protocol, plain values, one kind of error.

Connectors know nothing of Django, of our rows or of each other; they turn these values into their vendor's HTTP and
back. Ids are the vendor's own, as text. Times are aware UTC. Quantities are Decimal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol


class ConnectorError(Exception):
    """A call that did not do what was asked.

    `permanent`: repeating it unchanged cannot help. `needs_reconnect`: the credentials are dead; a person must
    reconnect. `is_outcome_unknown`: it may have taken effect (time-out, 5xx); repeat with the same key or probe.
    `retry_after_s`: the vendor's own wish. `code`: the vendor's error code. `lines`: which entries of the batch are
    to blame (indexes into the writes given) where the vendor refused the whole batch: nothing of it was applied.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        needs_reconnect: bool = False,
        is_outcome_unknown: bool = False,
        retry_after_s: float | None = None,
        code: str = "",
        lines: tuple[int, ...] = (),
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.needs_reconnect = needs_reconnect
        self.is_outcome_unknown = is_outcome_unknown
        self.retry_after_s = retry_after_s
        self.code = code
        self.lines = lines


class MalformedPayload(Exception):
    """A body that is signed rightly but cannot be read."""


class WriteMode(StrEnum):
    """How a channel takes a number."""

    COMPARE_AND_SET = "compare_and_set"
    RELATIVE = "relative"
    ABSOLUTE = "absolute"


@dataclass(frozen=True)
class Secret:
    """A key a person copies from the vendor's pages to let us in; `name` is what the credentials keep it under."""

    name: str
    label: str
    is_required: bool = True


ACCESS_TOKEN = Secret("access_token", "access token")
REFRESH_TOKEN = Secret("refresh_token", "refresh token", is_required=False)


class OrderActionKind(StrEnum):
    """What a channel may be asked to do with one of its orders."""

    CANCEL = "cancel"  # the whole order
    EDIT = "edit"  # units of its lines changed, others added
    MOVE = "move"  # units that wait at one place leave from another
    REFUND = "refund"  # money given back, for units of its lines or for none


class OrderOption(StrEnum):
    """What may be asked for beside that."""

    PAY_BACK = "pay_back"  # cancelling gives the customer the money back
    WRITE_OFF = "write_off"  # units need not go back to the shelf
    ADD = "add"  # an edit may add other listings
    RECKONS = "reckons"  # the channel's own numbers say what a refund comes to (`quote_refund`)
    PAID_BY_HAND = "paid_by_hand"  # a refund may only note money that a person gave back


@dataclass(frozen=True)
class Capabilities:
    """What a channel can do; decides how the publisher and the inbox treat it."""

    write_mode: WriteMode
    write_batch_max: int
    read_batch_max: int
    number: str  # "available" or "in_stock": which of our numbers its own number stands for
    can_be_set_negative: bool
    takes_fractions: bool
    has_change_feed: bool  # fetch_stock_changes_since tells causes of stock changes
    tells_deletions: bool  # page_catalog(since=…) names what was deleted; else only a whole reading shows it
    tells_counts: bool = True  # read_counts names what is asked for; else nothing that it shows is ever compared
    is_till: bool = False  # people ring up goods with it over the counter, by the numbers it shows
    listing_fields: frozenset[str] = frozenset()  # of ListingFields: what write_listings can change there
    listing_batch_max: int = 1  # entries of one write_listings; a product's entries always go together
    listing_reads_max: int = 100  # ids of one read_listings
    joins_options: bool = False  # options are one text, the variation's name, under "Variation"
    sku_length_max: int = 255
    barcode_digits_min: int = 8  # shorter GTINs are padded with zeros to so many digits
    poll_every_s: float = 30.0  # how often its order feed is read; short where webhooks are only half a promise
    secrets: tuple[Secret, ...] = (ACCESS_TOKEN, REFRESH_TOKEN)  # what a person types, the one that opens first
    topics: frozenset[str] = frozenset()  # of webhooks that `subscribe` makes sure of; none: it sends none
    count_topics: frozenset[str] = frozenset()  # as `identify` names them: those that tell numbers and no order
    api_version: str = ""  # the one we speak, in the vendor's words
    api_ends_on: date | None = None  # until when the vendor promises to serve that version; None: no end is known
    order_actions: frozenset[OrderActionKind] = frozenset()  # what act_on_order carries out there
    order_options: frozenset[OrderOption] = frozenset()
    by_hand: Mapping[OrderActionKind, str] = field(default_factory=dict)  # what a person does there instead
    order_page: str = ""  # where a person does that; may name {base} (the account's address) and {order} (its id there)


CLOCKS_APART = timedelta(seconds=2)  # clocks are told in whole seconds, and answers take a while: no difference


@dataclass(frozen=True)
class Headroom:
    """What is left of the vendor's rate limit, as its last answer told; `unit`: what it counts, in plain words."""

    left: float
    most: float
    unit: str


class Meter:
    """Counts the answers one connector got, and keeps what the last ones told of the rate limit and of the time there.

    `behind`: how far the vendor's clock is behind ours, to a second or two, negative where it is ahead; None where it
    tells nothing.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.headroom: Headroom | None = None
        self.behind: timedelta | None = None

    @property
    def clock_behind(self) -> timedelta:
        """By how much times told there are too early; zero where they are not, or where it is not known."""
        return self.behind if self.behind is not None and self.behind > CLOCKS_APART else timedelta(0)

    def shown_there(self, at: datetime) -> datetime:
        """What the vendor's clock showed at a time of ours, by its last answer; rounded down, for it tells seconds."""
        return at - self.clock_behind - timedelta(seconds=1)

    def answered(self, headers: Mapping[str, str], headroom: Headroom | None = None) -> None:
        """The vendor answered, well or not."""
        self.calls += 1
        self.headroom = headroom or self.headroom
        try:
            self.behind = datetime.now(UTC) - parsedate_to_datetime(headers["Date"]).astimezone(UTC)
        except (KeyError, ValueError):
            return


@dataclass(frozen=True)
class Account:
    """All a connector needs to speak for one account. `credentials` are the decrypted secrets."""

    account_id: str
    base_url: str
    credentials: Mapping[str, Any]
    webhook_url: str  # exactly as registered with the vendor


@dataclass(frozen=True)
class FreshCredentials:
    """New secrets after a refresh (the whole mapping), and when the access token ends."""

    credentials: Mapping[str, Any]
    expires_at: datetime | None


@dataclass(frozen=True)
class Envelope:
    """What names a delivery: enough to store it once. `occurred_at` is the vendor's clock."""

    topic: str
    dedupe_key: str
    occurred_at: datetime | None


class HintKind(StrEnum):
    """What a webhook tells us to read again."""

    ORDERS = "orders"
    STOCK = "stock"
    CATALOG = "catalog"
    LOCATIONS = "locations"
    REVOKED = "revoked"
    NOTHING = "nothing"  # known and of no concern
    UNKNOWN = "unknown"  # a topic we have no name for: recorded, ignored


@dataclass(frozen=True)
class OrderRef:
    """An order that changed, and how new it is: by `version` where the channel counts, else by `updated_at`.

    `is_over`: it holds nothing any more, and is of concern only to those who know it.
    """

    external_id: str
    version: int = 0
    updated_at: datetime | None = None
    is_over: bool = False


@dataclass(frozen=True)
class Count:
    """One number of the channel. A pair that is missing from an answer is unknown, never zero."""

    inventory_id: str
    location_id: str
    quantity: Decimal
    as_of: datetime | None


@dataclass(frozen=True)
class ToldListing:
    """What a webhook says of a listing. None: not told."""

    external_id: str
    sku: str | None = None
    barcode: str | None = None
    is_tracked: bool | None = None
    sells_past_zero: bool | None = None
    product_title: str | None = None
    price: Decimal | None = None
    options: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Hint:
    """A webhook is a hint: what to read again, never a value.

    `ids` are order ids, inventory ids for STOCK; for CATALOG any id means: read it whole, something was deleted.
    `orders`, `counts` and `listings` are what the payload says of them, only ever used to see that we know it already.
    `listings`: of a STOCK hint that may just as well mean that the catalog changed, or of a CATALOG hint that tells all
    it is about; fields not told are None.
    """

    kind: HintKind
    ids: tuple[str, ...] = ()
    orders: tuple[OrderRef, ...] = ()
    counts: tuple[Count, ...] = ()
    listings: tuple[ToldListing, ...] = ()


@dataclass(frozen=True)
class RemoteLocation:
    """A place as the channel knows it."""

    external_id: str
    name: str
    is_active: bool
    timezone: str = ""


@dataclass(frozen=True)
class RemoteListing:
    """A variant as the channel lists it. Counts are kept under `inventory_id`; orders name `external_id`."""

    external_id: str
    inventory_id: str
    product_external_id: str
    product_title: str
    title: str
    sku: str
    barcode: str
    options: Mapping[str, str]
    price: Decimal | None
    is_tracked: bool
    sells_past_zero: bool
    updated_at: datetime | None
    is_deleted: bool = False
    vendor: str = ""
    category: str = ""
    image_url: str = ""


@dataclass(frozen=True)
class CatalogPage:
    """Some listings, and the cursor of the next page ("" on the last). `read_until`: watermark for the next time.

    `resume`, here and on the other feeds, is for channels that number changes instead of timing them: the cursor with
    which the next reading of what is new begins, in place of "". Such a channel misses nothing and reads nothing twice.
    """

    listings: Sequence[RemoteListing]
    next_cursor: str
    read_until: datetime | None
    resume: str = ""


@dataclass(frozen=True)
class CountWrite:
    """One number to tell: from what we believe it shows to what it should show.

    For channels that know no idempotency key. `is_first`: surely never sent before, so that nothing has to be looked
    up. `mark`: of the last write acknowledged before this one; what of ours is newer there is an earlier attempt of it.
    """

    inventory_id: str
    location_id: str
    from_quantity: Decimal
    to_quantity: Decimal
    is_first: bool = False
    mark: int = 0


class WriteOutcome(StrEnum):
    APPLIED = "applied"
    STALE = "stale"  # the channel's number was not `from_quantity`: nothing written
    REFUSED = "refused"  # this line can never be written as it is
    SKIPPED = "skipped"  # nothing written because of a neighbour in the batch: send it again under a new key


@dataclass(frozen=True)
class CountResult:
    """What became of one CountWrite, in the order given. `quantity_after` where the vendor tells.

    `mark`: where in the channel's history it stands, where that is how repeats are told from new writes.
    """

    outcome: WriteOutcome
    quantity_after: Decimal | None = None
    message: str = ""
    mark: int = 0


@dataclass(frozen=True)
class ListingFields:
    """Fields of a listing that can be written. None: leave it alone (or: not known).

    `gtin` is the barcode as the channel keeps it. `option_names`: the option's name there now → its new name, for
    those that are renamed; `options` are under the new names.
    """

    sku: str | None = None
    gtin: str | None = None
    options: Mapping[str, str] | None = None
    is_tracked: bool | None = None
    sells_past_zero: bool | None = None
    option_names: Mapping[str, str] | None = None


@dataclass(frozen=True)
class ListingNow:
    """A listing as a fresh read shows it.

    `own` is the vendor's own document of it, JSON-ready: handed back with a write it says what the write is based on,
    and kept it can put every field back to the byte.
    """

    external_id: str
    title: str
    fields: ListingFields
    own: Mapping[str, Any]


@dataclass(frozen=True)
class ListingWrite:
    """Fields to change at one listing, from what was read of it to what it should be.

    `before` is the `own` of a fresh read. `put_back`: an earlier `own`; the fields named in `after` are then set to
    what that document says of them, to the byte, absent ones made absent again.
    """

    external_id: str
    inventory_id: str
    product_external_id: str
    before: Mapping[str, Any]
    after: ListingFields
    put_back: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ListingResult:
    """What became of one ListingWrite; `now` is the listing as it stands where the vendor told."""

    outcome: WriteOutcome
    message: str = ""
    now: ListingNow | None = None


@dataclass(frozen=True)
class LineHold:
    """What an order line holds at one location now; `location_id` "" where the channel has not routed it yet."""

    location_id: str
    committed: Decimal = Decimal(0)
    fulfilled: Decimal = Decimal(0)  # all that ever left from here, returned or not


@dataclass(frozen=True)
class ChannelOrderLine:
    """A line of an order. `quantity` is as it stands now, after edits."""

    external_id: str
    listing_external_id: str
    sku: str
    title: str
    quantity: Decimal
    holds: Sequence[LineHold]


@dataclass(frozen=True)
class ReturnLine:
    """Units that came back. `restocked`: to the shelf of `location_id`; else written off."""

    line_external_id: str
    quantity: Decimal
    restocked: bool
    location_id: str


@dataclass(frozen=True)
class ChannelOrder:
    """A whole order as it stands now. `returns` are all there are so far.

    `return_of`: this is a return document of its own (Square) that belongs to the order of that id; its `lines` are
    empty and `returns` hold what this document gives back. `asked_as`: ids of parts of it that it was asked for by
    (Shopify's fulfillment orders). `left_at`: when the last of what its lines call fulfilled left, where the channel
    tells.
    """

    external_id: str
    number: str
    placed_at: datetime
    updated_at: datetime
    version: int
    is_cancelled: bool
    lines: Sequence[ChannelOrderLine]
    returns: Sequence[ReturnLine] = ()
    return_of: str = ""
    total: Decimal | None = None
    currency: str = ""
    asked_as: Sequence[str] = ()
    left_at: datetime | None = None


@dataclass(frozen=True)
class OrdersPage:
    """Orders changed since the watermark, oldest change first; `next_cursor` "" on the last page."""

    orders: Sequence[OrderRef]
    next_cursor: str
    read_until: datetime | None
    resume: str = ""


@dataclass(frozen=True)
class CancelOrder:
    """Cancel a whole order, none of which has left. `note` is for the shop's staff."""

    order_id: str
    restocks: bool = True
    pays_back: bool = False
    note: str = ""
    kind: ClassVar[OrderActionKind] = OrderActionKind.CANCEL


@dataclass(frozen=True)
class LineChange:
    """A line's units as the order shows them now, and as they should be: both count what has left.

    `location_id`: where units that are taken off wait, or that are added shall; a wish that channels take as far as
    they can.
    """

    line_external_id: str
    from_quantity: Decimal
    to_quantity: Decimal
    location_id: str = ""


@dataclass(frozen=True)
class AddedLine:
    """Units of another listing for the order, to leave from `location_id` where the channel takes a wish.

    `already_there`: so many units of that listing the order had before, which tells a repeat where no line changes.
    """

    listing_external_id: str
    quantity: Decimal
    location_id: str = ""
    already_there: Decimal = Decimal(0)


@dataclass(frozen=True)
class EditOrder:
    """Change the units of lines, and add others, all or nothing. The lines tell a repeat, or else what was added."""

    order_id: str
    changes: Sequence[LineChange]
    added: Sequence[AddedLine] = ()
    restocks: bool = True
    note: str = ""
    kind: ClassVar[OrderActionKind] = OrderActionKind.EDIT


@dataclass(frozen=True)
class LineMove:
    """Units of a line to move; `already_there`: so many waited at the new place before, which tells a repeat."""

    line_external_id: str
    quantity: Decimal
    already_there: Decimal = Decimal(0)


@dataclass(frozen=True)
class MoveUnits:
    """Let units that wait at one place leave from another."""

    order_id: str
    from_location_id: str
    to_location_id: str
    lines: Sequence[LineMove]
    kind: ClassVar[OrderActionKind] = OrderActionKind.MOVE


@dataclass(frozen=True)
class BackLine:
    """Units of a line to give back: such that left, to come back to `location_id`; or such that wait there."""

    line_external_id: str
    quantity: Decimal
    has_left: bool
    location_id: str = ""


@dataclass(frozen=True)
class MoneyPart:
    """A share of a refund on one payment of the order; `gateway`: who carries it, both in the channel's own words."""

    payment: str
    gateway: str
    amount: Decimal


@dataclass(frozen=True)
class GiveBack:
    """Give money back: `amount`, in `parts` where the channel wants to be told them (they sum to it).

    Units that wait are taken off the order and are free again. Units that left come back to the shelf with `restocks`,
    else they are written off. `is_noted_only`: a person gave the money back, the channel only notes it.
    """

    order_id: str
    lines: Sequence[BackLine]
    amount: Decimal
    currency: str = ""
    parts: Sequence[MoneyPart] = ()
    restocks: bool = True
    is_noted_only: bool = False
    note: str = ""
    kind: ClassVar[OrderActionKind] = OrderActionKind.REFUND


@dataclass(frozen=True)
class RefundQuote:
    """What giving units back comes to by the channel's own numbers, and the most that can be given back of the order.

    None: nobody knows. `parts`: the most by payment. `words`: what a person should know, such as that nobody has paid.
    """

    amount: Decimal | None
    most: Decimal | None
    currency: str
    parts: Sequence[MoneyPart] = ()
    words: str = ""


OrderAction = CancelOrder | EditOrder | MoveUnits | GiveBack


@dataclass(frozen=True)
class ActionResult:
    """What became of an OrderAction. APPLIED: it is so now. STALE: the order has moved on. REFUSED: never as it is."""

    outcome: WriteOutcome
    message: str = ""


class MadeBy(StrEnum):
    """Whose hand changed the stock there, where the channel tells."""

    UNKNOWN = ""
    PERSON = "person"
    TILL = "till"
    FILE = "file"
    APP = "app"  # another application than ours


@dataclass(frozen=True)
class StockChange:
    """A change of stock made at the channel by someone else than us and by no order: a restock, a recount, an edit.

    `by`: the person, `app` and `app_id`: the application, where the channel names them. `is_return`: goods that came
    back from a customer.
    """

    external_id: str
    inventory_id: str
    location_id: str
    delta: Decimal
    occurred_at: datetime
    cause: str  # plain words: "restocked after a return", "edited in the dashboard"
    made_by: MadeBy = MadeBy.UNKNOWN
    by: str = ""
    app: str = ""
    app_id: str = ""
    is_return: bool = False


@dataclass(frozen=True)
class StockChangesPage:
    """Changes since the watermark (ours and orders' left out)."""

    changes: Sequence[StockChange]
    next_cursor: str
    read_until: datetime | None
    resume: str = ""


@dataclass(frozen=True)
class Subscription:
    """Webhook subscription as it stands at the vendor. `api_version`: the one it reports, "" where it reports none."""

    external_id: str
    topics: Sequence[str]
    url: str
    secrets: Mapping[str, Any] = field(default_factory=dict)  # to be merged into the credentials
    api_version: str = ""


class Connector(Protocol):
    """One channel, for one account. Every method may raise ConnectorError; none retries by itself."""

    capabilities: Capabilities
    meter: Meter

    def __init__(self, *, account: Account) -> None: ...

    def verify(self, *, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the signature over the raw body is right. Header names are lower case."""

    def identify(self, *, headers: Mapping[str, str], body: bytes) -> Envelope:
        """Name a verified delivery. Raises MalformedPayload."""

    def parse(self, *, topic: str, body: bytes) -> Hint:
        """What to read again. Raises MalformedPayload."""

    def refresh_auth(self) -> FreshCredentials:
        """Get new tokens. The caller holds the connection's lock and stores them before using them."""

    def subscribe(self, *, existing_only: bool = False) -> Sequence[Subscription]:
        """Make sure webhooks of our `topics` are subscribed at `account.webhook_url`; twice makes nothing twice.

        `existing_only`: change nothing, and tell those that work now; disabled ones are missing.
        """

    def unsubscribe(self) -> None:
        """Remove our webhook subscriptions."""

    def list_locations(self) -> Sequence[RemoteLocation]: ...

    def page_catalog(self, *, cursor: str, since: datetime | None) -> CatalogPage:
        """Listings changed since (None: all), deleted ones included when `since` is given."""

    def read_counts(self, *, inventory_ids: Sequence[str], location_ids: Sequence[str]) -> Sequence[Count]:
        """The numbers as they are now; at most `read_batch_max` ids. What is missing is unknown, not zero."""

    def write_counts(
        self, *, writes: Sequence[CountWrite], idempotency_key: str, now: datetime
    ) -> Sequence[CountResult]:
        """Tell numbers; at most `write_batch_max`. The same key and writes again have no further effect."""

    def read_listings(self, *, external_ids: Sequence[str]) -> Sequence[ListingNow]:
        """These listings as they are now; at most `listing_reads_max` ids. What is gone is missing."""

    def write_listings(
        self, *, writes: Sequence[ListingWrite], idempotency_key: str, now: datetime
    ) -> Sequence[ListingResult]:
        """Change fields of listings that still are as `before` says; the rest of each listing stays as it is.

        Never blind: a listing that changed meanwhile is STALE and left alone. The same key and writes again have no
        further effect: what is as wanted already is APPLIED. SKIPPED: not written because of a neighbour.
        """

    def fetch_orders_since(self, *, since: datetime, cursor: str, location_ids: Sequence[str]) -> OrdersPage: ...

    def fetch_orders(self, *, order_ids: Sequence[str]) -> Sequence[ChannelOrder]:
        """The whole orders as they stand now; an id the channel does not know is missing from the answer."""

    def fetch_stock_changes_since(
        self, *, since: datetime, cursor: str, location_ids: Sequence[str]
    ) -> StockChangesPage:
        """Only where `has_change_feed`."""

    def quote_refund(self, *, order_id: str, lines: Sequence[BackLine]) -> RefundQuote:
        """What giving these units back comes to. Changes nothing. Only where `order_options` hold RECKONS."""

    def act_on_order(self, *, action: OrderAction, idempotency_key: str, is_first: bool, now: datetime) -> ActionResult:
        """Do one thing with one order; only kinds of `order_actions`. `is_first`: surely never asked for before.

        The same action and key again have no further effect: the order is looked at before anything is repeated. May
        take several calls, each within the client's time-outs.
        """

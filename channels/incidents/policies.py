"""How each kind of incident lives: how long its cause must hold, how long it must be gone, how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from channels.models import Incident

Kind = Incident.Kind
Severity = Incident.Severity
AT_ONCE = timedelta(0)


@dataclass(frozen=True)
class Policy:
    """The life of one kind of incident, and its words.

    It opens once its cause has held for `opens_after`, or has come `opens_at_times` times while it was watched. It
    closes once its cause was gone for `closes_after`; a person's decision closes it at once. It turns critical when
    nobody has taken it on `worse_after` it opened. `means` and `to_do` are for owners, `does` is what the product did
    when it opened.
    """

    severity: Severity
    means: str
    to_do: str
    does: str = ""
    opens_after: timedelta = AT_ONCE
    opens_at_times: int = 1
    closes_after: timedelta = AT_ONCE
    worse_after: timedelta | None = None
    is_for_staff: bool = False  # nothing an owner could do about it

    @property
    def opens_at_once(self) -> bool:
        """Whether the first sight of its cause is enough."""
        return self.opens_after == AT_ONCE


POLICIES = {
    Kind.OVERSOLD: Policy(
        severity=Severity.CRITICAL,
        means="Customers were promised more units than there are. Somebody will not get theirs unless you act.",
        to_do="Look who has it, then find more units, move the order to another place, or tell one customer.",
        does="Told every channel that there is none left, so that no more are promised.",
        closes_after=timedelta(minutes=10),
    ),
    Kind.RECONNECT: Policy(
        severity=Severity.CRITICAL,
        means="The channel no longer accepts our key. It is told no numbers and may sell what is gone.",
        to_do="Connect it again with a new key. What it told us meanwhile is kept and applied then.",
        does="Stopped calling it, so that no key is blocked for good; what it tells us is kept.",
    ),
    Kind.UNREACHABLE: Policy(
        severity=Severity.WARNING,
        means="The channel does not answer. Numbers for it wait, and it may sell what is gone.",
        to_do="Nothing, at first: we keep trying. If it lasts, see whether the channel's own pages work.",
        does="Let it rest, and try again by ourselves with growing pauses.",
        opens_after=timedelta(minutes=2),
        opens_at_times=3,
        closes_after=timedelta(minutes=5),
        worse_after=timedelta(hours=1),
    ),
    Kind.BEHIND: Policy(
        severity=Severity.WARNING,
        means="News takes longer than it should to get from one channel to the others.",
        to_do="Nothing, at first: the oldest is worked off first. If it lasts, StoreStudio's staff look into it.",
        does="Works the oldest off first; numbers that go down are sent before those that go up.",
        opens_after=timedelta(minutes=2),
        opens_at_times=4,
        closes_after=timedelta(minutes=5),
        worse_after=timedelta(minutes=30),
    ),
    Kind.DRIFT: Policy(
        severity=Severity.WARNING,
        means="A channel shows another number than it should, and nobody can tell why.",
        to_do="Say which number is right: ours is sent there, or theirs is booked here.",
        does="Until you decide, all other channels are told the lower number.",
        closes_after=timedelta(minutes=10),
    ),
    Kind.QUARANTINE: Policy(
        severity=Severity.WARNING,
        means="A message from the channel could not be applied, however often we tried.",
        to_do="Read what went wrong, mend it (a missing item, a place), and replay the message.",
        does="Tried it with growing pauses, then set it aside with its bytes; the others go on.",
    ),
    Kind.REFUSED: Policy(
        severity=Severity.WARNING,
        means="The channel will not take a number from us, and says why.",
        to_do="Read what it said, mend that there, and send the number again.",
        does="Set that number aside; all others are sent.",
    ),
    Kind.UNLINKED_SALE: Policy(
        severity=Severity.WARNING,
        means="Something was sold that is linked to nothing of yours, so no stock was taken off.",
        to_do="Link the listing to your item; the sale is counted then.",
        does="Kept the sale, to count it once the listing is linked.",
    ),
    Kind.GUARD: Policy(
        severity=Severity.CRITICAL,
        means="A great many numbers would have been cut at once. That is seldom meant.",
        to_do="Look at the table of what would change, then approve or discard it.",
        does="Held these numbers back until you decide; the channel keeps showing what it shows.",
    ),
    Kind.WEBHOOKS: Policy(
        severity=Severity.WARNING,
        means="The channel stopped telling us of sales at once.",
        to_do="Nothing, at first: we ask it every half minute and subscribe anew.",
        does="Asked it for news ourselves, and subscribed anew.",
        closes_after=timedelta(hours=2),  # two of the hourly looks
    ),
    Kind.COMMAND: Policy(
        severity=Severity.WARNING,
        means="The channel was asked to do something with an order, and did not do it.",
        to_do="Read what it said on the order's page; ask again, or do it there by hand.",
        does="Read the order again, so that what you see is how it stands.",
    ),
    Kind.VERSION: Policy(
        severity=Severity.INFO,
        means="The channel speaks another version of its API than we do, or ours ends soon.",
        to_do="Nothing: StoreStudio's staff move to the next version.",
        is_for_staff=True,
        closes_after=timedelta(hours=2),
    ),
}


STAFF_KINDS = frozenset(kind for kind, policy in POLICIES.items() if policy.is_for_staff)


def policy_of(kind: str) -> Policy:
    """The policy of a kind."""
    return POLICIES[Kind(kind)]

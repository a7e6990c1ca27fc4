"""What needs a person: one open incident a cause, grouped, with a life of its own, closed with a word on how.

Rooms that meet trouble call `open_or_count` and `resolve`, in their own transaction. An incident of a kind that may
flap is watched before it opens and stays quiet before it closes (`policies`), so that a number that dances round its
threshold for an hour is one incident. Everything that happens to one is a line of its timeline, and what is told to
whom follows from those lines (channels.alerts).
"""

from channels.incidents.life import Kind, open_or_count, resolve, resolve_others, settle
from channels.incidents.outages import sweep_outages
from channels.incidents.oversold import sweep_oversold
from channels.incidents.people import Over, WrongMoment, acknowledge, note, snooze, tomorrow_morning, wake
from channels.incidents.policies import POLICIES, STAFF_KINDS, Policy, policy_of
from channels.incidents.share import Acted, acted_on

__all__ = [
    "POLICIES",
    "STAFF_KINDS",
    "Acted",
    "Kind",
    "Over",
    "Policy",
    "WrongMoment",
    "acknowledge",
    "acted_on",
    "note",
    "open_or_count",
    "policy_of",
    "resolve",
    "resolve_others",
    "settle",
    "snooze",
    "sweep_outages",
    "sweep_oversold",
    "tomorrow_morning",
    "wake",
]

"""Which variant each listing is: suggestions with evidence, one to one, decided by a person or, where certain, at once.

Suggestions of one connection are made together (building), for what speaks for one pair speaks against its rivals. A
decision (deciding) settles its rivals at once and gives the competing listings their next best (assigning).
"""

from onboarding.findings.questions import AlreadyDecided, BadProposal
from onboarding.mapping.building import Busy, build, due, request_build
from onboarding.mapping.deciding import accept, accept_auto, adopt, choose, exclude, reject, skip, undo_last, unskip
from onboarding.mapping.looking import MappingProgress, alternatives, progress, queue, unmatched

__all__ = [
    "AlreadyDecided",
    "BadProposal",
    "Busy",
    "MappingProgress",
    "accept",
    "accept_auto",
    "adopt",
    "alternatives",
    "build",
    "choose",
    "due",
    "exclude",
    "progress",
    "queue",
    "reject",
    "request_build",
    "skip",
    "undo_last",
    "unmatched",
    "unskip",
]

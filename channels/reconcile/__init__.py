"""What a channel shows against what we believe it shows: read, compared, explained, healed where that is certain.

`reading` compares, `changes` books what others changed there, `judging` finds the cause of what is left, `gaps` keeps
the record, `deciding` is a person's part.
"""

from channels.reconcile.changes import read_stock_changes
from channels.reconcile.deciding import (
    CannotUndo,
    NoDrift,
    Undone,
    decide,
    decide_stop,
    resolve_drift,
    undo,
    undo_decision,
)
from channels.reconcile.gaps import news_came
from channels.reconcile.reading import (
    Seen,
    check,
    check_hot,
    expected_numbers,
    observe,
    read_next,
    recheck_due,
    sweep,
    sweep_whole,
)

__all__ = [
    "CannotUndo",
    "NoDrift",
    "Seen",
    "Undone",
    "check",
    "check_hot",
    "decide",
    "decide_stop",
    "expected_numbers",
    "news_came",
    "observe",
    "read_next",
    "read_stock_changes",
    "recheck_due",
    "resolve_drift",
    "sweep",
    "sweep_whole",
    "undo",
    "undo_decision",
]

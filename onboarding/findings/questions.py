"""What a decision may raise instead of being carried out."""

from __future__ import annotations

from collections.abc import Sequence


class BadProposal(Exception):
    """An edited proposal that cannot be carried out: which field, and why, in words."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field, self.words = field, words


class Question(Exception):
    """Something only a person can say; ask again with `choice` set to one of the values."""

    def __init__(self, words: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__(words)
        self.words, self.choices = words, tuple(choices)


class AlreadyDecided(Exception):
    """Somebody else was faster; says who and what."""

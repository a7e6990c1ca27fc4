"""Uploaded catalog files, whatever exported them, as plain rows. No Django, no models."""

from onboarding.reading.columns import ColumnGuess, validated
from onboarding.reading.headers import signature
from onboarding.reading.opening import Reading, read
from onboarding.reading.rows import CatalogRow, Problem, Severity, UnreadableFile

__all__ = [
    "CatalogRow",
    "ColumnGuess",
    "Problem",
    "Reading",
    "Severity",
    "UnreadableFile",
    "read",
    "signature",
    "validated",
]

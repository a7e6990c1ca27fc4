"""What reading hands over: one plain value per variant, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

ROWS_MAX = 5_000_000
COLUMNS_MAX = 1_000
RECORD_CHARS_MAX = 1_000_000  # of one row, all its cells together


class UnreadableFile(Exception):
    """The file cannot be read as a table. The message says what a person should do; `code` is for programs.

    Codes: empty, no_rows, binary, html, pdf, archive, old_excel, not_a_table, too_long, too_wide, too_large, damaged,
    unsafe, no_sheet, mapping, encoding.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Severity(StrEnum):
    ERROR = "error"  # a value that matters cannot be used, and is left out: the row should wait for a person
    WARNING = "warning"  # the row can go on, and a person should look; the message says if something was left out


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is one of ours, or "" for the whole row; `suggestion` what the value probably was, or ""."""

    field: str
    severity: Severity
    message: str
    suggestion: str = ""

    def words(self, *, number: int) -> str:
        """As shown to people: "Row 7, SKU: …"."""
        from onboarding.reading.fields import LABELS

        place = f", {LABELS.get(self.field, self.field)}" if self.field else ""
        return f"Row {number}{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """One variant as the file tells it, or in a stock file one variant at one place.

    None: the file says nothing, so nothing may be changed or cleared for it. "" and () do not occur in its stead,
    but for `options`: () says "sold in one form only", None says nothing.
    `number` counts as a spreadsheet shows: the first row of the file, usually the header, is 1.
    """

    number: int
    raw: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    product_key: str | None = None  # what rows of one product share in this file: handle, parent id, item name
    external_id: str | None = None  # the vendor's id of the variant
    external_product_id: str | None = None
    product_title: str | None = None
    variant_title: str | None = None
    vendor: str | None = None
    category: str | None = None
    tags: tuple[str, ...] | None = None
    options: tuple[tuple[str, str], ...] | None = None  # at most three (name, value), in the file's order
    sku: str | None = None
    gtin: str | None = None  # as typed, damage included; what is wrong with it is in `problems`
    price: Decimal | None = None  # shop's currency, major units
    cost: Decimal | None = None
    compare_at_price: Decimal | None = None
    is_tracked: bool | None = None
    sells_past_zero: bool | None = None
    status: str | None = None  # active, draft or archived
    image_url: str | None = None
    weight: Decimal | None = None
    weight_unit: str | None = None  # g, kg, oz or lb
    quantities: Mapping[str, Decimal] = field(default_factory=dict)  # on hand by place; "" where none is named

    @property
    def has_errors(self) -> bool:
        return any(problem.severity == Severity.ERROR for problem in self.problems)

    def messages(self) -> list[str]:
        return [problem.words(number=self.number) for problem in self.problems]

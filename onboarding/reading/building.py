"""A row's texts by field, parsed into the values of a CatalogRow."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from onboarding.reading import values
from onboarding.reading.fields import CHARS_MAX, MONEY, OPTION_SLOTS, QUANTITY_AT
from onboarding.reading.folding import Texts
from onboarding.reading.rows import CatalogRow, Problem, Severity
from onboarding.reading.values import NumberStyle

_LINES = ("product_title", "variant_title", "vendor", "category", "image_url", "product_key", "external_id")
_STATUSES = {
    word: status
    for status, words in {
        "active": "active published enabled live visible unlisted yes y 1 true aktiv actif activo actief ja oui si on",
        "draft": "draft unpublished hidden private pending entwurf brouillon borrador concept -1",
        "archived": "archived inactive disabled deleted discontinued no n 0 false archiviert inaktiv inactif inactivo "
        "inactief archivé archivado nein non nee off trash",
    }.items()
    for word in words.split()
}
# Nothing hangs on these: a row is not held up because one of them makes no sense.
_MINOR = {"cost", "compare_at_price", "weight", "is_tracked", "sells_past_zero", "image_url"}
_TOTALS = {"total", "totals", "grand total", "subtotal", "sum", "summe", "gesamt", "totaal", "totale", "somme"}
_WEIGHT_UNITS = {
    word: unit
    for unit, words in {
        "g": "g gr gram grams gramm gramme grammes gramos",
        "kg": "kg kgs kilo kilos kilogram kilograms kilogramm",
        "oz": "oz ounce ounces",
        "lb": "lb lbs pound pounds",
    }.items()
    for word in words.split()
}


class Builder:
    """Parses rows of one file. `names`: option names for value columns whose name no column tells, by slot."""

    def __init__(self, *, style: NumberStyle, names: Mapping[int, str], implied: Mapping[str, str]) -> None:
        self._style = style
        self._names = names
        self._implied = implied

    def build(self, *, number: int, raw: Mapping[str, str], texts: Texts, problems: list[Problem]) -> CatalogRow:
        """Every problem of the row is in it; a value in error is left out, so that it changes nothing."""
        found: dict[str, Any] = {}
        for name in _LINES:
            if texts.get(name) and (value := values.line(texts[name])):
                found[name] = self._fitting(name, value, problems)
        for name in ("sku", "gtin"):
            if texts.get(name):
                value_, problem = values.sku(texts[name]) if name == "sku" else values.gtin(texts[name])
                found[name] = self._fitting(name, value_, problems) if value_ else None
                _note(problem, problems)
        self._money_and_flags(texts, found, problems)
        found["external_product_id"] = values.line(texts.get("external_product_id", "")) or None
        found["options"] = self._options(texts, problems)
        found["quantities"] = self._quantities(texts, problems)
        if found.get("is_tracked") is False and found["quantities"]:
            # What an export shows for goods nobody counts is left over or a plain 0: no fact about the shelf.
            if any(found["quantities"].values()):
                problems.append(Problem("quantity", Severity.WARNING, "Stock is not tracked; its count was left out."))
            found["quantities"] = {}
        if texts.get("tags"):
            found["tags"] = tuple(tag for part in texts["tags"].split(",") if (tag := values.line(part))) or None
        self._words(texts, found, problems)
        if not found.get("product_title") and not found.get("sku") and not found.get("external_id"):
            problems.append(Problem("", Severity.ERROR, "Neither a title nor a SKU: nothing tells what this row is."))
        elif not found.get("sku") and (found.get("product_title") or "").casefold().rstrip(":") in _TOTALS:
            problems.append(Problem("", Severity.ERROR, "This looks like a line of totals, not a product."))
        return CatalogRow(number=number, raw=raw, problems=tuple(problems), **found)

    @staticmethod
    def _fitting(name: str, value: str, problems: list[Problem]) -> str | None:
        limit = CHARS_MAX.get(name)
        if limit is None or len(value) <= limit:
            return value
        message = f"{len(value):,} characters; at most {limit} can be kept."
        _note(Problem(name, Severity.ERROR, message), problems)
        return None

    def _money_and_flags(self, texts: Texts, found: dict[str, Any], problems: list[Problem]) -> None:
        for name in MONEY:
            if texts.get(name):
                found[name], problem = values.money(name, texts[name], self._style)
                _note(problem, problems)
        if texts.get("weight"):
            found["weight"], problem = values.money("weight", texts["weight"], self._style)
            _note(problem, problems)
        for name in ("is_tracked", "sells_past_zero"):
            if texts.get(name):
                found[name], problem = values.flag(name, texts[name])
                _note(problem, problems)

    def _options(self, texts: Texts, problems: list[Problem]) -> tuple[tuple[str, str], ...] | None:
        options: list[tuple[str, str]] = []
        for slot in OPTION_SLOTS:
            typed = texts.get(f"option{slot}_value")
            if not typed or not (value := values.line(typed)):
                continue
            name = values.line(texts.get(f"option{slot}_name", "")) or self._names.get(slot, f"Option {slot}")
            field = f"option{slot}_value"
            _note(values.date_made(field, value), problems)
            if any(name.casefold() == other.casefold() for other, _ in options):
                message = f"Two options are called “{name}”; the second is “{name} {slot}” here."
                problems.append(Problem(f"option{slot}_name", Severity.WARNING, message))
                name = f"{name} {slot}"
            options.append((name, value))
        if options:
            return tuple(options)
        return () if texts.get("_single") else None

    def _quantities(self, texts: Texts, problems: list[Problem]) -> dict[str, Decimal]:
        """On hand by place; a cell that says nothing leaves its place out, which is not zero."""
        found: dict[str, Decimal] = {}
        for name, typed in texts.items():
            if not typed or not (name == "quantity" or name.startswith(QUANTITY_AT)):
                continue
            place = name.removeprefix(QUANTITY_AT) if name != "quantity" else values.line(texts.get("location", ""))
            amount, problem = values.quantity("quantity", typed, self._style)
            _note(problem, problems)
            if amount is not None:
                found[place] = amount
        return found

    def _words(self, texts: Texts, found: dict[str, Any], problems: list[Problem]) -> None:
        """Words of a fixed list: the status, and the unit of a weight that is given."""
        if texts.get("status") and (typed := values.text(texts["status"])):
            found["status"] = _STATUSES.get(typed.casefold())
            if found["status"] is None:
                problems.append(Problem("status", Severity.WARNING, f"“{typed[:40]}” is no status we know."))
        if found.get("weight") is None:
            return
        unit = values.text(texts.get("weight_unit", "") or self._implied.get("weight_unit", ""))
        found["weight_unit"] = _WEIGHT_UNITS.get(unit.casefold().rstrip("."))
        if found["weight_unit"] is None and unit:
            problems.append(Problem("weight_unit", Severity.WARNING, f"“{unit[:40]}” is no unit we know."))


def _note(problem: Problem | None, problems: list[Problem]) -> None:
    if problem is None:
        return
    if problem.field in _MINOR and problem.severity == Severity.ERROR:
        problem = Problem(problem.field, Severity.WARNING, f"{problem.message} It was left out.")
    problems.append(problem)

"""Workbooks: their values as a person sees them, and containers that mean harm."""

import datetime as dt
import io
import zipfile
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboarding import reading
from onboarding.reading import spreadsheets
from onboarding.reading.rows import Severity


def saved(*sheets, edit=lambda book: None):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets:
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    edit(book)
    out = io.BytesIO()
    book.save(out)
    return out


def opened(stream, **settings_):
    stream.seek(0)
    return reading.read(stream, name="f.xlsx", **settings_)


def refused(stream):
    with pytest.raises(reading.UnreadableFile) as caught:
        list(opened(stream).rows())
    return caught.value


def repacked(stream, *, change=None, extra=None):
    """The workbook with parts changed or added, as an attacker would."""
    out = io.BytesIO()
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            body = old.read(entry)
            new.writestr(entry.filename, change(entry.filename, body) if change else body)
        for name, body in (extra or {}).items():
            new.writestr(name, body)
    return out


TABLE = [["SKU", "Title", "Price", "Qty"], ["A-1", "Shirt", 12.5, 4], ["A-2", "Hat", 3, -1]]


def test_a_workbook_is_read_with_rows_numbered_as_shown():
    read = opened(saved(("Stock", TABLE)))
    assert (read.encoding, read.sheet, read.sheets) == ("xlsx", "Stock", ("Stock",))
    assert [(row.number, row.sku, row.price, row.quantities) for row in read.rows()] == [
        (2, "A-1", Decimal("12.5"), {"": Decimal(4)}),
        (3, "A-2", Decimal(3), {"": Decimal(-1)}),
    ]


def test_numbers_have_no_exponent_no_noise_and_keep_the_zeros_their_format_shows():
    def edit(book):
        book["S"]["B5"].number_format = "0000000000000"

    rows = [
        ["SKU", "Barcode", "Title", "Price"],
        ["A", 4006381333931, "x", 0.1 + 0.2],
        ["B", 4006381333931.0, "x", 1e-05],
        ["C", 12345678901234567890, "x", 1],
        ["D", 36000291452, "x", 1],
        [1001, "x", "x", 1],
        [1001.0, None, "x", 1],
    ]
    read = list(opened(saved(("S", rows), edit=edit)).rows())
    assert [row.raw.get("Barcode") for row in read[:2]] == ["4006381333931"] * 2
    assert [str(row.raw["Price"]) for row in read[:2]] == ["0.3", "0.00001"]
    assert any("15 digits" in problem.message for problem in read[2].problems)
    assert read[3].gtin == "0036000291452"
    assert [row.sku for row in read[4:]] == ["1001", "1001"]


def test_a_date_in_a_size_column_is_told_and_a_size_is_not():
    rows = [["SKU", "Title", "Size"], ["A", "Ring", dt.datetime(2026, 10, 12)], ["B", "Ring", "10-12"]]  # noqa: DTZ001
    first, second = opened(saved(("S", rows))).rows()
    assert first.problems[0].suggestion == "10-12"
    assert second.problems == ()


def test_the_first_sheet_that_holds_something_is_read_or_the_one_asked_for():
    book = saved(("Empty", []), ("Blank", [["", " "]]), ("Stock", TABLE), ("Other", [["SKU"], ["Z"]]))
    read = opened(book)
    assert read.sheet == "Stock"
    assert any("Stock" in note for note in read.notes)
    assert [row.sku for row in opened(book, sheet="Other").rows()] == ["Z"]
    with pytest.raises(reading.UnreadableFile, match="no sheet “Nope”"):
        opened(book, sheet="Nope")


def test_hidden_sheets_are_passed_over():
    def edit(book):
        book["Lookup"].sheet_state = "hidden"

    read = opened(saved(("Lookup", TABLE), ("Stock", TABLE), edit=edit))
    assert (read.sheet, read.sheets) == ("Stock", ("Stock",))


def test_empty_workbooks_and_header_only_are_refused():
    assert refused(saved(("S", []))).code == "empty"
    assert refused(saved(("S", [["SKU", "Title"]]))).code == "no_rows"


def test_formulas_give_their_stored_value_or_say_that_there_is_none():
    rows = [["SKU", "Title", "Price"], ["A", "Shirt", "=1+1"], ["B", "Hat", 3]]
    book = saved(("S", rows))
    read = opened(book)
    assert [row.price for row in read.rows()] == [None, Decimal(3)]
    assert "1 cells hold a formula" in read.notes[0]

    def stored(name, body):
        return body.replace(b"<v></v>", b"<v>2</v>").replace(b"<v />", b"<v>2</v>") if "sheet1" in name else body

    book.seek(0)
    read = opened(repacked(book, change=stored))
    assert [row.price for row in read.rows()] == [Decimal(2), Decimal(3)]
    assert read.notes == ()


def test_a_failed_formula_is_an_empty_cell_with_a_warning():
    row = next(opened(saved(("S", [["SKU", "Title", "Price"], ["A", "Shirt", "#N/A"]]))).rows())
    assert row.price is None
    assert row.problems[0].severity == Severity.WARNING


def test_square_files_come_as_workbooks_too():
    header = ["Token", "Item Name", "Variation Name", "SKU", "Price", "Current Quantity Main Street"]
    read = opened(saved(("Items", [header, ["T1", "Tea", "Large", "T-L", 3.5, 7]])))
    assert read.format.key == "square_items"
    assert next(read.rows()).quantities == {"Main Street": Decimal(7)}


def test_a_workbook_named_csv_and_one_in_chunks_are_read():
    body = saved(("S", TABLE)).getvalue()
    read = reading.read((body[start : start + 1000] for start in range(0, len(body), 1000)), name="stock.csv")
    assert len(list(read.rows())) == 2


def bomb(kind):
    good = saved(("S", TABLE))
    if kind == "one huge part":
        return repacked(good, extra={"xl/media/a.bin": b"\0" * 60_000_000})
    if kind == "many parts":
        return repacked(good, extra={f"xl/p{n}.xml": b"" for n in range(spreadsheets.ENTRIES_MAX + 1)})
    if kind == "a workbook inside":
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as package:
            package.writestr("zeros", b"\0" * 40_000_000)
        layers = {f"xl/embeddings/{n}.zip": inner.getvalue() * 20 for n in range(60)}
        return repacked(good, extra=layers)
    entity = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    if kind == "entities":
        return repacked(good, change=lambda name, body: entity + body if "sheet1" in name else body)
    if kind == "an entity of a file":
        outside = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
        return repacked(good, change=lambda name, body: outside + body if "workbook.xml" in name else body)
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind", ["one huge part", "many parts", "a workbook inside", "entities", "an entity of a file"]
)
def test_zip_bombs_and_entities_are_refused_before_parsing(kind, monkeypatch):
    monkeypatch.setattr(openpyxl, "load_workbook", lambda *args, **kwargs: pytest.fail("it was parsed"))
    if kind == "a workbook inside":
        monkeypatch.setattr(spreadsheets, "TOTAL_BYTES_MAX", 30_000_000)
    failure = refused(bomb(kind))
    assert failure.code == "unsafe"


def test_the_control_without_the_harm_is_read():
    good = repacked(saved(("S", TABLE)), extra={"xl/media/a.bin": b"\0" * 1000})
    assert len(list(opened(good).rows())) == 2


def test_sizes_that_a_container_lies_about_are_not_believed():
    """A part that says it unpacks to 10 bytes and does to 60 million is stopped, or found damaged, never unpacked."""
    body = repacked(saved(("S", TABLE)), extra={"xl/media/a.bin": b"\0" * 60_000_000}).getvalue()
    lie = body.replace((60_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lie != body
    assert refused(io.BytesIO(lie)).code in ("damaged", "unsafe")


def test_two_parts_of_one_name_are_refused():
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = repacked(saved(("S", TABLE)), extra={"xl/workbook.xml": b"<x/>"})
    assert refused(twice).code == "unsafe"


def test_archives_cut_files_and_other_office_files_are_refused_in_words():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("stock.csv", "SKU\nA\n")
    assert refused(archive).code == "archive"
    office = io.BytesIO()
    with zipfile.ZipFile(office, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        package.writestr("content.xml", "<a/>")
    assert refused(office).code == "not_a_table"
    whole = saved(("S", TABLE)).getvalue()
    assert refused(io.BytesIO(whole[: len(whole) // 2])).code == "damaged"
    broken = repacked(saved(("S", TABLE)), change=lambda name, body: body[:200] if "sheet1" in name else body)
    assert refused(broken).code == "damaged"


def test_a_row_at_the_far_end_costs_no_memory_and_is_found():
    def edit(book):
        book["S"]["A200000"] = "A-9"

    rows = list(opened(saved(("S", TABLE), edit=edit)).rows())
    assert [row.number for row in rows] == [2, 3, 200_000]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), max_size=10), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_text_in_a_workbook_comes_back_equal(table):
    rows = [["S", *cells] for cells in table]
    book = openpyxl.Workbook()
    for line, row in enumerate([["SKU", "Title", "Vendor", "Notes"], *rows], start=1):
        for place, text in enumerate(row, start=1):
            cell = book.active.cell(line, place)
            cell.value = text
            cell.data_type = "s"
    out = io.BytesIO()
    book.save(out)
    read = opened(out)
    back = [[row.raw.get(name, "") for name in ("SKU", "Title", "Vendor", "Notes")] for row in read.rows()]
    assert back == rows

"""Text tables as people upload them: encodings, delimiters, quotes, headers, and files that are no table."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboarding import reading
from onboarding.reading import rows as rows_module
from onboarding.reading.rows import Severity

PLAIN = "SKU,Title,Price\nA-1,Café crème,2.50\nA-2,Tea – green,3.00\n"


def opened(content, **settings_):
    return reading.read(io.BytesIO(content if isinstance(content, bytes) else content.encode()), name="f", **settings_)


def titles(read):
    return [row.product_title for row in read.rows()]


def refused(content, **settings_):
    with pytest.raises(reading.UnreadableFile) as caught:
        list(opened(content, **settings_).rows())
    return caught.value


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_same_table_comes_out_of_every_encoding(encoding, found):
    read = opened(PLAIN.encode(encoding))
    assert read.encoding == found
    assert titles(read) == ["Café crème", "Tea – green"]
    assert read.headers == ("SKU", "Title", "Price")


def test_what_was_assumed_of_the_encoding_is_said_and_nothing_for_plain_utf8():
    assert "Windows-1252" in opened(PLAIN.encode("cp1252")).notes[0]
    assert opened(PLAIN).notes == ()


def test_a_windows_letter_far_down_is_not_lost_in_a_file_that_looks_like_ascii():
    body = "SKU,Title\n" + "".join(f"S-{n},Plain\n" for n in range(60_000)) + "S-X,Caf\u00e9\n"
    assert titles(opened(body.encode("cp1252")))[-1] == "Café"


def test_stray_windows_bytes_in_a_utf8_file_are_read_and_counted():
    body = PLAIN.encode() + b"A-3,Caf\xe9 \xe2\x82\xac,1\n"
    read = opened(body)
    assert titles(read) == ["Café crème", "Tea – green", "Café €"]
    assert "1 bytes" in read.notes[0]


def test_bytes_that_windows_1252_does_not_define_are_kept_and_told():
    read = opened(b"SKU,Title\nA,\x81\xe9\xe8\nB,x\n")
    assert [row.raw["Title"] for row in read.rows()] == ["\x81éè", "x"]
    assert any("mean nothing" in note for note in read.notes)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_each_delimiter_is_found_and_respects_quotes(delimiter):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([["SKU", "Title", "Price"], ["A", "a,b;c\td|e", "1"], ["B", "x,y,z;;;", "2"]])
    read = opened(out.getvalue())
    assert read.delimiter == delimiter
    assert titles(read) == ["a,b;c\td|e".replace("\t", " "), "x,y,z;;;"]


def test_decimal_commas_do_not_make_a_comma_the_delimiter():
    read = opened("SKU;Titel;Preis\nA;Hemd;12,50\nB;Hose;9,95\nC;Rock;1.299,00\n")
    assert read.delimiter == ";"
    assert [str(row.price) for row in read.rows()] == ["12.50", "9.95", "1299.00"]
    assert "decimal comma" in read.notes[-1]


def test_the_line_that_names_the_separator_is_obeyed_and_not_counted():
    read = opened("sep=;\nSKU;Title\nA;x,y\n")
    assert [(row.number, row.product_title) for row in read.rows()] == [(2, "x,y")]


def test_one_column_is_a_table_too():
    assert [row.sku for row in opened("SKU\nA-1\nA-2\n").rows()] == ["A-1", "A-2"]


def test_quoted_newlines_stay_in_their_cell_and_rows_count_as_a_spreadsheet_shows():
    read = opened('SKU,Title,Notes\nA,"Two\nlines","x\r\ny"\n\nB,Plain,\n')
    assert [(row.number, row.sku, row.problems) for row in read.rows()] == [(2, "A", ()), (4, "B", ())]
    assert next(read.rows()).raw["Title"] == "Two\nlines"


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_every_line_end_is_one(end):
    assert titles(opened(PLAIN.replace("\n", end))) == ["Café crème", "Tea – green"]


def test_a_lone_quote_costs_one_row_a_warning_and_no_row_its_place():
    read = opened('SKU,Title,Price\nA,"5 inch pipe,2\nB,Elbow,3\nC,"6 inch pipe,4\nD,Tee,5\n')
    rows = list(read.rows())
    assert [(row.number, row.sku, row.product_title) for row in rows] == [
        (2, "A", '"5 inch pipe'),
        (3, "B", "Elbow"),
        (4, "C", '"6 inch pipe'),
        (5, "D", "Tee"),
    ]
    assert ["not closed" in row.problems[0].message if row.problems else False for row in rows] == [
        True,
        False,
        True,
        False,
    ]


def test_an_inch_mark_inside_a_cell_is_no_quotation():
    assert titles(opened('SKU,Title\nA,Pipe 5"\nB,5" 3" pipe\n')) == ['Pipe 5"', '5" 3" pipe']


def test_a_quote_that_never_closes_in_a_long_file_does_not_swallow_it():
    body = 'SKU,Title,Price\nA,"5 inch,2\n' + "".join(f"S-{n},Thing,1\n" for n in range(5_000))
    rows = list(opened(body).rows())
    assert len(rows) == 5_001
    assert rows[-1].sku == "S-4999"


@pytest.mark.parametrize("rows_below", [2, 10, 5_000])
def test_a_lone_quote_in_a_row_that_is_ragged_too_swallows_no_row_either(rows_below):
    body = 'SKU,Title,Price\nA,"5 inch, grey,2\n' + "".join(f"S-{n},Thing,1\n" for n in range(rows_below))
    first, *others = opened(body).rows()
    assert first.has_errors
    assert [row.sku for row in others] == [f"S-{n}" for n in range(rows_below)]


def test_nul_bytes_are_left_out_and_told():
    rows = list(opened(b'SKU,Title\nA,"Sh\0irt\nx\0"\nB,Hat\n').rows())
    assert rows[0].raw["Title"] == "Shirt\nx"
    assert "NUL" in rows[0].problems[0].message
    assert rows[1].problems == ()


def test_a_row_longer_than_any_row_is_refused_by_its_number():
    failure = refused("SKU,Title\nA,x\nB," + "y" * (rows_module.RECORD_CHARS_MAX + 10) + "\n")
    assert failure.code == "too_long"
    assert "Row 3" in str(failure)
    assert len(next(opened("SKU,Title\nA," + "y" * 200_000 + "\n").rows()).raw["Title"]) == 200_000


def test_ragged_rows_are_named_and_control_rows_are_not():
    rows = list(opened("SKU,Title,Price\nA,x,1\nB,Big, red,2\nC,y\nD,z,4,\n").rows())
    assert [row.messages() for row in rows] == [
        [],
        [
            "Row 3: 4 cells under 3 headers: perhaps a comma inside a value is not quoted.",
            "Row 3, Price: “red” is no number.",
        ],
        ["Row 4: Only 2 cells under 3 headers; the missing ones say nothing."],
        [],
    ]
    assert rows[1].has_errors
    assert not rows[2].has_errors
    assert rows[2].price is None


def test_duplicate_headers_are_told_apart_and_none_is_lost():
    read = opened("SKU,Color,Title,Color,Color (2),\nA,red,Shirt,blue,green,x\n")
    assert read.headers == ("SKU", "Color", "Title", "Color (3)", "Color (2)", "Column F")
    assert next(read.rows()).raw["Color (3)"] == "blue"
    assert any("“Color”" in note for note in read.notes)


def test_a_header_repeated_further_down_is_no_row():
    read = opened("SKU,Title,Price\nA,x,1\nSKU,Title,Price\nB,y,2\nSKU,Other,3\n")
    assert [row.sku for row in read.rows()] == ["A", "B", "SKU"]
    assert read.folded == {"headers repeated": 1}


def test_a_title_and_blank_rows_above_the_header_are_passed_over():
    read = opened("Stock list of Acme Ltd.\nMade 2026-10-01,,\n\nSKU,Title,Price\nA,Shirt,5\n")
    assert read.headers == ("SKU", "Title", "Price")
    assert [row.number for row in read.rows()] == [5]
    assert "2 rows above" in read.notes[0]


def test_a_table_without_a_header_gets_letters_and_keeps_its_first_row():
    read = opened("A-1,Blue shirt,12.50,4\nA-2,Red shirt,13.50,5\nA-3,Red hat,3.50,5\n")
    assert read.headers[0] == "Column A"
    assert [row.number for row in read.rows()] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"\xff\xfe", "empty"),
        (b" \r\n\r\n", "empty"),
        (b",,,\n,,\n", "empty"),
        (b"SKU,Title\n", "no_rows"),
        (b"SKU,Title\n\n,\n", "no_rows"),
        (b"%PDF-1.7\n%\xe2\xe3", "pdf"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "html"),
        (b"\n <html><table><tr><td>SKU</td></tr></table>", "html"),
        (b"<?xml version='1.0'?><a/>", "not_a_table"),
        (b'[{"sku": "A"}]', "not_a_table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old_excel"),
        (b"\x1f\x8b\x08" + b"x" * 50, "archive"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 60, "binary"),
        (bytes(range(256)) * 40, "binary"),
    ],
)
def test_what_is_no_table_is_refused_in_words(content, code):
    failure = refused(content)
    assert failure.code == code
    assert str(failure).endswith(".")


def test_chunks_of_an_upload_read_like_a_file():
    whole = PLAIN.encode()
    read = reading.read((whole[start : start + 3] for start in range(0, len(whole), 3)), name="chunks")
    assert titles(read) == ["Café crème", "Tea – green"]


def test_reading_can_begin_after_a_row_and_knows_what_stood_above():
    body = (
        "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\nh,Shirt,Size,S,A,1\nh,,,M,B,1\nh,,,L,C,1\n"
    )
    read = opened(body)
    rest = list(read.rows(after=3))
    assert rest == list(read.rows())[2:]
    assert (rest[0].product_title, rest[0].options) == ("Shirt", (("Size", "L"),))


CELLS = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cf", "Co", "Cn", "Zl", "Zp"]) | st.sampled_from("\n\"',;|\t "),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(
    table=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_table_written_in_any_dialect_comes_back_equal(table, delimiter, encoding, quoting, end):
    rows = [["S", *cells] for cells in table]
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
    header = ["SKU", "Title", "Vendor", "Notes"]
    # Enough of a plain table that any person would see the delimiter.
    writer.writerows([header, *([["S", "Shirt", "Acme", "n"]] * 60), *rows])
    read = opened(out.getvalue().encode(encoding))
    assert read.delimiter == delimiter
    back = [[row.raw.get(name, "") for name in header] for row in read.rows()]
    assert back[60:] == rows


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.text("abcdéèüßñøÅÖ xyz", min_size=1, max_size=10), min_size=1, max_size=20))
def test_any_western_text_in_windows_1252_comes_back_equal(words):
    body = "SKU,Title\nX,é\n" + "".join(f"A,{word} – £5\n" for word in words)
    read = opened(body.encode("cp1252"))
    assert [row.raw["Title"] for row in read.rows()] == ["é", *(f"{word} – £5" for word in words)]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000))
def test_no_bytes_at_all_fail_in_another_way_than_by_saying_so(content):
    try:
        rows = list(opened(b"SKU,Title\nA,B\n" + content).rows())
    except reading.UnreadableFile:
        return
    assert rows[0].sku == "A" or rows[0].problems


def test_a_severity_is_error_only_where_the_value_is_left_out():
    row = next(opened("SKU,Title,Price\nA,x,dear\n").rows())
    assert row.price is None
    assert row.problems[0].severity == Severity.ERROR

"""Tables of unknown kind: columns guessed from their headers and from what stands in them."""

import io

import pytest

from onboarding import reading
from onboarding.reading import columns

VALUES = {
    "sku": ["TS-001-S", "TS-001-M", "HT-002", "MG-003", "BG-004"],
    "title": ["Cotton shirt blue", "Cotton shirt red", "Wool hat", "Stone mug large", "Canvas bag"],
    "gtin": ["4006381333931", "036000291452", "5901234123457", "4012345678901", "9780306406157"],
    "price": ["12.50", "12.50", "19.00", "8.95", "24.00"],
    "cost": ["5.00", "5.00", "9.00", "3.10", "11.00"],
    "qty": ["4", "0", "12", "3", "7"],
    "size": ["S", "M", "L", "XL", "S"],
    "color": ["Blue", "Red", "Black", "White", "Navy"],
    "brand": ["Acme", "Acme", "Alder", "Alder", "Birch"],
}


def opened(columns_, **settings_):
    """A table of header -> kind of values."""
    lines = ["\t".join(columns_)]
    lines += ["\t".join(VALUES[kind][row] for kind in columns_.values()) for row in range(5)]
    return reading.read(io.BytesIO("\n".join(lines).encode()), name="f", **settings_)


def fields(read):
    return {guess.header: guess.field for guess in read.suggested}


LANGUAGES = [
    ("SKU", "Product Name", "Barcode", "Price", "Cost Price", "Qty", "Size", "Colour", "Brand"),
    ("Item code", "Description", "EAN", "RRP", "Wholesale", "Stock on hand", "SIZE", "color", "Manufacturer"),
    ("Artikelnummer", "Bezeichnung", "EAN", "Verkaufspreis", "Einkaufspreis", "Bestand", "Größe", "Farbe", "Marke"),
    (
        "Référence",
        "Désignation",
        "Code-barres",
        "Prix de vente",
        "Prix d'achat",
        "Stock",
        "Taille",
        "Couleur",
        "Marque",
    ),
    ("Referencia", "Descripción", "Código de barras", "PVP", "Coste", "Existencias", "Talla", "Color", "Marca"),
    (
        "Artikelcode",
        "Omschrijving",
        "Streepjescode",
        "Verkoopprijs",
        "Inkoopprijs",
        "Voorraad",
        "Maat",
        "Kleur",
        "Merk",
    ),
    ("sku_code", "product_title", "upc_ean", "unit_price", "unitCost", "stock_qty", "size", "colour", "brand_name"),
    (
        "SKU No.",
        "Item Nmae",
        "Bar Code",
        "Retail Price (inc VAT)",
        "Cost (ex VAT)",
        "Quantty",
        "Shoe Size",
        "Colour",
        "Vendor",
    ),
]


@pytest.mark.parametrize("headers", LANGUAGES, ids=lambda headers: headers[0])
def test_columns_are_named_right_in_five_languages_and_with_misspellings(headers):
    kinds = ("sku", "title", "gtin", "price", "cost", "qty", "size", "color", "brand")
    read = opened(dict(zip(headers, kinds, strict=True)))
    wanted = ("sku", "product_title", "gtin", "price", "cost", "quantity", "option1_value", "option2_value", "vendor")
    assert fields(read) == dict(zip(headers, wanted, strict=True))
    assert read.needs_mapping
    row = next(read.rows())
    assert row.options == ((headers[6], "S"), (headers[7], "Blue"))
    assert (row.sku, row.gtin, str(row.price)) == ("TS-001-S", "4006381333931", "12.50")


def test_headers_that_say_nothing_are_guessed_from_the_values_and_with_less_confidence():
    read = opened({"Spalte 1": "sku", "f2": "title", "f3": "gtin", "f4": "price", "f5": "size", "f6": "color"})
    assert fields(read) == {
        "Spalte 1": "sku",
        "f2": "product_title",
        "f3": "gtin",
        "f4": "price",
        "f5": "option1_value",
        "f6": "option2_value",
    }
    assert all(guess.confidence < 0.8 and guess.reason and len(guess.samples) > 1 for guess in read.suggested)


def test_a_name_goes_before_a_description_whatever_their_order():
    for order in (("Description", "Name"), ("Name", "Description")):
        found = fields(opened(dict.fromkeys(order, "title") | {"SKU": "sku"}))
        assert found["Name"] == "product_title"
        assert found["Description"] == ""


def test_values_that_cannot_be_a_price_weaken_the_header():
    sure = next(guess for guess in opened({"SKU": "sku", "Price": "price"}).suggested if guess.header == "Price")
    doubtful = next(guess for guess in opened({"SKU": "sku", "Price": "title"}).suggested if guess.header == "Price")
    assert sure.confidence > 0.9 > 0.7 > doubtful.confidence
    assert "do not look like it" in doubtful.reason or doubtful.field != "price"


def test_counts_at_places_are_told_from_their_headers():
    read = opened(
        {"SKU": "sku", "Name": "title", "Stock Main Street": "qty", "Bestand (Laden)": "qty", "Depot qty": "qty"}
    )
    assert list(fields(read).values())[2:] == ["quantity:Main Street", "quantity:Laden", "quantity:Depot"]
    assert set(next(read.rows()).quantities) == {"Main Street", "Laden", "Depot"}


def test_a_column_of_locations_says_where_the_count_is():
    body = "SKU,Name,Location,Qty\nA,Hat,Shop,3\nA,Hat,Depot,\n"
    first, second = reading.read(io.BytesIO(body.encode()), name="f").rows()
    assert {place: int(count) for place, count in first.quantities.items()} == {"Shop": 3}
    assert second.quantities == {}


def test_a_persons_mapping_is_obeyed_and_columns_it_leaves_out_are_not_read():
    kinds = {"a": "sku", "b": "title", "c": "gtin", "Price": "price", "Finish": "size"}
    read = opened(kinds, mapping={"a": "sku", "b": "product_title", "c": "", "Finish": "option1_value"})
    row = next(read.rows())
    assert not read.needs_mapping
    assert (row.sku, row.product_title, row.gtin, row.price) == ("TS-001-S", "Cotton shirt blue", None, None)
    assert row.options == (("Finish", "S"),)
    assert row.raw["c"] == "4006381333931"


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"a": "sku", "nope": "price"}, "no column “nope”"),
        ({"a": "sku", "b": "colour"}, "no field"),
        ({"a": "sku", "b": "sku"}, "both “a” and “b”"),
        ({"a": "price"}, "title or the SKU"),
        ({}, "title or the SKU"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_in_words(mapping, says):
    with pytest.raises(reading.UnreadableFile, match=says) as caught:
        opened({"a": "sku", "b": "title"}, mapping=mapping)
    assert caught.value.code == "mapping"


def test_a_mapping_is_remembered_by_headers_in_any_order_and_spelling():
    assert reading.signature(["SKU", "Name"]) == reading.signature(["name ", "sku"])
    assert reading.signature(["SKU", "Name"]) != reading.signature(["SKU", "Name", "Price"])


def test_rows_of_a_group_without_a_title_take_it_from_the_row_above():
    body = "Group,Name,SKU,Size\ng1,Shirt,A,S\ng1,,B,M\ng2,Hat,C,\n"
    rows = list(reading.read(io.BytesIO(body.encode()), name="f").rows())
    assert [row.product_title for row in rows] == ["Shirt", "Shirt", "Hat"]
    assert [row.options for row in rows] == [(("Size", "S"),), (("Size", "M"),), None]


def test_a_row_that_nothing_identifies_is_an_error():
    body = "Name,SKU,Price\nHat,H,1\n,,5\n"
    rows = list(reading.read(io.BytesIO(body.encode()), name="f").rows())
    assert [row.has_errors for row in rows] == [False, True]


def test_no_word_is_listed_for_two_fields():
    seen = {}
    for field, words in columns.HEADER_WORDS.items():
        for word in words:
            assert seen.setdefault(columns.folded(word), field) == field, word


UNKNOWN_EXPORTS = {
    "Name,Alternate Name,Price,Price Type,Tax Rates,Cost,Product Code,SKU,Quantity,Hidden": (
        "Blue cotton shirt,,19.00,Fixed,Default,9.00,036000291452,TS-1,4,No",
        ["product_title", "", "price", "", "", "cost", "gtin", "sku", "quantity", ""],
    ),
    "Product ID,Product Code/SKU,Product Name,Brand Name,Price,Cost Price,Product UPC/EAN,Current Stock Level": (
        "12,TS-1,Blue cotton shirt,Acme,19.00,9.00,036000291452,4",
        ["external_product_id", "sku", "product_title", "vendor", "price", "cost", "gtin", "quantity"],
    ),
    "Artikelnummer;Artikelname;GTIN;Brutto-VK;Lagerbestand Gesamt;Hersteller;Gewicht (kg);Aktiv": (
        "TS-1;Blaues Hemd Baumwolle;4006381333931;19,00;4;Acme;0,2;1",
        ["sku", "product_title", "gtin", "price", "quantity", "vendor", "weight", "status"],
    ),
    "item_sku,item_name,external_product_id,external_product_id_type,standard_price,color_name,size_name,parent_sku": (
        "TS-1,Blue cotton shirt,4006381333931,EAN,19.00,Blue,S,TS",
        ["sku", "product_title", "gtin", "", "price", "option1_value", "option2_value", "product_key"],
    ),
    "Stock Code,Description,Category,Location,Quantity in Stock,Sales Price,Last Cost Price,Barcode,Reorder Point": (
        "TS-1,Blue cotton shirt,1,A1,4,19.00,9.00,4006381333931,2",
        ["sku", "product_title", "category", "location", "quantity", "price", "cost", "gtin", ""],
    ),
    "handleId,fieldType,name,productImageUrl,sku,price,visible,inventory,productOptionName1,productOptionValue1": (
        "p1,Product,Blue cotton shirt,https://img.example/1.jpg,TS-1,19.00,true,4,Size,S",
        [
            "product_key",
            "",
            "product_title",
            "image_url",
            "sku",
            "price",
            "",
            "quantity",
            "option1_name",
            "option1_value",
        ],
    ),
}


@pytest.mark.parametrize("header", UNKNOWN_EXPORTS, ids=lambda header: header[:25])
def test_exports_without_a_format_of_their_own_are_mapped_right(header):
    row, wanted = UNKNOWN_EXPORTS[header]
    read = reading.read(io.BytesIO("\n".join([header, *([row] * 4)]).encode()), name="f")
    assert read.format.key == "other"
    assert [guess.field for guess in read.suggested] == wanted

"""The exports we know, each with a small file of its kind, and real ones where they are at hand."""

import io
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from onboarding import reading
from onboarding.reading.rows import Severity

CATALOGS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "catalogs"


def opened(content, **settings_):
    return reading.read(io.BytesIO(content.encode()), name="f.csv", **settings_)


CLASSIC = """\
Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,\
Option2 Name,Option2 Value,\
Variant SKU,Variant Grams,Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Price,\
Variant Compare At Price,Variant Barcode,Image Src,Image Position,Variant Image,Cost per item,Status
oak-tray,Oak Tray,"<p>Solid,
oiled</p>",Alder & Co,Home > Kitchen,Trays,"wood, gift",true,Size,Small,Finish,Oiled,OT-S-O,450,shopify,4,deny,19.00,\
25.00,4006381333931,https://img.example/1.jpg,1,,8.50,active
oak-tray,,,,,,,,,Large,,Oiled,OT-L-O,900,shopify,-2,continue,29.00,,,https://img.example/2.jpg,2,\
https://img.example/l.jpg,,
oak-tray,,,,,,,,,,,,,,,,,,,,https://img.example/3.jpg,3,,,
gift-card,Gift Card,,Alder & Co,,,,true,Title,Default Title,,,,0,,0,deny,10.00,,,,,,,draft
"""
NEW = """\
Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,\
Barcode,Option1 name,\
Option1 value,Option1 Linked To,Price,Compare-at price,Cost per item,Inventory tracker,Inventory quantity,\
Continue selling when out of stock,Weight value (grams),Weight unit for display,Product image URL,Variant image URL
Oak Tray,oak-tray,Solid,Alder & Co,Home > Kitchen,Trays,wood,TRUE,Active,OT-S,4006381333931,Size,\
Small,,19.00,25.00,8.50,\
shopify,4,DENY,450,g,https://img.example/1.jpg,
,oak-tray,,,,,,,,OT-L,,,Large,,29.00,,,shopify,0,CONTINUE,900,g,,https://img.example/l.jpg
"""


@pytest.mark.parametrize(("content", "key"), [(CLASSIC, "shopify_products"), (NEW, "shopify_products_new")])
def test_both_shopify_header_sets_tell_the_same(content, key):
    read = opened(content)
    assert read.format.key == key
    small, large, *_ = read.rows()
    assert (small.product_key, small.product_title, small.vendor, small.category) == (
        "oak-tray",
        "Oak Tray",
        "Alder & Co",
        "Trays",
    )
    assert (large.product_title, large.vendor, large.status) == ("Oak Tray", "Alder & Co", "active")
    assert large.options[0] == ("Size", "Large")
    assert (small.price, small.compare_at_price, small.cost) == (Decimal("19.00"), Decimal("25.00"), Decimal("8.50"))
    assert (large.compare_at_price, large.cost, large.gtin) == (None, None, None)
    assert (small.sells_past_zero, large.sells_past_zero) == (False, True)
    assert (small.weight, small.weight_unit) == (Decimal(450), "g")
    assert (small.image_url, large.image_url) == ("https://img.example/1.jpg", "https://img.example/l.jpg")
    assert small.is_tracked is True
    assert [row.problems for row in (small, large)] == [(), ()]


def test_shopify_image_rows_are_folded_and_rows_keep_their_numbers():
    read = opened(CLASSIC)
    rows = list(read.rows())
    assert [row.number for row in rows] == [2, 3, 5]
    assert read.folded == {"rows with another image": 1}
    assert rows[1].quantities == {"": Decimal(-2)}
    assert rows[0].tags == ("wood", "gift")


def test_a_shopify_product_sold_in_one_form_has_no_options_and_untracked_stock_is_no_zero():
    card = list(opened(CLASSIC).rows())[2]
    assert (card.options, card.is_tracked, card.quantities, card.sku, card.status) == ((), False, {}, None, "draft")


def test_absent_columns_say_nothing():
    row = next(opened("Handle,Title,Variant SKU,Variant Price\nh,Hat,H-1,5\n").rows())
    assert (row.is_tracked, row.sells_past_zero, row.status, row.gtin, row.options, row.quantities) == (
        None,
        None,
        None,
        None,
        None,
        {},
    )


INVENTORY = """\
Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Option3 Name,Option3 Value,SKU,\
HS Code,COO,Location,\
Bin name,Incoming (not editable),Unavailable (not editable),Committed (not editable),Available (not editable),\
On hand (current),On hand (new)
oak-tray,Oak Tray,Size,Small,,,,,OT-S,,DE,Shop,,0,0,1,3,4,
oak-tray,Oak Tray,Size,Small,,,,,OT-S,,DE,Cellar,,0,0,0,9,9,7
oak-tray,Oak Tray,Size,Large,,,,,OT-L,,DE,Shop,,not stocked,not stocked,not stocked,not stocked,not stocked,
"""


def test_shopify_inventory_is_one_count_at_one_place_a_row_and_a_new_number_wins():
    read = opened(INVENTORY)
    assert (read.format.key, read.format.is_stock) == ("shopify_inventory", True)
    assert [(row.sku, row.quantities) for row in read.rows()] == [
        ("OT-S", {"Shop": Decimal(4)}),
        ("OT-S", {"Cellar": Decimal(7)}),
        ("OT-L", {}),
    ]


def test_older_shopify_inventory_has_a_column_a_place():
    read = opened(
        "Handle,Title,Option1 Name,Option1 Value,SKU,HS Code,COO,Main Street,Cellar,Variant Packed Weight\n"
        "h,Tray,Size,S,A,,DE,4,not stocked,2\nh,Tray,Size,M,B,,DE,0,-1,2\n"
    )
    assert [row.quantities for row in read.rows()] == [
        {"Main Street": Decimal(4)},
        {"Main Street": Decimal(0), "Cellar": Decimal(-1)},
    ]


SQUARE = """\
Reference Handle,Token,Item Name,Customer-facing Name,Variation Name,SKU,Description,Categories,\
Reporting Category,GTIN,\
Item Type,Weight (lb),Price,Archived,Sellable,Stockable,Option Name 1,Option Value 1,Default Unit Cost,\
Default Vendor Name,Enabled Main Street,Current Quantity Main Street,New Quantity Main Street,\
Current Quantity Pop-up,\
Tax - VAT (20%)
#oak-tray,TOK1,Oak Tray,,Small,OT-S,,"Trays, Gifts",Trays,4006381333931,Physical good,,19.00,N,Y,Y,\
Size,Small,8.50,Alder,Y,\
4,,2,Y
#oak-tray,TOK2,Oak Tray,,Large,OT-L,,"Trays, Gifts",Trays,,Physical good,,variable,N,Y,Y,Size,Large,,Alder,Y,9,12,,Y
#wrap,TOK3,Gift Wrap,,Regular,,,Services,Services,,Service,,2.00,Y,Y,N,,,,,Y,,,,N
"""


def test_square_items_have_variations_counts_by_place_and_words_for_prices():
    read = opened(SQUARE)
    assert read.format.key == "square_items"
    small, large, wrap = read.rows()
    assert (small.product_key, large.product_key) == ("#oak-tray", "#oak-tray")
    assert (small.external_id, small.variant_title, small.options) == ("TOK1", "Small", (("Size", "Small"),))
    assert small.quantities == {"Main Street": Decimal(4), "Pop-up": Decimal(2)}
    assert large.quantities == {"Main Street": Decimal(12)}
    assert (large.price, large.problems) == (None, ())
    assert (small.category, small.vendor, small.is_tracked, small.status) == ("Trays", "Alder", True, "active")
    assert (wrap.options, wrap.variant_title, wrap.is_tracked, wrap.status) == ((), None, False, "archived")


def test_older_square_files_group_variations_by_item_name():
    read = opened(
        "Token,Item Name,Variation Name,SKU,Category,Price\nA,Tea,Small,T-S,Drinks,2\nB,Tea,Large,T-L,Drinks,3\n"
    )
    assert read.format.key == "square_items"
    assert {row.product_key for row in read.rows()} == {"Tea"}
    assert [row.variant_title for row in read.rows()] == ["Small", "Large"]


LIGHTSPEED = """\
id,handle,sku,composite_name,composite_sku,composite_quantity,name,description,product_category,\
variant_option_one_name,\
variant_option_one_value,variant_option_two_name,variant_option_two_value,tags,active_online,weight,weight_unit,\
supply_price,retail_price,brand_name,supplier_name,active,track_inventory,inventory_Main_Outlet,\
reorder_point_Main_Outlet,\
inventory_Web
11,oaktray,OT-S,,,,Oak Tray,,Trays,Size,Small,,,wood,1,0.45,kg,8.50,19.00,Alder,Alder Ltd,1,1,4,1,0
12,oaktray,OT-L,,,,Oak Tray,,Trays,Size,Large,,,wood,1,0.9,kg,12,29.00,Alder,Alder Ltd,0,1,,1,
13,hamper,HAM,,OT-S,1,Hamper,,Sets,,,,,,1,,,,60,Alder,,1,1,5,,
,hamper,,,OT-L,2,,,,,,,,,,,,,,,,,,,,
"""


def test_lightspeed_rows_share_a_handle_and_outlets_have_their_blanks_back():
    read = opened(LIGHTSPEED)
    assert read.format.key == "lightspeed_products"
    small, large, hamper = read.rows()
    assert small.quantities == {"Main Outlet": Decimal(4), "Web": Decimal(0)}
    assert large.quantities == {}
    assert (small.options, small.external_id, small.vendor) == ((("Size", "Small"),), "11", "Alder")
    assert (small.status, large.status) == ("active", "archived")
    assert (small.weight, small.weight_unit) == (Decimal("0.45"), "kg")
    assert (small.cost, small.price) == (Decimal("8.50"), Decimal("19.00"))
    assert (hamper.is_tracked, hamper.quantities) == (False, {})
    assert read.folded == {"parts of composites": 1}


WOO = """\
ID,Type,SKU,"GTIN, UPC, EAN, or ISBN",Name,Published,"Is featured?","Visibility in catalog","In stock?",Stock,\
"Backorders allowed?","Weight (kg)","Sale price","Regular price",Categories,Tags,Images,Parent,"Attribute 1 name",\
"Attribute 1 value(s)","Attribute 2 name","Attribute 2 value(s)",Brands
21,variation,OT-S,4006381333931,Oak Tray - Small,1,0,visible,1,4,0,0.45,15,19,,,,id:20,Size,Small,Finish,,
20,variable,OT,,Oak Tray,1,0,visible,1,,0,,,,"Home > Trays, Gifts",wood,"https://img.example/1.jpg,\
 https://img.example/2.jpg",,\
Size,"Small, Large",Finish,"Oiled, Raw",Alder
22,variation,OT-L,,Oak Tray - Large,1,0,visible,1,parent,notify,0.9,,29,,,,OT,Size,Large,Finish,Oiled,
23,"simple, virtual",,,Course,-1,0,visible,1,,0,,,99,Lessons,,,,Length,2 hours,,,
24,grouped,SET,,Set,1,0,visible,1,,0,,,,,,,,,,,,
25,variation,X,,Lost,1,0,visible,1,1,0,,,5,,,,id:999,Size,S,,,
"""


def test_woocommerce_variations_take_title_brand_and_image_from_a_parent_anywhere_in_the_file():
    read = opened(WOO)
    assert read.format.key == "woocommerce_products"
    small, large, course, lost = read.rows()
    for row in (small, large):
        assert (row.product_title, row.product_key, row.external_product_id) == ("Oak Tray", "20", "20")
        assert (row.vendor, row.category, row.image_url) == ("Alder", "Trays", "https://img.example/1.jpg")
    assert (small.price, small.compare_at_price) == (Decimal(15), Decimal(19))
    assert (large.price, large.compare_at_price) == (Decimal(29), None)
    assert small.options == (("Size", "Small"),)
    assert "any “Finish”" in small.problems[0].message
    assert large.options == (("Size", "Large"), ("Finish", "Oiled"))
    assert (small.quantities, small.is_tracked) == ({"": Decimal(4)}, True)
    assert large.quantities == {}
    assert (small.sells_past_zero, large.sells_past_zero) == (False, True)
    assert (course.options, course.is_tracked, course.status) == ((), False, "draft")
    assert lost.problems[0].severity == Severity.ERROR
    assert read.folded == {"parents of variations": 1, "groups of other products": 1}
    assert small.weight_unit == "kg"


def test_a_file_with_two_words_of_an_export_is_not_taken_for_it():
    assert opened("Handle,Name,SKU\nh,Hat,H-1\n").format.key == "other"
    assert opened("Type,Name,SKU,Price\nHat,Red hat,H-1,5\n").format.key == "other"


def test_two_options_of_one_name_are_told_apart():
    row = next(
        opened(
            "Handle,Title,Option1 Name,Option1 Value,Option2 Name,Option2 Value,Variant SKU,Variant Price\n"
            "h,Hat,Size,S,size,Kids,A,1\n"
        ).rows()
    )
    assert row.options == (("Size", "S"), ("size 2", "Kids"))
    assert row.problems[0].severity == Severity.WARNING


def test_a_size_that_became_a_date_is_told_with_what_it_was():
    content = CLASSIC.replace("Small", "12-Oct")
    row = next(opened(content).rows())
    assert row.messages() == [
        "Row 2, Option 1 value: “12-Oct” looks like a date made by a spreadsheet; perhaps it was “10-12”."
    ]
    assert next(opened(CLASSIC).rows()).messages() == []


def test_values_too_long_to_keep_are_errors_not_cut_off():
    row = next(opened(f"Handle,Title,Variant SKU,Variant Price\nh,Hat,{'x' * 121},5\n").rows())
    assert row.sku is None
    assert row.problems[0].severity == Severity.ERROR


@pytest.mark.skipif(not CATALOGS.is_dir(), reason="the shared catalogs are not beside this checkout")
@pytest.mark.parametrize("name", ["shopify_apparel.csv", "shopify_home-and-garden.csv", "shopify_jewelery.csv"])
def test_real_catalogs_are_read_without_an_error(name):
    with (CATALOGS / name).open("rb") as stream:
        read = reading.read(stream, name=name)
        rows = list(read.rows())
    assert read.format.key == "shopify_products"
    assert len(rows) > 20
    assert all(row.product_title and row.price is not None and not row.has_errors for row in rows)
    assert all(row.options is not None for row in rows)


def test_reading_files_needs_no_django():
    code = "import sys; from onboarding import reading; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[2]).returncode == 0


def test_a_line_of_totals_is_told_and_a_product_of_that_name_is_not():
    rows = list(opened("Name,SKU,Qty\nHat,H,3\nTotal,,3\nTotal,T-1,1\n").rows())
    assert [bool(row.problems) for row in rows] == [False, True, False]


def test_a_row_is_held_up_by_a_senseless_price_but_not_by_a_senseless_weight_or_flag():
    body = "Handle,Title,Variant SKU,Variant Price,Variant Grams,Variant Inventory Policy\n"
    row, held = opened(body + "h,Hat,H-1,5,heavy,perhaps\ni,Cap,C-1,dear,10,deny\n").rows()
    assert (row.weight, row.sells_past_zero, row.has_errors, len(row.problems)) == (None, None, False, 2)
    assert (held.price, held.has_errors) == (None, True)


def test_a_person_may_name_the_columns_of_a_known_export_anew_and_its_rows_are_still_folded():
    read = opened(
        CLASSIC,
        mapping={
            "Handle": "product_key",
            "Title": "product_title",
            "Variant Barcode": "sku",
            "Option1 Value": "option1_value",
            "Option1 Name": "option1_name",
            "Variant Price": "price",
        },
    )
    rows = list(read.rows())
    assert [row.sku for row in rows] == ["4006381333931", None, None]
    assert rows[1].product_title == "Oak Tray"
    assert rows[1].sells_past_zero is True
    assert read.folded == {"rows with another image": 1}


def test_tables_wider_than_any_catalog_are_refused():
    with pytest.raises(reading.UnreadableFile) as caught:
        opened(",".join(f"h{place}" for place in range(1_001)) + "\n" + "x," * 1_000 + "x\n")
    assert caught.value.code == "too_wide"

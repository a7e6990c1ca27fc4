"""The demo shop's goods: Harbour & Pine, a small shop for the house and the people in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal

from channels.sandbox.goods import Goods, GoodsVariant

NAME = "Harbour & Pine"
SLUG = "harbour-and-pine"
PLACES = ("High Street shop", "Stock room")

# Title, code, category, price, then options by name.
_Line = tuple[str, str, str, str, dict[str, Sequence[str]]]
_SIZES = ("S", "M", "L", "XL")
_LINES: tuple[_Line, ...] = (
    ("Linen overshirt", "LNO", "Clothing", "78.00", {"Size": _SIZES, "Colour": ("Sand", "Ink")}),
    ("Merino crew", "MER", "Clothing", "94.00", {"Size": _SIZES, "Colour": ("Navy", "Oat")}),
    ("Harbour tee", "TEE", "Clothing", "28.00", {"Size": _SIZES, "Colour": ("White", "Slate", "Rust")}),
    ("Waxed apron", "APR", "Clothing", "46.00", {"Colour": ("Olive", "Black")}),
    ("Wool beanie", "BNE", "Clothing", "24.00", {"Colour": ("Grey", "Moss", "Mustard")}),
    ("Walking sock", "SOC", "Clothing", "14.00", {"Size": ("4–7", "8–11"), "Colour": ("Oat", "Navy")}),
    ("Canvas tote", "TOT", "Bags", "18.00", {"Colour": ("Natural", "Black")}),
    ("Market basket", "BSK", "Bags", "42.00", {"Size": ("Small", "Large")}),
    ("Leather key loop", "KEY", "Bags", "12.50", {"Colour": ("Tan", "Black")}),
    ("Ceramic mug", "MUG", "Kitchen", "16.00", {"Glaze": ("White", "Sea", "Charcoal")}),
    ("Stoneware bowl", "BWL", "Kitchen", "22.00", {"Glaze": ("White", "Sea")}),
    ("Serving plate", "PLT", "Kitchen", "34.00", {"Glaze": ("White", "Sea")}),
    ("Cast-iron pan", "PAN", "Kitchen", "64.00", {"Diameter": ("20 cm", "26 cm")}),
    ("Bread knife", "KNF", "Kitchen", "38.00", {}),
    ("Beech chopping board", "BRD", "Kitchen", "44.00", {"Size": ("Small", "Large")}),
    ("Linen tea towel", "TWL", "Kitchen", "11.00", {"Stripe": ("Red", "Blue", "Green")}),
    ("Enamel kettle", "KTL", "Kitchen", "58.00", {"Colour": ("Cream", "Green")}),
    ("Pour-over dripper", "DRP", "Coffee", "26.00", {}),
    ("Paper filters, 100", "FLT", "Coffee", "6.50", {}),
    ("House espresso beans", "ESP", "Coffee", "11.50", {"Weight": ("250 g", "1 kg")}),
    ("Filter roast, Kirinyaga", "KIR", "Coffee", "13.50", {"Weight": ("250 g", "1 kg")}),
    ("Decaf, Sugarcane", "DCF", "Coffee", "12.50", {"Weight": ("250 g",)}),
    ("Soy candle", "CND", "Home", "19.00", {"Scent": ("Fig", "Cedar", "Sea salt")}),
    ("Reed diffuser", "DIF", "Home", "27.00", {"Scent": ("Fig", "Cedar")}),
    ("Wool throw", "THR", "Home", "88.00", {"Colour": ("Grey", "Rust")}),
    ("Cushion cover", "CUS", "Home", "32.00", {"Colour": ("Ink", "Oat", "Moss")}),
    ("Brass hook", "HOK", "Home", "9.00", {}),
    ("Wall clock", "CLK", "Home", "54.00", {"Colour": ("Black", "White")}),
    ("Linen spray", "SPR", "Home", "15.00", {}),
    ("Hand soap", "SOP", "Bath", "13.00", {"Scent": ("Juniper", "Lemon")}),
    ("Cotton towel", "COT", "Bath", "29.00", {"Size": ("Hand", "Bath"), "Colour": ("White", "Sage")}),
    ("Nail brush", "NBR", "Bath", "8.50", {}),
    ("Notebook", "NTB", "Paper", "9.50", {"Ruling": ("Plain", "Dotted")}),
    ("Letterpress card", "CRD", "Paper", "3.80", {"Design": ("Boat", "Pine", "Thanks")}),
    ("Brush pen", "PEN", "Paper", "6.00", {}),
    ("Seed packet", "SED", "Garden", "2.90", {"Seed": ("Sweet pea", "Cornflower", "Kale")}),
    ("Copper trowel", "TRW", "Garden", "36.00", {}),
    ("Terracotta pot", "POT", "Garden", "12.00", {"Diameter": ("12 cm", "18 cm")}),
    ("Twine in a tin", "TWN", "Garden", "7.50", {}),
    ("Gardener's gloves", "GLV", "Garden", "21.00", {"Size": ("M", "L")}),
    ("Fisherman's cap", "CAP", "Clothing", "32.00", {"Size": ("S/M", "L/XL"), "Colour": ("Navy", "Stone")}),
    ("Espresso cup", "CUP", "Coffee", "12.00", {"Glaze": ("White", "Sea", "Charcoal")}),
    ("Stoneware teapot", "POT-T", "Kitchen", "48.00", {"Glaze": ("White", "Charcoal")}),
    ("Linen napkins, set of four", "NAP", "Kitchen", "36.00", {"Colour": ("Oat", "Ink", "Rust")}),
    ("Oilskin wash bag", "WSH", "Bags", "39.00", {"Colour": ("Olive", "Navy")}),
)


def goods() -> list[Goods]:
    """About 130 variants of 50 products, and a few listings that disagree, as in any real shop."""
    products = [_product(number, line) for number, line in enumerate(_LINES)]
    return [*products, *_trouble(), *_web_settings()]


def _product(number: int, line: _Line) -> Goods:
    title, code, category, price, options = line
    variants = []
    for index, values in enumerate(itertools.product(*options.values())):
        sku = "-".join([code, *(_short(value) for value in values)])
        shop, stock_room = (number * 7 + index * 5) % 19 + 2, (number * 11 + index * 3) % 37 + 6
        variants.append(
            GoodsVariant(
                sku=sku,
                price=Decimal(price),
                values=values,
                barcode=_barcode(number, index) if number % 3 != 2 else "",
                counts=dict(zip(PLACES, (shop, stock_room), strict=True)),
            )
        )
    return Goods(code.lower(), title, variants, tuple(options), "Harbour & Pine", category)


def _short(value: str) -> str:
    return "".join(part[:3] for part in value.upper().replace("–", " ").split())


def _barcode(number: int, index: int) -> str:
    """A GTIN-13 of the range that GS1 keeps for examples, with its check digit."""
    body = f"952{number:04d}{index:05d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return f"{body}{-total % 10}"


def _trouble() -> Iterator[Goods]:
    """Listings that stay unlinked until a person looks: no SKU on the web, one SKU twice, a thing only the till has."""
    counts = dict(zip(PLACES, (5, 0), strict=True))
    yield Goods(
        "gift-wrapping", "Gift wrapping", [GoodsVariant("GIFTWRAP", Decimal("3.00"), counts=counts, web_sku="")],
        (), "Harbour & Pine", "Services",
    )  # fmt: skip
    twice = [
        GoodsVariant("VCH-25", Decimal(25), ("25",), counts=counts, is_at_till=False),
        GoodsVariant("VCH-25", Decimal(50), ("50",), counts=counts, is_at_till=False),
    ]
    yield Goods("gift-voucher", "Gift voucher", twice, ("Value",), "Harbour & Pine", "Services")
    repair = GoodsVariant("REPAIR-30", Decimal("18.00"), counts=counts, is_on_web=False)
    yield Goods("repair", "Repair, per half hour", [repair], (), "Harbour & Pine", "Services")


def _web_settings() -> Iterator[Goods]:
    """Sold like all others, but the web shop does not count them, sells on at zero, or calls them otherwise."""
    counts = dict(zip(PLACES, (9, 24), strict=True))
    lines: tuple[tuple[str, str, str, str, dict[str, bool | str]], ...] = (
        ("Candle snuffer", "SNF", "Home", "14.00", {"is_tracked_on_web": False}),
        ("Matches in a bottle", "MTC", "Home", "8.00", {"is_tracked_on_web": False}),
        ("Sea salt flakes", "SLT", "Pantry", "5.50", {"sells_past_zero_on_web": True}),
        ("Rough oatcakes", "OAT", "Pantry", "3.20", {"sells_past_zero_on_web": True}),
        ("Seville marmalade", "MRM", "Pantry", "4.80", {"sells_past_zero_on_web": True}),
        ("Beech spoon", "SPN", "Kitchen", "7.00", {"web_sku": "SPN-01"}),
        ("Tea strainer", "STR", "Kitchen", "9.50", {"web_sku": "STR-02"}),
    )
    for number, (title, sku, category, price, settings) in enumerate(lines, start=len(_LINES)):
        variant = GoodsVariant(sku, Decimal(price), barcode=_barcode(number, 0), counts=counts, **settings)  # type: ignore[arg-type]
        yield Goods(sku.lower(), title, [variant], (), "Harbour & Pine", category)

"""The demo shop's untidy side: the stock list of an old till, taken over as it was, with a fault of every kind.

All goods are made up. Nothing here is listed at a channel: what the web shop has wrong is set at its stand-in
(channels/sandbox/demo_goods.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import transaction
from django.utils.timezone import now as utc_now

from channels.sandbox import demo_goods
from inventory import ledger
from inventory.models import Location, Product, Variant
from onboarding import journal
from onboarding.findings import detecting
from onboarding.models import ChangeSet
from storestudio.accounts.models import Merchant

TITLE = "Stock list of the old till"
VENDOR = "Harbour & Pine"
PLACE = demo_goods.PLACES[1]
FINDINGS = 60  # open ones, once the list is taken over


@dataclass(frozen=True)
class Row:
    """One line of the old list: a variant with so many units in the stock room."""

    sku: str
    price: str
    units: int = 18
    options: Mapping[str, str] = field(default_factory=dict)
    gtin: str = ""
    is_archived: bool = False


def _flat(title: str, sku: str, price: str, units: int = 18, **more: str) -> tuple[str, Sequence[Row]]:
    return title, [Row(sku, price, units, gtin=more.get("gtin", ""))]


def _sized(title: str, code: str, price: str, *options: Mapping[str, str]) -> tuple[str, Sequence[Row]]:
    return title, [Row(f"{code}-{n}", price, 12, one) for n, one in enumerate(options, start=1)]


GOODS: Sequence[tuple[str, Sequence[Row]]] = (
    # The same thing under a second number.
    _flat("Bread knife", "OT-1001", "38.00", 14),
    _flat("Copper trowel", "OT-1002", "36.00", 11),
    _flat("Linen spray", "OT-1003", "15.00", 20),
    _flat("Nail brush", "OT-1004", "8.50", 25),
    _flat("Pour-over dripper", "OT-1005", "26.00", 12),
    # Variants that were listed as products.
    _flat("Lambswool scarf - Red", "LSC-RED", "42.00"),
    _flat("Lambswool scarf - Navy", "LSC-NAVY", "42.00"),
    _flat("Lambswool scarf - Green", "LSC-GREEN", "42.00"),
    _flat("Fisherman rib jumper Small", "FRJ-S", "110.00"),
    _flat("Fisherman rib jumper Medium", "FRJ-M", "110.00"),
    _flat("Fisherman rib jumper Large", "FRJ-L", "110.00"),
    _flat("Quilted gilet - Olive / S", "QGL-OLI-S", "84.00"),
    _flat("Quilted gilet - Olive / M", "QGL-OLI-M", "84.00"),
    _flat("Quilted gilet - Black / S", "QGL-BLK-S", "84.00"),
    _flat("Quilted gilet - Black / M", "QGL-BLK-M", "84.00"),
    _flat("Picnic rug - Blue", "PRG-BLUE", "68.00"),
    _flat("Picnic rug - Orange", "PRG-ORANGE", "68.00"),
    _flat("Felt slipper size 38", "FSL-38", "49.00"),
    _flat("Felt slipper size 40", "FSL-40", "49.00"),
    _flat("Felt slipper size 42", "FSL-42", "49.00"),
    _flat("Bath salts - Lavender", "BSL-LAV", "16.00"),
    _flat("Bath salts - Eucalyptus", "BSL-EUC", "16.00"),
    _flat("Bath salts - Rose", "BSL-ROS", "16.00"),
    # No SKU.
    _flat("Oyster shucker", "", "17.00"),
    _flat("Storm lantern", "", "52.00"),
    _flat("Slate cheeseboard", "", "33.00"),
    _flat("Driftwood mirror", "", "120.00"),
    _flat("Hurricane lamp oil", "", "9.00"),
    # One SKU for two things.
    _flat("Rope doorstop", "HP-310", "24.00"),
    _flat("Enamel jug", "HP-310", "29.00"),
    _flat("Cork trivet", "HP-311", "12.00"),
    _flat("Hammock chair", "HP-311", "135.00"),
    _flat("Bottle opener", "HP-312", "11.00"),
    _flat("Wicker creel", "HP-312", "57.00"),
    _flat("Folding stool", "HP-313", "39.00"),
    _flat("Oak coat peg", "HP-313", "21.00"),
    # The SKU that the web shop uses for something else.
    _flat("Steel spatula", "SPN-01", "13.00"),
    _flat("Garden string", "STR-02", "5.00"),
    # Written otherwise than all others.
    _flat("Tide clock", "tide clock 1", "64.00"),
    _flat("Barometer", "bar_001", "98.00"),
    _flat("Ship in a bottle", "shp.btl", "45.00"),
    _flat("Anchor bookend", "anc bkd", "38.00"),
    _flat("Lighthouse print", "lhp*a3", "25.00"),
    _flat("Pebble soap dish", "Psd-Grey", "14.00"),
    # What a spreadsheet did.
    _flat("Whisky tumbler", "3-Dec", "15.00"),
    _flat("Sheepskin rug", "1.23E+12", "95.00"),
    _flat("Log basket", "Mar-21", "72.00"),
    _flat("Pepper mill", "#REF!", "31.00"),
    _flat("Egg timer", "2026-04-11 00:00", "16.00"),
    # Barcodes that cannot be.
    _flat("Bird feeder", "BFD", "22.00", gtin="9520001000013"),
    _flat("Watering can", "WTC", "41.00", gtin="952000100"),
    _flat("Seed dibber", "SDB", "13.00", gtin="SDB-WOOD"),
    _flat("Cold frame", "CFR", "140.00", gtin="2000010000012"),
    _flat("Plant mister", "PLM", "18.00", gtin="9.52E+12"),
    _flat("Kneeling pad", "KNP", "19.00", gtin="1111111111111"),
    _flat("Wheelbarrow", "WHB", "115.00", gtin="9901234567899"),
    _flat("Rain gauge", "RGG", "17.00", gtin="9520001000508"),
    _flat("Soil tester", "STS", "23.00", gtin="9520001000508"),
    # Prices that slipped.
    ("Tartan blanket", [
        Row("TBL-RED", "76.00", 9, {"Colour": "Red"}), Row("TBL-BLU", "76.00", 9, {"Colour": "Blue"}),
        Row("TBL-GRN", "76.00", 9, {"Colour": "Green"}), Row("TBL-GRY", "760.00", 9, {"Colour": "Grey"}),
    ]),
    ("Lidded jar", [
        Row("LJR-1", "14.00", 20, {"Lid": "Cork"}), Row("LJR-2", "14.00", 20, {"Lid": "Glass"}),
        Row("LJR-3", "14.00", 20, {"Lid": "Steel"}), Row("LJR-4", "0.14", 20, {"Lid": "Beech"}),
    ]),
    ("Tide table poster", [
        Row("TTP-1", "20.00", 15, {"Coast": "North"}), Row("TTP-2", "20.00", 15, {"Coast": "South"}),
        Row("TTP-3", "20.00", 15, {"Coast": "East"}), Row("TTP-4", "2000.00", 15, {"Coast": "West"}),
    ]),
    # Options written in many ways.
    _sized("Rain smock", "RSM", "88.00", {"Size": "XL"}, {"Size": "L"}),
    _sized("Boiled wool vest", "BWV", "74.00", {"Size": "X-Large"}, {"Size": "L"}),
    _sized("Deck trouser", "DTR", "92.00", {"Size": "xl "}, {"Size": "XL"}, {"Size": "L"}),
    _sized("Wool mitten", "WMT", "26.00", {"Color": "Grey"}, {"Color": "Navy"}),
    _sized("Bobble hat", "BBH", "24.00", {"Colour": "grey"}, {"Colour": "NAVY"}),
    _sized("Ground coffee", "GRC", "10.50", {"Weight": "250g"}, {"Weight": "1kg"}),
    _sized("Drinking chocolate", "DCH", "9.50", {"Weight": "250 g"}, {"Weight": "1 kg"}),
    # Put away, and still on the shelf.
    ("Summer parasol", [Row("PSL", "79.00", 6, is_archived=True)]),
    ("Windbreak", [Row("WBR", "44.00", 13, is_archived=True)]),
    ("Advent wreath", [Row("AWR", "38.00", 21, is_archived=True)]),
)  # fmt: skip


def plant(*, merchant: Merchant) -> bool:
    """Take over the old till's stock list and look for faults, once; whether there was anything to do."""
    if ChangeSet.objects.of(merchant).filter(title=TITLE).exists():
        return False
    place = Location.objects.of(merchant).get(name=PLACE)
    with (
        transaction.atomic(),
        journal.recording(merchant=merchant, kind=ChangeSet.Kind.IMPORT, title=TITLE, actor=None) as recorder,
    ):
        _take_over(recorder, merchant, place)
    detecting.detect(merchant=merchant)
    return True


def _take_over(recorder: journal.Recorder, merchant: Merchant, place: Location) -> None:
    now = utc_now()
    rows = [(title, row) for title, lines in GOODS for row in lines]
    products: dict[int, Product] = {}
    for title, lines in GOODS:
        products[id(lines)] = Product(merchant=merchant, title=title, vendor=VENDOR, category="Old till")
    recorder.make(list(products.values()))
    variants = [
        Variant(
            merchant=merchant,
            product=products[id(lines)],
            title=" / ".join(row.options.values()),
            sku=row.sku,
            gtin=row.gtin,
            options=dict(row.options),
            price=Decimal(row.price),
            archived_at=now if row.is_archived else None,
        )
        for _, lines in GOODS
        for row in lines
    ]
    recorder.make(variants)
    recorder.post(
        [
            ledger.Entry(
                variant_id=variant.pk,
                location_id=place.pk,
                kind=ledger.Kind.OPENING,
                key=f"old till:{variant.pk}",
                occurred_at=now,
                on_hand=Decimal(row.units),
                reason=TITLE,
            )
            for variant, (_, row) in zip(variants, rows, strict=True)
        ],
        source="opening",
    )

"""Made-up shops with known products: every naming habit, other goods, other colours than any list of the engine's."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from onboarding.matching.gtin import check_digit
from onboarding.matching.records import Record


def _list(text: str) -> list[str]:
    return [item.strip() for item in text.replace("\n", " ").split(",")]


STYLES = _list("""
dash_slash, dash, paren, comma, space, slash, reorder, upper, lower, labelled, lead, lead_last, glued
""")
SKU_HABITS = _list("dash, lower, nosep, under, space, prefix, sequence, none, colour_first")
CLEAN = {"dash_slash", "dash", "paren"}
PLAIN_COLOURS = _list("Black, White, Red, Blue, Green, Gray, Navy, Pink, Yellow, Orange, Purple, Brown")
SHORT_COLOURS = {
    "Black": ["Blk", "BLK"],
    "White": ["Wht", "WHT"],
    "Gray": ["Grey", "Gry"],
    "Navy": ["Nvy"],
    "Green": ["Grn"],
    "Blue": ["Blu"],
    "Red": ["RED"],
    "Yellow": ["Ylw"],
    "Brown": ["Brn"],
    "Orange": ["Orng"],
}
MARKETING_COLOURS = _list("""
Glacier, Ember, Tidepool, Fjord, Nocturne, Kelpie, Saffron Dust, Desert Bloom, Quillwork, Aurora, Basalt,
Nightshade, Pinecone, Sundial, Horizon Blue, Bog Green, Foxglove, Driftwood, Polar Night, Lichen, Wild Berry,
Harvest Gold, Tundra, Oyster, Blackout, Moonstone, Cayenne, Seagrass, Rosehip, Papyrus, Cinder, Lagoon, Thicket,
Vapor, Malt, Monsoon, Meadow, Verdigris, Soot, Hay
""")
LETTERS = _list("XS, S, M, L, XL, XXL")
SHORT_LETTERS = {
    "XS": ["X-Small", "Extra Small", "XSmall"],
    "S": ["Small", "Sml", "SM"],
    "M": ["Medium", "Med", "MD"],
    "L": ["Large", "Lge", "LG"],
    "XL": ["X-Large", "X Large", "Extra Large", "XLarge"],
    "XXL": ["2XL", "XX-Large"],
}
FIRST = _list("""
Harbor, Cedar, Juneau, Larkspur, Tamarack, Bowline, Quarry, Sable, Wren, Halyard, Copperfield, Red Rock, Silver
Creek, Nomad, Ridgeline, Marlow, Ivybridge, Kestrel, Blackwood, Greenwich, Osprey
""")
TEMPLATES: list[tuple[list[str], list[tuple[str, list[str]]]]] = [
    (
        [
            "Rain Jacket",
            "Flannel Shirt",
            "Crew Sweater",
            "Running Tee",
            "Zip Hoodie",
            "Linen Dress",
            "Ribbed Tank (Slim)",
        ],
        [("color", []), ("size", LETTERS)],
    ),
    (
        ["Chino Pant", "Cargo Short", "Climbing Trousers"],
        [("color", []), ("size", ["28", "30", "32", "34", "36", "38"])],
    ),
    (["Selvedge Jean"], [("color", []), ("size", ["28/30", "30/32", "32/32", "34/34"])]),
    (["Trail Boot", "Court Sneaker 500"], [("color", []), ("size", ["UK 6", "UK 7", "UK 8", "UK 9.5"])]),
    (["Road Shoe"], [("color", []), ("size", ["8.5", "9", "9.5", "10", "10.5"])]),
    (
        ["Beeswax Candle", "Reed Diffuser"],
        [("scent", ["Lavender", "Sandalwood", "Fig", "Sea Salt"]), ("size", ["8 oz", "12 oz"])],
    ),
    (["Hand Soap"], [("scent", ["Eucalyptus", "Bergamot", "Unscented"])]),
    (["House Blend Coffee"], [("grind", ["Whole Bean", "Espresso", "Filter"]), ("size", ["250 g", "1 kg"])]),
    (
        ["Oat Bar", "Whey Shake"],
        [("flavor", ["Peanut Butter", "Raspberry", "Hazelnut"]), ("pack", ["pack of 4", "pack of 12"])],
    ),
    (["Wall Paint"], [("finish", ["Matte", "Satin", "Gloss"]), ("size", ["1 l", "5 l"])]),
    (["Cutting Board"], [("material", ["Oak", "Walnut", "Bamboo"]), ("size", ["S", "L"])]),
    (["Signet Ring"], [("material", ["Gold", "Silver", "Brass"])]),
    (["Flash Drive"], [("capacity", ["16gb", "32gb", "64gb"]), ("color", [])]),
    (["Art Print"], [("size", ["a2", "a3", "a4"])]),
    (["Wool Rug"], [("size", ["120x180", "160x230"]), ("color", [])]),
    (["Enamel Mug 350ml", "Desk Lamp", "Kettle 1.7L", "Tool Bag", "Water Flask"], [("color", [])]),
    (["Phone Sleeve"], [("model", ["iPhone 13", "iPhone 13 Pro", "Galaxy S22"]), ("color", [])]),
    (["Rope"], [("length", ["5 m", "10 m", "20 m"])]),
    (["Sketchbook"], [("ruling", ["Lined", "Dotted", "Blank"])]),
    (["Picnic Blanket"], [("pattern", ["Gingham", "Striped", "Floral"])]),
]
SINGLES = _list("""
Green Tea 20 Bags, Blue Cheese Dip, Small Parts Kit, Gold Rush Board Game, Red Lentil Soup, Black Forest Cake, White
Noise Machine, Medium Roast Sampler, Lemon Curd 300g, Vinyl Record Brush, Silver Spoon Set, Pocket Atlas, Olive Wood
Spoon, Rose Water Tonic, Chocolate Fountain, Extra Large Moving Box, Orange Marmalade, Tin Whistle D, Violet Syrup,
Copper Scrubber, Ocean Documentary DVD, Plum Pudding, Night Light, Brown Rice Crackers
""")
SERVICES = _list("Gift Card $25, Delivery, Hemming Service, Bag Fee, Deposit 2, Misc, Repair Labor 3")


@dataclass
class Shop:
    style: str
    marketing: bool
    sku_habit: str
    records: list[Record] = field(default_factory=list)
    product_of: dict[str, str] = field(default_factory=dict)
    options_of: dict[str, dict[str, str]] = field(default_factory=dict)
    duplicates: set[tuple[str, str]] = field(default_factory=set)


@dataclass
class _Row:
    product: str
    name: str
    options: dict[str, str]
    sku: str
    price: float
    copy_of: int = -1


def make(*, seed: int, style: str, products: int = 18, marketing: bool = True, sku_habit: str = "dash") -> Shop:
    rng = random.Random(seed)
    shop = Shop(style=style, marketing=marketing, sku_habit=sku_habit)
    palette = rng.sample(MARKETING_COLOURS, 9) if marketing else rng.sample(PLAIN_COLOURS, 7)
    taken: set[str] = set()
    rows = [row for number in range(products) for row in _product(rng, number, palette, sku_habit, taken)]
    rows += [
        _Row(f"s{n}", name, {}, "", rng.choice([5.0, 12.5, 20.0])) for n, name in enumerate(rng.sample(SINGLES, 8))
    ]
    rows += [_Row(f"x{n}", name, {}, "", 5.0 + n) for n, name in enumerate(rng.sample(SERVICES, 3))]
    if style not in CLEAN:
        with_options = [place for place, row in enumerate(rows) if row.options]
        for place in rng.sample(with_options, max(1, len(with_options) // 30)):
            row = rows[place]
            rows.append(_Row(row.product, row.name, row.options, "", row.price, copy_of=place))
    ids = [f"r{number:05d}" for number in rng.sample(range(90_000), len(rows))]
    for own_id, row in zip(ids, rows, strict=True):
        _add(shop, rng, own_id, row, ids)
    rng.shuffle(shop.records)
    return shop


def many_shops(*, seed: int = 0, products: int = 18) -> list[Shop]:
    """Each style twice: with plain and with marketing colours, SKU habits in turn."""
    return [
        make(
            seed=seed * 1000 + 2 * place + marketing,
            style=style,
            products=products,
            marketing=bool(marketing),
            sku_habit=SKU_HABITS[(seed + 2 * place + marketing) % len(SKU_HABITS)],
        )
        for place, style in enumerate(STYLES)
        for marketing in (0, 1)
    ]


def _product(rng: random.Random, number: int, palette: list[str], sku_habit: str, taken: set[str]) -> list[_Row]:
    nouns, dimensions = TEMPLATES[number % len(TEMPLATES)] if number % 2 else TEMPLATES[rng.randrange(2)]
    # Lines: one first name over several goods, one noun under several names, "Pro" beside "Lite"; no name twice.
    first = FIRST[number * 2 % len(FIRST)] if number % 3 else FIRST[number // 6]
    line = ("", " Pro", " Lite", " II")[number // len(TEMPLATES) % 4]
    name = f"{first}{line} {nouns[number % len(nouns)]}"
    if name in taken:
        name = f"{FIRST[number % len(FIRST)]} {first} {nouns[0]}"
    taken.add(name)
    code = f"{rng.choice('ABCDEFGHK')}{rng.choice('JKLMNPRST')}{number + 10}"
    price = round(rng.uniform(6, 160), 0) - 0.01
    chosen = [
        (option, rng.sample(palette, min(len(palette), rng.randint(1, 4))) if option == "color" else
         rng.sample(values, min(len(values), rng.randint(2, 6))))
        for option, values in dimensions
    ]  # fmt: skip
    rows = []
    for values in _grid([values for _, values in chosen]):
        if rng.random() < 0.15:
            continue
        options = dict(zip([option for option, _ in chosen], values, strict=True))
        own_price = round(price * rng.choice([1.05, 1.1, 0.9]), 2) if rng.random() < 0.08 else price
        rows.append(_Row(f"g{number}", name, options, _sku(rng, code, options, sku_habit), own_price))
    return rows


def _grid(values: list[list[str]]) -> list[list[str]]:
    return [[]] if not values else [[first, *rest] for first in values[0] for rest in _grid(values[1:])]


def _sku(rng: random.Random, code: str, options: dict[str, str], habit: str) -> str:
    if habit == "none":
        return ""
    if habit == "sequence":
        return str(rng.randrange(10_000, 99_999))
    parts = [value if option == "size" else value.replace(" ", "")[:4] for option, value in options.items()]
    parts = [part.upper().replace(" ", "").replace("/", "") for part in parts]
    ordered = [code, *(parts if habit == "colour_first" else parts[::-1])]
    joint = {"nosep": "", "under": "_", "space": " "}.get(habit, "-")
    sku = ("ST-" if habit == "prefix" else "") + joint.join(ordered)
    return sku.lower() if habit == "lower" else sku


def _add(shop: Shop, rng: random.Random, own_id: str, row: _Row, ids: list[str]) -> None:
    style = shop.style
    if row.copy_of >= 0:
        style = rng.choice(["space", "comma", style])
        shop.duplicates.add((min(own_id, ids[row.copy_of]), max(own_id, ids[row.copy_of])))
    title = _title(rng, row.name, row.options, style) if row.options else _case(row.name, style)
    if style not in CLEAN and len(title) > 14 and rng.random() < 0.03:
        title = _slip(rng, title)
    gtin = "" if row.copy_of >= 0 or not row.sku or rng.random() < 0.3 else _gtin(rng)
    shop.records.append(Record(id=own_id, title=title, sku=row.sku, gtin=gtin, price=row.price))
    shop.product_of[own_id] = row.product
    shop.options_of[own_id] = {
        option: value if option == "size" and value in LETTERS else value.lower()
        for option, value in row.options.items()
    }


def _gtin(rng: random.Random) -> str:
    body = "".join(rng.choice("0123456789") for _ in range(9))
    return "952" + body + check_digit("952" + body)


def _case(text: str, style: str) -> str:
    return text.upper() if style == "upper" else text.lower() if style == "lower" else text


def _words(rng: random.Random, option: str, value: str, *, clean: bool) -> str:
    if clean or rng.random() < 0.5:
        return value
    if option == "size" and value in SHORT_LETTERS:
        return rng.choice(SHORT_LETTERS[value])
    if option == "size" and value.isdigit():
        return rng.choice([f"Size {value}", f"sz {value}"])
    return rng.choice(SHORT_COLOURS[value]) if option == "color" and value in SHORT_COLOURS else value


def _title(rng: random.Random, name: str, options: dict[str, str], style: str) -> str:
    written = {option: _words(rng, option, value, clean=style in CLEAN) for option, value in options.items()}
    values = list(written.values())
    if style == "dash_slash":
        return f"{name} - {' / '.join(values)}"
    if style == "paren":
        return f"{name} ({', '.join(values)})"
    if style == "labelled":
        return name + "".join(f" {option.capitalize()}: {value}" for option, value in written.items())
    if style == "slash":
        return f"{name} {'/'.join(values)}"
    if style == "reorder":
        return " ".join([name, *values[::-1]])
    if style == "lead":
        return " ".join([values[0], name, *values[1:]])
    if style == "lead_last":
        return " ".join([values[-1], name, *values[:-1]])
    if style == "glued":
        return "-".join([name, *(value.replace(" ", "") for value in values)])
    joint = {"dash": " - ", "comma": ", "}.get(style, " ")
    return _case(joint.join([name, *values]), style)


def _slip(rng: random.Random, title: str) -> str:
    """A letter dropped, doubled or exchanged with the next, in the first half."""
    place = rng.randrange(1, len(title) // 2)
    while not (title[place].isalpha() and title[place + 1].isalpha()):
        place = place % (len(title) // 2) + 1
    kind = rng.randrange(3)
    if kind == 0:
        return title[:place] + title[place + 1 :]
    if kind == 1:
        return title[:place] + title[place] + title[place:]
    return title[:place] + title[place + 1] + title[place] + title[place + 2 :]

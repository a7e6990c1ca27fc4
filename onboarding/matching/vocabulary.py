"""The words shops use for option values, by kind. Colours no list knows are found by contrast (grouping.py)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_NOT_WORD = re.compile(r"[^0-9a-z.]+")
_DOT = re.compile(r"(?<!\d)\.|\.(?!\d)")


@lru_cache(maxsize=200_000)
def fold(text: str) -> str:
    """Letters and digits only, lower case, accents off: what "X-Large", "x large" and "XLarge" share."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()
    return _DOT.sub("", _NOT_WORD.sub("", plain))


def _words(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", " ").split(",") if part.strip()]


def table(text: str) -> dict[str, str]:
    """ "full: way, way; full: way" as way -> full."""
    rows = [row.split(":") for row in text.replace("\n", " ").split(";")]
    return {way: full.strip() for full, ways in rows for way in _words(ways)}


# The value of a letter size, and the ways to write it.
LETTER_SIZES: dict[str, list[str]] = {
    "XXXS": _words("xxxs, 3xs"),
    "XXS": _words("xxs, 2xs, xx small, double extra small, double xs, extra extra small"),
    "XS": _words("xs, x s, x small, extra small, xsml, xsm, x sml, x sm, xsmall, ex small"),
    "S": _words("s, small, sml, sm"),
    "M": _words("m, medium, med, md, mdm"),
    "L": _words("l, large, lge, lg, lrg"),
    "XL": _words("xl, x l, x large, extra large, xlg, xlge, xlrg, x lge, x lg, ex large"),
    "XXL": _words("xxl, 2xl, xx large, double xl, double extra large, 2x large, extra extra large, xxlge, 2x"),
    "XXXL": _words("xxxl, 3xl, xxx large, triple xl, 3x large, 3x, triple extra large"),
    "XXXXL": _words("xxxxl, 4xl, 4x large, 4x"),
    "XXXXXL": _words("xxxxxl, 5xl, 5x large, 5x"),
}
OTHER_SIZES = _words("""
one size, os, osfa, regular, petite, tall, short, twin, twin xl, full, double, queen, king, super king, california
king, cal king, single, mini, midi, maxi, standard, grande, jumbo, family size, travel size, full size, half size,
sample, newborn, toddler, kids, youth, junior, adult, plus size, small medium, medium large, large xl, s m, m l, l xl,
xs s, a1, a2, a3, a4, a5, a6, b5
""")

COLOUR_SHORT: dict[str, str] = table("""
black: blk, blck, bk; white: wht, wh, wt; gray: gry, gy, grey, gr; green: grn, gn; blue: blu, bl; red: rd; yellow:
yel, ylw, yllw, yell; orange: orng, org, orn; purple: pur, purp, prpl, ppl; pink: pnk, pk; brown: brn, brwn; navy:
nvy; silver: slvr, slv; gold: gld; beige: bge; cream: crm; teal: tl; turquoise: trq; burgundy: burg; charcoal: chrcl,
char; clear: clr; multicolor: multi, multicolour, multicolored, multicoloured; rose gold: rg; off white: offwht,
ofwht; stainless steel: ss
""")
# Plain colours first: any of them may carry a modifier ("dusty pink") or stand in a pair ("black and white").
BASE_COLOURS = _words("""
black, white, gray, green, blue, red, yellow, orange, purple, pink, brown, navy, silver, gold, beige, cream, teal,
turquoise, violet, maroon, khaki, olive, tan, bronze, copper, charcoal, ivory, lavender, lilac, mint, coral, burgundy,
rose, aqua, cyan, magenta, indigo, mustard, peach, plum, rust, sand, taupe, wine, lime, berry, denim, camel, mocha,
cognac, emerald, blush, nude
""")
COLOUR_MODIFIERS = _words("""
light, dark, deep, pale, bright, soft, hot, neon, heather, heathered, matte, matt, satin, glossy, jet, off, royal,
sky, baby, dusty, burnt, steel, ice, icy, midnight, ocean, army, forest, sea, sage, cherry, cool, warm, true, vintage,
washed, faded, marl, electric, powder, pastel, metallic, brushed, pearl, rose, space, stone, slate, smoke, smoky,
storm, winter, hunter, kelly, lemon, mint, lime, olive, emerald, teal, petrol, navy, cobalt, blood, brick, wine, rust,
rich, champagne, antique, military, classic, charcoal, snow, arctic, moss, pine, bottle, apple, grass, moonlight,
natural, golden, sunset, desert, sandy, melange
""")
COLOURS = [
    *BASE_COLOURS,
    *_words("""
jet black, off white, rose gold, stainless steel, chrome, nickel, pewter, gunmetal, graphite, platinum, titanium,
brass, multicolor, clear, transparent, natural, midnight, ocean, sage, chili, coal, moss, honey, ash, slate, snow,
brick, apricot, chestnut, forest, amber, amethyst, anthracite, aubergine, avocado, azure, black cherry, blackberry,
blueberry, bone, bordeaux, bubblegum, buttercup, butterscotch, cactus, canary, caramel, cardinal, carmine, celadon,
cement, cerise, cerulean, champagne, chalk, charcoal marl, chartreuse, cherry, chocolate, cinnamon, citrus, claret,
clay, cobalt, cocoa, cornflower, cosmic, cranberry, crimson, dandelion, dune, dusk, ebony, ecru, eggplant, eggshell,
evergreen, fawn, fern, fir, flamingo, flax, fog, frost, fuchsia, garnet, glacier, granite, guava, hazel, hemlock,
henna, hibiscus, hunter, hydrangea, ink, iris, ivy, jade, jasmine, juniper, kelly, kelp, lagoon, lava, lichen, lapis,
macaw, mahogany, malachite, marigold, marine, marsala, mauve, merlot, mist, mulberry, mushroom, navy blazer,
nightfall, nougat, oatmeal, obsidian, ochre, onyx, opal, orchid, oxblood, oyster, paprika, papaya, peacock, peony,
pearl, pebble, periwinkle, petrol, pistachio, pomegranate, poppy, porcelain, quartz, raspberry, raven, rosewood, ruby,
saffron, sandstone, sangria, sapphire, scarlet, sea foam, seafoam, sepia, sienna, sky, slate blue, smoke, sorbet,
spearmint, spruce, stone, storm, sunflower, sunset, sunshine, tangerine, tawny, terracotta, terra cotta, thistle,
toffee, topaz, tortoise, tortoiseshell, truffle, twilight, umber, vermilion, wheat, willow, wisteria, zinc, rainbow,
camo, camouflage, leopard, space gray, starlight, ocean mist, desert sand, forest green, steel blue, heather gray, sea
salt, polar, arctic, glacier blue
"""),
]
# As often a thing as its colour.
THING_COLOURS = _words("""
apple, army, bamboo, birch, biscuit, butter, candy, cloud, coconut, coffee, crystal, dawn, dust, earth, espresso,
flame, ginger, grape, grass, hazelnut, heather, hemp, iron, latte, lemon, linen, mango, maple, melon, meteor, mineral,
oat, pacific, pepper, pine, powder, prune, pumpkin, shadow, spice, straw, strawberry, thunder, tomato, vanilla,
walnut, watermelon
""")

# Other kinds: the option's name, and its values. A value may be of several kinds; the rest of the slot decides.
KINDS: dict[str, list[str]] = {
    "material": _words("""
cotton, organic cotton, linen, wool, merino, merino wool, silk, satin, leather, vegan leather, faux leather, suede,
canvas, denim, polyester, nylon, velvet, fleece, cashmere, bamboo, jersey, mesh, oak, walnut, pine, beech, maple,
birch, teak, ash, mahogany, acacia, cork, wood, wooden, glass, ceramic, porcelain, stoneware, marble, granite,
plastic, metal, steel, stainless steel, iron, cast iron, aluminium, aluminum, brass, copper, bronze, titanium, silver,
sterling silver, gold, gold plated, 14k gold, 18k gold, rubber, silicone, paper, cardboard, felt, rattan, wicker,
jute, acrylic, carbon, carbon fiber, concrete
"""),
    "scent": _words("""
lavender, vanilla, rose, jasmine, sandalwood, cedar, cedarwood, eucalyptus, peppermint, lemongrass, citrus, bergamot,
sea salt, fig, patchouli, amber, musk, ocean, ocean breeze, ocean mist, pine, fresh linen, linen, coconut, cinnamon,
unscented, fragrance free, sage, rosemary, orange blossom, ylang ylang, geranium, tea tree, oud, gardenia,
honeysuckle, lilac, clean cotton, mint, lemon, grapefruit, white tea, green tea, cucumber, apple cinnamon, pumpkin
spice, driftwood, tobacco, leather, neroli, magnolia, peony, vetiver
"""),
    "flavor": _words("""
vanilla, chocolate, strawberry, banana, caramel, salted caramel, mint, peppermint, spearmint, lemon, lime, orange,
cherry, raspberry, blueberry, blackberry, mango, peach, apple, pineapple, coconut, watermelon, grape, cranberry,
passion fruit, passionfruit, hazelnut, almond, peanut butter, peanut, cookies and cream, cookies cream, mocha, coffee,
espresso, cinnamon, honey, ginger, original, plain, natural, unflavored, unflavoured, bbq, barbecue, sour cream, salt
and vinegar, sea salt, chili, sweet chili, spicy, mild, hot, medium, cheese, onion, beef, chicken, salmon, turkey,
lamb, duck, tuna, pumpkin, cola, tropical, mixed berry, berry, matcha, chai, earl grey, dark chocolate, milk
chocolate, white chocolate, maple, pistachio, tiramisu, cappuccino, tomato, garlic, paprika, sweet, salty
"""),
    "pattern": _words("""
floral, stripes, striped, stripe, dots, dotted, polka dot, polka dots, plaid, checked, check, checkered, chequered,
gingham, paisley, solid, plain, geometric, animal print, leopard, zebra, camo, camouflage, tie dye, tartan,
herringbone, houndstooth, chevron, botanical, tropical, abstract, stars, hearts, animals, dinosaurs, unicorn, leaves,
waves, zigzag, damask
"""),
    "ruling": _words("""
lined, dotted, blank, ruled, squared, grid, graph, plain, dot grid, wide ruled, college ruled, unlined
"""),
    "finish": _words("""
matte, matt, gloss, glossy, satin, polished, brushed, eggshell, semi gloss, natural, lacquered, oiled, raw, unfinished
"""),
    "fit": _words("""
slim, slim fit, regular, regular fit, relaxed, relaxed fit, loose, skinny, straight, oversized, classic fit, tapered
"""),
    "length": _words("short, long, regular, cropped, ankle, full length, short sleeve, long sleeve"),
    "gender": _words("mens, womens, men, women, unisex, boys, girls, ladies"),
    "grind": _words("""
whole bean, whole beans, ground, espresso, filter, french press, coarse, fine, aeropress, cafetiere, decaf
"""),
    "firmness": _words("soft, medium, firm, extra firm, hard, extra soft, medium firm, medium soft"),
    "style": _words("""
v neck, crew neck, round neck, hooded, zip, full zip, half zip, pullover, left, right, left handed, right handed, left
hand, right hand, hardcover, paperback, hardback, softcover, ebook, audiobook, wired, wireless, basic, premium,
deluxe, standard, classic, framed, unframed
"""),
    "format": _words("""
mp3, itunes, flac, wav, cd, vinyl, lp, dvd, blu ray, bluray, digital, download, pdf, epub, cassette, kindle
"""),
    "plug": _words("eu plug, us plug, uk plug, au plug"),
    "language": _words("english, german, french, spanish, italian, dutch, portuguese, japanese"),
    "connector": _words("usb c, usb a, lightning, micro usb, type c, hdmi, displayport"),
    "shape": _words("round, square, oval, rectangular, rectangle, circle, heart"),
    "strength": _words("mild, strong, extra strong"),
}

# Words that say what the product is, and so which kind an ambiguous value ("vanilla", "ocean", "mint") belongs to.
CONTEXT: dict[str, list[str]] = {
    "scent": _words("""
candle, candles, soap, soaps, diffuser, lotion, perfume, incense, oil, bath, bomb, salts, wax, melt, melts, shampoo,
conditioner, balm, deodorant, spray, mist, freshener, body, wash, scrub, cologne, fragrance, detergent, cleanser,
sanitizer, reed, sachet, hand
"""),
    "flavor": _words("""
protein, powder, tea, coffee, syrup, bar, bars, candy, gum, drink, soda, cookie, cookies, ice, gelato, yogurt,
chocolate, snack, chips, crisps, shake, whey, creatine, jam, sauce, granola, cereal, popcorn, nuts, jerky, treats,
kibble, food, vape, liquid, juice, water, kombucha, cake, biscuit, biscuits, oats, vitamin, gummies, electrolyte,
creamer, lollipop, toothpaste, mints, fudge, truffles
"""),
    "ruling": _words("notebook, notebooks, journal, notepad, pad, diary, planner, paper, sketchbook"),
    "grind": _words("coffee, espresso, roast, blend, beans"),
    "pattern": _words("""
wrap, wrapping, paper, tape, napkins, napkin, gift, wallpaper, fabric, ribbon, socks, tie, scarf, apron, cushion
"""),
    "firmness": _words("mattress, pillow, toothbrush, topper"),
    "format": _words("album, book, audiobook, single, ep, soundtrack, podcast, data, song"),
    "material": _words(
        "ring, necklace, bracelet, frame, shelf, bench, tumbler, cup, spoon, chopping, board, bowl, straw, straws"
    ),
    "size": _words(
        "bedsheet, bedding, duvet, sheet, sheets, mattress, comforter, quilt, bed, shirt, tee, pant, pants, shoe, shoes"
    ),
    "finish": _words("paint, print, photo, varnish, lacquer, poster"),
    "strength": _words("coffee, mustard, salsa, glue"),
    "length": _words("""
cable, rope, necklace, chain, strap, straps, belt, laces, shoelaces, cord, hose, ribbon, zipper, bracelet, leash, rod
"""),
    "weight": _words("dumbbell, dumbbells, kettlebell, barbell, plate, weight, weights, anchor"),
    "thickness": _words("mat, foam, board, sheet, glass, plywood, felt, acrylic, cardboard"),
}

# The ways a shop writes the option's name out ("Colour: Red").
OPTION_NAMES: dict[str, str] = table("""
color: colour, color, colours, colors, col, clr, shade; size: size, sz, sizes, waist; material: material, fabric;
scent: scent, fragrance, aroma; flavor: flavour, flavor, taste; pattern: pattern, print; design: design; style: style;
type: type; pack: pack, pack size, packsize, quantity, qty; length: length, inseam; width: width; height: height;
thickness: thickness; capacity: capacity, storage, memory; volume: volume; weight: weight; model: model, device;
ruling: ruling; finish: finish; fit: fit; grind: grind; roast: roast; format: format; edition: edition; version:
version; shape: shape; strength: strength; language: language; gender: gender; firmness: firmness; variant: variant;
option: option; voltage: voltage; diameter: diameter; power: power, wattage; connector: connector; plug: plug; theme:
theme; age: age
""")

# What products are called: never the value of an option by themselves.
PRODUCT_NOUNS = frozenset(
    _words("""
adapter, backpack, bag, bags, ball, balm, bar, bars, beanie, bed, bedsheet, beer, belt, bench, bike, bikini, blanket,
blazer, blender, blouse, board, book, boot, boots, bottle, bowl, box, bra, bracelet, bread, brush, cable, cake,
candle, candles, cap, card, cardigan, cards, case, cases, chair, charger, cleaner, cloth, coat, coffee, collar, comb,
cookie, cookies, cover, cream, cup, curtain, desk, doll, dress, dresses, drink, drive, dryer, duvet, earbuds,
earrings, fan, flask, fork, frame, fryer, game, glass, glove, gloves, hat, headphones, heater, helmet, hoodie,
hoodies, humidifier, iron, jacket, jackets, jam, jean, jeans, jogger, joggers, journal, juice, jumper, kettle,
keyboard, kit, knife, lamp, leash, leggings, light, lights, lotion, luggage, machine, maker, mat, monitor, mount,
mouse, mug, mugs, necklace, notebook, oil, oven, paint, pajamas, pan, pant, pants, paper, pen, pencil, pendant, phone,
pillow, pillows, planter, plate, polish, polo, poster, pot, pouch, powder, print, pullover, purifier, purse, puzzle,
ring, robe, rope, rug, sandal, sandals, sauce, scarf, serum, set, shake, shampoo, shaver, sheet, shelf, shell, shirt,
shirts, shoe, shoes, short, shorts, skirt, sleeve, slipper, sneaker, sneakers, soap, sock, socks, sofa, soup, speaker,
sponge, spoon, spray, stand, steamer, stool, strap, suit, suitcase, sweater, sweaters, sweatshirt, swimsuit, syrup,
table, tank, tanks, tape, tea, tee, tees, tent, tights, toaster, tool, tools, top, tops, tote, towel, towels, toy,
trainer, trimmer, trousers, tumbler, umbrella, vacuum, vase, vest, wallet, watch, wine
""")
)

# What is sold at the till but is no product with variants.
SERVICE_WORDS = frozenset(
    _words("""
fee, fees, deposit, shipping, delivery, giftcard, voucher, labor, labour, repair, alteration, misc, miscellaneous,
surcharge, donation, tip, gratuity, postage, discount, service, rental, booking, appointment, refund, custom,
engraving, handling, membership
""")
)


def _keys(phrases: Iterable[str]) -> dict[str, str]:
    return {fold(phrase): phrase for phrase in phrases}


# Only these may be written in several words: "yel l" is no "yell", "s m" no "sm".
SPACED_LETTER_KEYS = frozenset(fold(way) for ways in LETTER_SIZES.values() for way in ways if " " in way)
SHORT_COLOUR_KEYS = frozenset(fold(short) for short in COLOUR_SHORT)
LETTER_BY_KEY = {fold(way): size for size, ways in LETTER_SIZES.items() for way in ways}
OTHER_SIZE_BY_KEY = _keys(OTHER_SIZES)
COLOUR_BY_KEY = {
    **_keys(THING_COLOURS),
    **_keys(COLOURS),
    **{fold(short): full for short, full in COLOUR_SHORT.items()},
}
MODIFIER_BY_KEY = _keys(COLOUR_MODIFIERS)
BASE_BY_KEY = {**_keys(BASE_COLOURS), **{fold(way): full for way, full in COLOUR_SHORT.items() if full in BASE_COLOURS}}
THING_COLOUR_KEYS = frozenset(_keys(THING_COLOURS))
KIND_BY_KEY: dict[str, list[tuple[str, str]]] = {}
for _name, _values in KINDS.items():
    for _value in _values:
        KIND_BY_KEY.setdefault(fold(_value), []).append((_name, _value))
CONTEXT_BY_WORD: dict[str, list[str]] = {}
for _name, _values in CONTEXT.items():
    for _value in _values:
        CONTEXT_BY_WORD.setdefault(_value, []).append(_name)

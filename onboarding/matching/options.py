"""What a word or a few words can mean as an option's value: "X-Large" is size XL, "6mm" a thickness, "Nvy" navy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from onboarding.matching import vocabulary
from onboarding.matching.vocabulary import fold

PHRASE_TOKENS_MAX = 4


@dataclass(frozen=True, slots=True)
class Meaning:
    """`weight`: log-odds, roughly, that these words at a title's end are an option, not the product's name."""

    name: str  # the option: "color", "size", ...
    value: str  # canonical, lower case except letter sizes
    weight: float


# Unit -> option. Weights and volumes are what shops call a size; metres are lengths, millimetres thicknesses.
_UNITS = {
    unit: tuple(meaning.split(" ", 1))
    for unit, meaning in vocabulary.table("""
capacity gb: gb; capacity tb: tb; capacity mb: mb; capacity mah: mah; size kg: kg, kgs, kilo; size g: g, gr, gm,
gram, grams; size mg: mg; size lb: lb, lbs; size oz: oz; size ml: ml; size cl: cl; size dl: dl; size l: l, ltr,
liter, litre; length m: m, meter, metre, meters, metres; length ft: ft, feet, foot; length yd: yd, yard, yards; size
cm: cm; thickness mm: mm; size in: in; size inch: inch, inches, "; size fl oz: floz; power w: w, watt; voltage v: v;
frequency hz: hz; pack ct: ct; pack pk: pk; pack pack: pack; pack pcs: pcs, pc; pack count: count; pack pairs:
pairs; pack tablets: tablets; pack capsules: capsules; pack bags: bags; pack sheets: sheets; age months: months; age
years: years
""").items()
}
# What else a unit may measure, where the product says so (vocabulary.CONTEXT): a necklace's 45 cm, a kettlebell's 8 kg.
_OTHERWISE = {
    **dict.fromkeys(("cm", "in", "inch"), ("length",)),
    **dict.fromkeys(("kg", "g", "lb"), ("weight",)),
    "mm": ("size",),
}
# Written without a blank, whatever the shop's habit: "128gb".
_TIGHT = frozenset({"gb", "tb", "mb", "mah", "w", "v", "hz"})
_MEASURE = re.compile(r"(\d{1,5}(?:\.\d{1,3})?)([a-z]{1,8}|\")")
_NUMBER = re.compile(r"\d{1,5}(?:\.\d{1,3})?")
_BARE = re.compile(r"\d{1,2}(?:\.5)?")
_PAIR = re.compile(r"\d{1,3}(?:\.\d+)?[/x×]\d{1,3}(?:\.\d+)?(?:cm|mm|in|inch|\")?")
_DEVICE = re.compile(
    r"(?:iphone (?:\d{1,2}|se|xr?|xs)(?: (?:pro max|pro|plus|mini|max|e))?"
    r"|galaxy [asz]\d{1,2}(?: (?:ultra|plus|fe))?|galaxy (?:note|tab|fold|flip) ?\d{0,2}"
    r"|pixel \d{1,2}a?(?: (?:pro xl|pro|xl|fold))?|ipad(?: (?:pro|air|mini))?(?: \d{1,2}(?:\.\d)?)?)"
)
_SIZE_SYSTEMS = frozenset({"uk", "us", "eu", "eur", "fr", "it", "jp", "au"})
_SIZE_WORDS = frozenset({"size", "sz", "waist"})
_PACK_WORDS = frozenset({"pack", "set", "box", "case", "bundle", "bag", "packet"})
# Which colours a colour may shade: "navy blue", but "navy red" is two colours.
_SHADES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(vocabulary.BASE_BY_KEY, ()),
    **dict.fromkeys(("navy", "denim", "indigo"), ("blue",)),
    **dict.fromkeys(("mint", "olive", "emerald", "lime"), ("green",)),
    "teal": ("blue", "green"),
    "charcoal": ("gray", "black", "blue"),
    "rust": ("red", "orange", "brown"),
    "wine": ("red",),
    "rose": ("gold", "pink", "red"),
}
_JOINERS = frozenset({"and", "&", "n"})


@lru_cache(maxsize=200_000)
def meanings(words: tuple[str, ...], *, glued: bool = False) -> tuple[Meaning, ...]:
    """All the meanings of these lower-case words taken together, likeliest first; () when none is known.

    `glued`: blanks were lost in this title, so the canonical spelling sets them again.
    """
    if not words or len(words) > PHRASE_TOKENS_MAX:
        return ()
    key = fold("".join(words))
    if not key:
        return ()
    found = [*_sizes(words, key), *_measures(words, glued=glued), *_colours(words, key), *_devices(words)]
    typed = " ".join(words)
    for name, value in vocabulary.KIND_BY_KEY.get(key, ()):
        found.append(Meaning(name, value if glued else typed, 0.5))
    best: dict[str, Meaning] = {}
    for meaning in found:
        if meaning.name not in best or meaning.weight > best[meaning.name].weight:
            best[meaning.name] = meaning
    return tuple(sorted(best.values(), key=lambda meaning: (-meaning.weight, meaning.name)))


def plain_unit(word: str) -> str:
    """ "grams" as "g"; "" for what is no unit."""
    return _UNITS[word][1] if word in _UNITS else ""


def canonical(name: str, value: str) -> tuple[str, str]:
    """An option as typed by somebody ("Colour", "X-Large") in the spelling used here ("color", "XL")."""
    plain_name = " ".join(name.casefold().split())
    known_name = vocabulary.OPTION_NAMES.get(plain_name, plain_name)
    words = tuple(re.findall(r"[^\s,;|]+", value.casefold().replace("-", " ")))
    found = {meaning.name: meaning.value for meaning in meanings(words)}
    if known_name in found:
        return known_name, found[known_name]
    if "size" in found and known_name in ("", "option", "variant", "size"):
        return known_name, found["size"]
    return known_name, " ".join(value.casefold().split())


def _sizes(words: tuple[str, ...], key: str) -> list[Meaning]:
    size = vocabulary.LETTER_BY_KEY.get(key)
    if size and (len(words) == 1 or key in vocabulary.SPACED_LETTER_KEYS):
        single = len(key) == 1
        plain_word = key in ("small", "medium", "large")
        return [Meaning("size", size, 3.0 if single or plain_word else 4.5)]
    if words[0] in _SIZE_WORDS and len(words) > 1:
        inner = meanings(words[1:])
        size = next((meaning.value for meaning in inner if meaning.name == "size"), "")
        return [Meaning("size", size, 5.0)] if size else []
    if len(words) == 2 and words[0] in _SIZE_SYSTEMS and _BARE.fullmatch(words[1]):
        return [Meaning("size", " ".join(words), 3.5)]
    if len(words) == 1:
        return _one_word_size(words[0], key)
    typed = " ".join(words)
    return [Meaning("size", typed, 1.5)] if key in vocabulary.OTHER_SIZE_BY_KEY else []


def _one_word_size(word: str, key: str) -> list[Meaning]:
    if match := re.fullmatch(r"(uk|us|eu|eur)(\d{1,2}(?:\.5)?)", word):
        return [Meaning("size", f"{match[1]} {match[2]}", 3.0)]
    if _PAIR.fullmatch(word):
        return [Meaning("size", word.replace("×", "x"), 1.5)]
    if _BARE.fullmatch(word):
        number = float(word)
        return [Meaning("size", word, 2.0 if "." in word else 0.8 if 24 <= number <= 60 else -1.5)]
    if re.fullmatch(r"(?:2[68]|3[0-9]|4[0-6])(?:a{1,2}|b|c|d{1,3}|e|f|g|h)|[2-6]t", word):
        return [Meaning("size", word, 1.0)]
    return [Meaning("size", word, 1.0)] if key in vocabulary.OTHER_SIZE_BY_KEY else []


def _measures(words: tuple[str, ...], *, glued: bool) -> list[Meaning]:
    """ "6mm", "6 mm", "pack of 3", "3 pack", "30 x 40 cm", "3 6 months"."""
    if len(words) == 3 and words[0] in _PACK_WORDS and words[1] == "of" and words[2].isdigit():
        return [Meaning("pack", " ".join(words), 2.0)]
    if (
        len(words) >= 3
        and words[1] == "x"
        and _NUMBER.fullmatch(words[0])
        and _NUMBER.fullmatch(words[2].rstrip("cmin"))
    ):
        return [Meaning("size", " ".join(words), 1.5)]
    if (
        len(words) == 3
        and words[2] in ("months", "years", "m", "mths", "yrs")
        and words[0].isdigit()
        and words[1].isdigit()
    ):
        return [Meaning("size", f"{words[0]}-{words[1]} {words[2]}", 2.0)]
    number, unit, tight = "", "", False
    if len(words) == 1 and (match := _MEASURE.fullmatch(words[0])):
        number, unit, tight = match[1], match[2], True
    elif len(words) in (2, 3) and _NUMBER.fullmatch(words[0]):
        number, unit = words[0], "".join(words[1:])
    if unit not in _UNITS or not number:
        return []
    name, plain = _UNITS[unit]
    if name == "pack":
        return [Meaning("pack", " ".join(words), 1.5)]
    blank = "" if plain in _TIGHT or (tight and not glued) else " "
    value = f"{number}{blank}{unit}"
    return [Meaning(name, value, 0.5), *(Meaning(other, value, 0.4) for other in _OTHERWISE.get(plain, ()))]


def _colours(words: tuple[str, ...], key: str) -> list[Meaning]:
    colour = vocabulary.COLOUR_BY_KEY.get(key)
    if colour and (len(words) == 1 or key not in vocabulary.SHORT_COLOUR_KEYS):
        # "bl", "gr", "tl": two letters alone say little.
        weight = -0.5 if len(key) < 3 else 0.5 if key in vocabulary.THING_COLOUR_KEYS else 2.0
        return [Meaning("color", colour, weight)]
    if len(words) < 2:
        return []
    for joint in range(1, len(words) - 1):
        if words[joint] in _JOINERS:
            left, right = _colour(words[:joint]), _colour(words[joint + 1 :])
            return [Meaning("color", f"{left} and {right}", 2.0)] if left and right else []
    head, base = fold("".join(words[:-1])), vocabulary.BASE_BY_KEY.get(fold(words[-1]))
    if base and head in vocabulary.MODIFIER_BY_KEY and (head not in vocabulary.BASE_BY_KEY or base in _SHADES[head]):
        return [Meaning("color", f"{vocabulary.MODIFIER_BY_KEY[head]} {base}", 2.2)]
    if len(words) == 2 and base and head in vocabulary.COLOUR_BY_KEY and len(head) > 2:
        return [Meaning("color", f"{vocabulary.COLOUR_BY_KEY[head]} {base}", 1.0)]
    return []


def _colour(words: tuple[str, ...]) -> str:
    """A colour by itself; two words that only might be one ("iron blue") are none."""
    return next((meaning.value for meaning in meanings(words) if meaning.name == "color" and meaning.weight > 1.0), "")


def _devices(words: tuple[str, ...]) -> list[Meaning]:
    typed = " ".join(words)
    return [Meaning("model", typed, 1.5)] if _DEVICE.fullmatch(typed) else []

"""One finding as its page shows it: what it is about side by side, why, what accepting would change, what is asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict
from django.urls import reverse
from django.utils.safestring import SafeString

from onboarding.findings import decisions
from onboarding.models import Finding
from onboarding.views import desk, marking

Json = Mapping[str, Any]
CHOICES_MAX = 9  # one digit each
SHOWN_MAX = 4  # things whose changes stand open
FOLDED_MAX = 60  # things whose changes are listed at all; a spelling may touch thousands
FIELD_PREFIX = "field-"
# Which members of a proposal can be left out of it, by what it does.
EXCLUDABLE: Mapping[str, str] = {
    "merge": "variant", "family": "variant", "write_value": "value", "write_name": "value", "wish": "listing",
    "clear_gtins": "variant",
}  # fmt: skip
MEMBER_KINDS = {"variant": "Catalog", "listing": "Listing", "product": "Product", "value": "Value"}
WISHES = {"sku": "SKU", "gtin": "Barcode", "is_tracked": "Stock tracked", "sells_past_zero": "Sells on at zero"}
FACTS = (("sku", "SKU"), ("gtin", "Barcode"), ("options", "Options"), ("price", "Price"))


@dataclass(frozen=True)
class Edit:
    """What a person typed, left out or answered, not yet decided."""

    fields: Mapping[str, str] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    choice: str = ""

    @classmethod
    def of(cls, data: QueryDict) -> Edit:
        """Read a form."""
        typed = {
            name.removeprefix(FIELD_PREFIX): str(data[name])[:400] for name in data if name.startswith(FIELD_PREFIX)
        }
        return cls(typed, frozenset(data.getlist("exclude")), data.get("choice", "")[:400])

    @property
    def is_any(self) -> bool:
        """Whether anything differs from the proposal as it was made."""
        return bool(self.fields or self.excluded or self.choice)


@dataclass(frozen=True)
class Field:
    """One editable part of a proposal."""

    name: str
    label: str
    value: str
    error: str = ""


@dataclass(frozen=True)
class Effect:
    """One line of the dry run, what differs marked."""

    field: str
    before: SafeString
    after: SafeString
    times: int = 1


Groups = Sequence[tuple[str, Sequence[Effect]]]


@dataclass(frozen=True)
class Outlook:
    """What accepting would do now: the lines, or the question first, or why it cannot be."""

    effects: Groups = ()
    folded: Groups = ()
    further: int = 0
    question: str = ""
    choices: Sequence[tuple[int, str, str]] = ()
    refusal: str = ""
    refused_field: str = ""


@dataclass(frozen=True)
class Item:
    """All that the page shows of one finding."""

    finding: Finding
    url: str
    stamp: str
    touches: str
    deed: str
    compared: desk.Compared
    why: desk.Waterfall
    outlook: Outlook
    fields: Sequence[Field]
    can_exclude: bool

    @property
    def pk(self) -> int:
        """The finding's number."""
        return self.finding.pk


def stamp_of(finding: Finding) -> str:
    """What a person saw of it: deciding about something else is refused."""
    return desk.stamp(finding.members, finding.proposal)


def item_of(finding: Finding, *, shop: str, edit: Edit, outlook: Outlook | None = None) -> Item:
    """Build it; costs the dry run, a rolled-back transaction."""
    outlook = outlook or outlook_of(finding, edit)
    things = _things(finding, shop=shop, excluded=edit.excluded)
    return Item(
        finding=finding,
        url=reverse("finding", args=[shop, finding.pk]),
        stamp=stamp_of(finding),
        touches=" ".join(f"{one['type']}:{one['id']}" for one in finding.members if one.get("id") is not None),
        deed=_deed(finding),
        compared=desk.compare(things, _facts(finding.members)),
        why=desk.waterfall(finding.evidence, confidence=finding.confidence),
        outlook=outlook,
        fields=_fields(finding, edit=edit, outlook=outlook),
        can_exclude=any(thing.can_be_excluded for thing in things),
    )


def outlook_of(finding: Finding, edit: Edit) -> Outlook:
    """The deed itself, rolled back: its lines, its question, or its refusal."""
    try:
        lines = decisions.preview(finding, edit.fields, edit.excluded, edit.choice)
    except decisions.Question as asked:
        return asking(asked)
    except decisions.BadProposal as refused:
        return refusing(refused)
    return Outlook(*_grouped(lines))


def _grouped(lines: Sequence[decisions.DiffLine]) -> tuple[Groups, Groups, int]:
    """Lines by what they are about: those shown, those folded away, and how many are too many to list at all."""
    by_what: dict[str, Counter[decisions.DiffLine]] = {}
    for line in lines:
        by_what.setdefault(line.what, Counter())[line] += 1
    listed = list(by_what.items())[:FOLDED_MAX]
    groups = [(what, [_effect(line, times) for line, times in counts.items()]) for what, counts in listed]
    shown = len(groups) if len(groups) <= SHOWN_MAX + 1 else SHOWN_MAX
    return groups[:shown], groups[shown:], len(by_what) - len(groups)


def _effect(line: decisions.DiffLine, times: int) -> Effect:
    before, after = line.before, line.after
    if before and after and marking.are_alike(before, after):
        marked = marking.html(marking.against(before, after)), marking.html(marking.against(after, before))
    else:
        marked = marking.shown(before), marking.shown(after)
    return Effect(field=line.field, before=marked[0], after=marked[1], times=times)


def asking(asked: decisions.Question) -> Outlook:
    """A question with its answers numbered."""
    choices = [(number, value, words) for number, (value, words) in enumerate(asked.choices[:CHOICES_MAX], start=1)]
    return Outlook(question=asked.words, choices=choices)


def refusing(refused: decisions.BadProposal) -> Outlook:
    """Why it cannot be done as it stands."""
    return Outlook(refusal=refused.words, refused_field=refused.field)


def _things(finding: Finding, *, shop: str, excluded: Collection[str]) -> list[desk.Thing]:
    wanted = EXCLUDABLE.get(finding.proposal.get("op", ""), "")
    least = 3 if wanted == "variant" else 2  # one alone cannot be merged with anything
    able = sum(one["type"] == wanted for one in finding.members) >= least
    return [
        desk.Thing(
            number=number,
            key=(key := key_of(member)),
            kind=MEMBER_KINDS.get(member["type"], member["type"].capitalize()),
            name=str(member.get("label") or ""),
            url=reverse("variant", args=[shop, member["id"]]) if member["type"] == "variant" else "",
            is_excluded=key in excluded,
            can_be_excluded=able and member["type"] == wanted,
        )
        for number, member in enumerate(finding.members, start=1)
    ]


def key_of(member: Json) -> str:
    """How decisions name a member: "variant:7", "value:XL"."""
    return f"{member['type']}:{member['label'] if member.get('id') is None else member['id']}"


def _facts(members: Sequence[Json]) -> list[tuple[str, str, Sequence[str]]]:
    label = "Value" if all(one["type"] == "value" for one in members) else "Title"
    facts: list[tuple[str, str, Sequence[str]]] = [
        ("title", label, [str(one.get("label") or "") for one in members]),
        *((name, words, [_said(one.get(name)) for one in members]) for name, words in FACTS),
        ("units", "Used" if label == "Value" else "Units", [_units(one) for one in members]),
        ("channel", "Listed at", [_channels(one) for one in members]),
    ]
    return facts


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " · ".join(f"{name}: {one}" for name, one in value.items())
    return str(value)


def _units(member: Json) -> str:
    units = _said(member.get("units"))
    return f"{units}×" if units and member["type"] == "value" else units


def _channels(member: Json) -> str:
    named = member.get("channels") or ([member["channel"]] if member.get("channel") else [])
    return ", ".join(map(str, named))


def _fields(finding: Finding, *, edit: Edit, outlook: Outlook) -> list[Field]:
    return [
        Field(
            name=(name := str(one["name"])),
            label=str(one.get("label") or name),
            value=edit.fields.get(name, _said(finding.proposal.get(name, one.get("value")))),
            error=outlook.refusal if outlook.refused_field == name else "",
        )
        for one in finding.proposal.get("editable") or ()
    ]


def _deed(finding: Finding) -> str:
    """What accepting does, in a sentence."""
    proposal = finding.proposal
    match proposal.get("op"):
        case "set_sku":
            return f"Give it the SKU {proposal.get('sku')}. The old one stays as an alias."
        case "set_gtin":
            return f"Set the barcode to {proposal['gtin']}." if proposal.get("gtin") else "Clear the barcode."
        case "clear_gtins":
            return "Clear these barcodes. Scanned, they still find their variants."
        case "exclude":
            return "Leave the second listing alone on purpose: the first one shows the number."
        case "set_price":
            return f"Set the price to {proposal.get('price')}."
        case "unarchive":
            return "Take it out of the archive."
        case "write_value" | "write_name":
            return f"Write “{proposal.get('to')}” everywhere in the catalog."
        case "merge":
            return "Merge them into one. Orders, stock, listings and barcodes go with it."
        case "family":
            return f"Make them variants of one product, “{proposal.get('title')}”."
        case "wish":
            return _wish(proposal)
    return "Mend it as shown below."


def _wish(proposal: Json) -> str:
    later = "It is sent with the next write-back."
    match proposal.get("field"), proposal.get("value"):
        case "is_tracked", True:
            return f"Have the channel count it. {later}"
        case "sells_past_zero", False:
            return f"Have the channel stop at zero. {later}"
    return f"Have the channel show {WISHES.get(str(proposal.get('field')), 'it')} {proposal.get('value')}. {later}"

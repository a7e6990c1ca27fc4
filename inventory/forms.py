"""What people type when they change stock by hand; plain forms, checked here, posted by inventory.adjustments."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, cast

from django import forms
from django.core.validators import DecimalValidator, MaxValueValidator, MinValueValidator

from inventory import incoming
from inventory.models import ArrivalLine, Location, Variant
from inventory.queries import locations
from storestudio.accounts import numbers
from storestudio.accounts.models import Merchant

UNITS_MAX = Decimal(1_000_000)
ADD, TAKE, TO = "add", "take", "to"
OTHER = "other"
REASONS = [
    ("", "Choose a reason"),
    ("recount", "Counted again"),
    ("damaged", "Damaged"),
    ("lost", "Lost or stolen"),
    ("found", "Found again"),
    ("mistake", "Entered wrongly before"),
    ("used", "Used in the shop or given away"),
    ("supplier", "Sent back to the supplier"),
    (OTHER, "Other: see the note"),
]


_TOO_LONG = {
    "invalid": "Type a number.",
    "max_digits": "That number is too long.",
    "max_decimal_places": "At most %(max)s places after the point.",
    "max_whole_digits": "That number is too large.",
}
_UNITS_WORDS = {"required": "Type how many units."}


def _say_limits(field: forms.IntegerField) -> None:
    """Django's “Ensure this value is …” as people say it; what a field says itself stays."""
    for one in field.validators:
        if isinstance(one, MinValueValidator | MaxValueValidator) and one.message == type(one).message:
            limit = numbers.plain(Decimal(one.limit_value))
            one.message = f"Type {limit} or more." if isinstance(one, MinValueValidator) else f"At most {limit}."
        elif isinstance(one, DecimalValidator):
            one.messages = _TOO_LONG


class WholeField(forms.IntegerField):
    """A whole number whose limits are said in plain words; so is any that a page asks for."""

    default_error_messages = {"invalid": "Type a whole number, such as 3."}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        _say_limits(self)


class NumberField(forms.DecimalField):
    """A number with places after the point whose limits are said in plain words; so is any that a page asks for."""

    default_error_messages = {"invalid": "Type a number, such as 3."}

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        _say_limits(self)


class UnitsField(NumberField):
    """Units with up to 5 places; the true minus that our own pages print is understood."""

    def __init__(self, **options: Any) -> None:
        # Plain text: a number field would eat spaces and true minus signs before they reach us.
        shown = {"widget": forms.TextInput} | options
        super().__init__(**{"max_digits": 12, "decimal_places": 5, "error_messages": _UNITS_WORDS, **shown})
        self.widget.attrs.update({"inputmode": "decimal", "autocomplete": "off"})

    def to_python(self, value: Any) -> Decimal | None:  # type: ignore[override]  # the stubs say int
        """Read "−2", "1 000" as people and our pages write them."""
        if isinstance(value, str):
            value = value.replace("−", "-").replace("\u202f", "").replace("\u00a0", "").replace(" ", "")
        return super().to_python(value)


def one_more(typed: str) -> str:
    """Another unit on what was typed so far, as a field shows it; what is no number counts as nothing yet."""
    try:
        units = UnitsField(required=False).clean(typed) or Decimal(0)
    except forms.ValidationError:
        units = Decimal(0)
    return numbers.plain(units + 1)


class FocusedForm(forms.Form):
    """A form that puts the cursor into its first wrong field, and names the error to those who cannot see it."""

    def focus_first_error(self) -> None:
        """Call before an invalid form is shown again."""
        for name in self.fields:
            if name in self.errors:
                self.fields[name].widget.attrs["autofocus"] = True
                return


class ShippingForm(FocusedForm):
    """How a place ships; the fields are named as those of Location."""

    is_warehouse = forms.BooleanField(
        required=False,
        label="A warehouse",
        help_text="No customers walk in. Its stock goes out first where you say so.",
    )
    rank = WholeField(min_value=1, max_value=999, label="Rank", help_text="1 ships rather than 2.")
    orders_a_day_max = WholeField(
        required=False, min_value=0, max_value=100_000, label="Orders a day", help_text="Empty: no limit."
    )
    ships_until = forms.TimeField(
        required=False,
        label="Last parcel of the day",
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="Local time. Empty: any time.",
    )
    latitude = NumberField(
        required=False, min_value=-90, max_value=90, max_digits=8, decimal_places=5, label="Latitude",
        help_text="Degrees, such as 53.48095; south is negative.",
    )  # fmt: skip
    longitude = NumberField(
        required=False, min_value=-180, max_value=180, max_digits=8, decimal_places=5, label="Longitude",
        help_text="Degrees, such as -2.23743; west is negative.",
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """A point is whole or not there."""
        found: dict[str, Any] = super().clean() or {}
        for name, other in (("latitude", "longitude"), ("longitude", "latitude")):
            if found.get(name) is None and found.get(other) is not None and name not in self.errors:
                self.add_error(name, f"Give both, or neither: there is a {other}.")
        return found


class PlaceField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """One of the shop's places, by its name."""

    def __init__(self) -> None:
        super().__init__(queryset=Location.objects.none(), empty_label=None, label="Where")

    def label_from_instance(self, obj: Any) -> str:
        """The name alone."""
        return str(obj.name)

    def of(self, merchant: Merchant, *, is_in_use: bool = False) -> None:
        """Offer this shop's places, and no other's; those in use only, or closed ones too where something still is."""
        keys = [place.pk for place in locations(merchant=merchant) if place.is_active or not is_in_use]
        self.queryset = Location.objects.of(merchant).filter(pk__in=keys).order_by("name", "pk")


class AdjustForm(FocusedForm):
    """Change one cell by some units, or set it to what was counted."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    seen = UnitsField(required=False, widget=forms.HiddenInput)
    counted_at = forms.DateTimeField(required=False, widget=forms.HiddenInput)
    location = PlaceField()
    how = forms.ChoiceField(
        choices=[(TAKE, "Take away"), (ADD, "Add"), (TO, "Set to what I counted")],
        initial=TAKE,
        widget=forms.RadioSelect,
        label="How",
    )
    quantity = UnitsField(label="Units", help_text="How many to take or add; for a count, how many lie there.")
    reason = forms.ChoiceField(
        choices=REASONS, label="Reason", error_messages={"required": "Choose a reason: it stays with the movement."}
    )
    note = forms.CharField(required=False, max_length=200, label="Note")

    def __init__(self, *args: Any, merchant: Merchant, variant: Variant, **options: Any) -> None:
        super().__init__(*args, **options)
        self.variant = variant
        cast(PlaceField, self.fields["location"]).of(merchant)
        self.initial.setdefault("key", uuid.uuid4())

    def clean(self) -> dict[str, Any]:
        """Whole units where the variant is sold so; a count is not negative; “other” says what."""
        found: dict[str, Any] = super().clean() or {}
        quantity, how = found.get("quantity"), found.get("how")
        if quantity is not None:
            if abs(quantity) > UNITS_MAX:
                self.add_error("quantity", "That is more than a million units. Check the number.")
            elif self.variant.is_whole_unit and quantity != quantity.to_integral_value():
                self.add_error("quantity", "This is sold in whole units.")
            elif how == TO and quantity < 0:
                self.add_error("quantity", "A count cannot be below zero.")
            elif how in (ADD, TAKE) and quantity == 0:
                self.add_error("quantity", "Nothing to change: type how many units to add or take away.")
            elif how in (ADD, TAKE) and quantity < 0:
                self.add_error("quantity", "Type it without a minus, and choose “Add” or “Take away” above.")
        if found.get("reason") == OTHER and not found.get("note", "").strip():
            self.add_error("note", "Say in a few words what happened.")
        return found

    def reason_text(self) -> str:
        """The reason and the note as the ledger keeps them."""
        label = dict(REASONS)[self.cleaned_data["reason"]]
        note = self.cleaned_data["note"].strip()
        if self.cleaned_data["reason"] == OTHER:
            return str(note)
        return f"{label}: {note}" if note else label


class ReceiveForm(FocusedForm):
    """Where goods arrived and from whom; the lines are read by `counted_lines`."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    location = PlaceField()
    note = forms.CharField(
        max_length=200, label="From", help_text="Supplier, delivery note or purchase order.",
        error_messages={"required": "Say who it comes from."},
    )  # fmt: skip

    def __init__(self, *args: Any, merchant: Merchant, **options: Any) -> None:
        super().__init__(*args, **options)
        cast(PlaceField, self.fields["location"]).of(merchant)
        self.initial.setdefault("key", uuid.uuid4())


def checked_units(quantity: Decimal, *, variant: Variant, none: str) -> Decimal:
    """Units that somebody has: more than none, whole where they are sold so. Raises forms.ValidationError."""
    if quantity <= 0:
        raise forms.ValidationError(none)
    if quantity > UNITS_MAX:
        raise forms.ValidationError("That is more than a million units. Check the number.")
    if variant.is_whole_unit and quantity != quantity.to_integral_value():
        raise forms.ValidationError("This is sold in whole units.")
    return quantity


class LineForm(FocusedForm):
    """How many units of one variant: of a delivery, a transfer, or in a bundle."""

    quantity = UnitsField(label="Units")

    def __init__(self, *args: Any, variant: Variant, **options: Any) -> None:
        super().__init__(*args, **options)
        self.variant = variant
        self.fields["quantity"].widget.attrs["class"] = "units-field"
        self.fields["quantity"].widget.attrs["aria-label"] = f"Units of {variant.full_title}"

    def clean_quantity(self) -> Decimal:
        """More than nothing, whole where the variant is sold so."""
        words = "Type how many, or take the line out."
        return checked_units(self.cleaned_data["quantity"], variant=self.variant, none=words)


LINES_MAX = 200


def counted_lines(*, data: Any, variants: Sequence[Variant]) -> list[LineForm]:
    """One bound form a variant, in the order given; its field is named `v<variant id>-quantity`."""
    return [LineForm(data, prefix=f"v{variant.pk}", variant=variant) for variant in variants]


class ComingDayField(forms.DateField):
    """The day something should be there by: `today` of the shop, or later; empty where nobody knows."""

    def __init__(self, **options: Any) -> None:
        shown = {"widget": forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), "required": False}
        super().__init__(**{**shown, **options})
        self.today: date | None = None

    def of(self, merchant: Merchant) -> None:
        """Days of this shop's calendar."""
        self.today = incoming.today(merchant)
        self.widget.attrs["min"] = self.today.isoformat()

    def clean(self, value: Any) -> date | None:
        """A day that is over is a slip: nothing could be promised on it."""
        day: date | None = super().clean(value)
        if day is not None and self.today is not None and day < self.today:
            raise forms.ValidationError("That day is over. Choose today or a later one, or leave it empty.")
        return day


class ArrivalForm(FocusedForm):
    """Goods that are to travel: from where, to where, by when; the lines are read by `counted_lines`."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    origin = PlaceField()
    supplier = forms.CharField(max_length=120, label="Supplier", error_messages={"required": "Say who it comes from."})
    destination = PlaceField()
    expected_date = ComingDayField(
        label="Should be there on", help_text="Nothing can be promised to customers on what has no day."
    )
    note = forms.CharField(required=False, max_length=200, label="Reference")

    def __init__(self, *args: Any, merchant: Merchant, is_transfer: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, label in (("origin", "From"), ("destination", "To")):
            cast(PlaceField, self.fields[name]).of(merchant, is_in_use=name == "destination")
            self.fields[name].label = label
        del self.fields["supplier" if is_transfer else "origin"]
        cast(ComingDayField, self.fields["expected_date"]).of(merchant)
        self.fields["note"].help_text = (
            "Driver, van, parcel number." if is_transfer else "Order number, delivery note, parcel number."
        )
        self.initial.setdefault("key", uuid.uuid4())

    def clean(self) -> dict[str, Any]:
        """From one place to another."""
        found: dict[str, Any] = super().clean() or {}
        if found.get("origin") and found.get("origin") == found.get("destination"):
            self.add_error("destination", "It goes to the place it comes from: choose another one.")
        return found


class CameForm(FocusedForm):
    """What came of one line of an arrival, in units; empty is nothing."""

    came = UnitsField(required=False)
    damaged = UnitsField(required=False)

    def __init__(self, *args: Any, line: ArrivalLine, **options: Any) -> None:
        super().__init__(*args, **{"prefix": f"l{line.pk}", **options})
        self.line = line
        for name, words in (("came", "Came"), ("damaged", "Damaged")):
            shown = {"class": "units-field", "aria-label": f"{words}, {line.variant.full_title}"}
            self.fields[name].widget.attrs.update(shown)

    def clean(self) -> dict[str, Any]:
        """Nothing below zero, whole where the variant is sold so."""
        found: dict[str, Any] = super().clean() or {}
        for name in ("came", "damaged"):
            units = found.get(name) or Decimal(0)
            if units < 0:
                self.add_error(name, "It cannot be below zero.")
            elif units > UNITS_MAX:
                self.add_error(name, "That is more than a million units. Check the number.")
            elif self.line.variant.is_whole_unit and units != units.to_integral_value():
                self.add_error(name, "This is sold in whole units.")
        return found

    def units(self, name: str) -> Decimal:
        """What was typed, nothing where nothing was; of a valid form."""
        return self.cleaned_data[name] or Decimal(0)


class RestForm(FocusedForm):
    """What is to become of that which did not come, and why it is not as it was sent."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    rest = forms.ChoiceField(widget=forms.RadioSelect, initial="wait", label="What has not come")
    reason = forms.CharField(required=False, max_length=200, label="Why it differs")

    def __init__(self, *args: Any, origin: str, **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [("wait", "Comes later"), ("missing", "Will not come: it is missing")]
        if origin:
            choices.append(("returned", f"Is back at {origin}"))
        self.fields["rest"].choices = choices  # type: ignore[attr-defined]
        self.initial.setdefault("key", uuid.uuid4())


class DeedForm(FocusedForm):
    """The yes to something done with an arrival: its key makes a double click do it once."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    reason = forms.CharField(required=False, max_length=200, label="Why")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.initial.setdefault("key", uuid.uuid4())


class DayForm(FocusedForm):
    """Another day for something on its way; empty: nobody knows."""

    expected_date = ComingDayField(label="Another day", help_text="Empty: nobody knows.")

    def __init__(self, *args: Any, merchant: Merchant, **options: Any) -> None:
        super().__init__(*args, **options)
        cast(ComingDayField, self.fields["expected_date"]).of(merchant)


class BundleForm(FocusedForm):
    """How a variant is made of others; the parts are read by `counted_lines`."""

    kind = forms.ChoiceField(
        choices=[
            ("bundle", "Made up when it is sold: what it can sell follows from its parts"),
            ("pack", "Kept made up, with stock of its own: a carton, a kit on the shelf"),
        ],
        initial="bundle",
        widget=forms.RadioSelect,
        label="How it is kept",
    )


class PackForm(FocusedForm):
    """Pieces to make up from their parts, or to take apart, at one place."""

    key = forms.UUIDField(widget=forms.HiddenInput)
    location = PlaceField()
    how = forms.ChoiceField(
        choices=[("make", "Make up"), ("apart", "Take apart")], initial="make", widget=forms.RadioSelect, label="How"
    )
    quantity = UnitsField(label="Packs", help_text="How many packs, not parts.")

    def __init__(self, *args: Any, merchant: Merchant, variant: Variant, **options: Any) -> None:
        super().__init__(*args, **options)
        self.variant = variant
        cast(PlaceField, self.fields["location"]).of(merchant)
        self.initial.setdefault("key", uuid.uuid4())

    def clean_quantity(self) -> Decimal:
        """More than none, whole where it is sold so."""
        return checked_units(self.cleaned_data["quantity"], variant=self.variant, none="Type how many.")

    def pieces(self) -> Decimal:
        """Packs more on the shelf, below zero where they are taken apart."""
        quantity: Decimal = self.cleaned_data["quantity"]
        return quantity if self.cleaned_data["how"] == "make" else -quantity

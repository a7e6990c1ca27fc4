"""What people type on the channel pages."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.validators import MinValueValidator
from django.utils.timezone import now as utc_now

from channels import incidents, registry, rules
from channels.asking import Destination
from channels.models import AvailabilityRule, ChannelLocation, Connection
from channels.order_items import EditableLine
from channels.ports import OrderOption
from channels.refunding import Returnable
from inventory import incoming, paging, queries
from inventory.forms import UNITS_MAX, FocusedForm, NumberField, UnitsField, WholeField
from inventory.models import Location, OrderHold, Variant
from storestudio.accounts import numbers
from storestudio.accounts.models import Merchant

CONFIRM_WORD = "approve"


class GuardForm(forms.Form):
    """How many numbers of a connection may be cut at once without asking."""

    cells = WholeField(label="At most so many numbers", min_value=1, max_value=1_000_000)
    percent = NumberField(
        label="Nor more than this part of them, in percent", min_value=1, max_value=100, max_digits=4, decimal_places=1
    )


class PlacesForm(forms.Form):
    """Which of our locations each place of a channel is; one field a place, empty for "not kept"."""

    def __init__(self, *args: Any, connection: Connection, **kwargs: Any) -> None:
        self.places = list(
            ChannelLocation.objects.filter(connection=connection)
            .select_related("location")
            .order_by("-is_active", "name", "pk")
        )
        super().__init__(*args, **kwargs)
        ours = Location.objects.of(connection.merchant).filter(is_active=True).order_by("name", "pk")
        choices = [("", "Not kept by us"), *((str(one.pk), one.name) for one in ours)]
        self.locations = {str(one.pk): one for one in ours}
        for place in self.places:
            mapped = [(str(place.location.pk), place.location.name)] if place.location else []
            offered = choices + [choice for choice in mapped if choice not in choices]
            self.locations |= {str(place.location.pk): place.location} if place.location else {}
            self.fields[self.name_of(place)] = forms.ChoiceField(
                label=place.name, choices=offered, required=False, initial=str(place.location_id or "")
            )

    @staticmethod
    def name_of(place: ChannelLocation) -> str:
        """The field of a place."""
        return f"place-{place.pk}"

    def rows(self) -> list[tuple[ChannelLocation, forms.BoundField]]:
        """Each place with its field."""
        return [(place, self[self.name_of(place)]) for place in self.places]

    def clean(self) -> dict[str, Any]:
        """No location of ours may stand for two places of one channel."""
        cleaned = super().clean() or {}
        taken: dict[str, ChannelLocation] = {}
        for place in self.places:
            chosen = cleaned.get(self.name_of(place))
            if chosen and chosen in taken:
                name = self.locations[chosen].name
                self.add_error(self.name_of(place), f"{name} already stands for {taken[chosen].name}.")
            elif chosen:
                taken[chosen] = place
        return cleaned

    def steps(self) -> list[tuple[ChannelLocation, Location | None]]:
        """What to change, in order: changed places let go of theirs first, so that a swap does not meet itself."""
        chosen = {place: self.cleaned_data[self.name_of(place)] for place in self.places}
        changed = [place for place in self.places if chosen[place] != str(place.location_id or "")]
        freed = [(place, None) for place in changed if place.location_id]
        return [*freed, *((place, self.locations[chosen[place]]) for place in changed if chosen[place])]


class ReasonForm(forms.Form):
    """Why a person did something that others will ask about."""

    reason = forms.CharField(max_length=300, strip=True, label="Why?")


class ReconnectForm(forms.Form):
    """New keys for an account that no longer accepts the old ones; one field for each that the channel asks for."""

    def __init__(self, *args: Any, connection: Connection, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for secret in registry.capabilities(connection.channel).secrets:
            self.fields[secret.name] = forms.CharField(
                max_length=2000,
                strip=True,
                required=secret.is_required,
                label=f"New {secret.label}",
                widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
            )

    @property
    def words(self) -> str:
        """What has to be copied, such as “access token” or “consumer key and consumer secret”."""
        return " and ".join(str(field.label).removeprefix("New ") for field in self if field.field.required)

    def secrets(self) -> dict[str, str]:
        """What was typed; an empty field leaves the stored secret as it is."""
        return {name: value for name, value in self.cleaned_data.items() if value}


class ApproveForm(forms.Form):
    """A yes to the table that was shown, word typed where much would go to zero."""

    digest = forms.CharField(widget=forms.HiddenInput)
    confirm = forms.CharField(required=False, max_length=20)

    def __init__(self, *args: Any, needs_word: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.needs_word = needs_word

    def clean_confirm(self) -> str:
        """The word, where it is asked for."""
        typed = str(self.cleaned_data["confirm"]).strip().lower()
        if self.needs_word and typed != CONFIRM_WORD:
            raise forms.ValidationError(f"Type “{CONFIRM_WORD}” to send numbers that drop to zero.")
        return typed


EVERYTHING, CATEGORY, VARIANT = "everything", "category", "variant"
YES_NO = [("", "Leave it to other rules"), ("true", "Yes"), ("false", "No")]
MOMENT = "%Y-%m-%dT%H:%M"
UPDATES = [("", "At once"), ("60", "Every minute"), ("300", "Every 5 minutes"), ("900", "Every 15 minutes"),
           ("3600", "Every hour"), ("86400", "Once a day")]  # fmt: skip


class Moment(forms.DateTimeField):
    """A date and time as it is at the shop; the form makes it an instant."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MOMENT)
        super().__init__(required=False, widget=widget, **options)


class SnoozeForm(forms.Form):
    """Until when an incident is put off; a typed moment is the shop's local time."""

    HOUR, TOMORROW, MOMENT = "hour", "tomorrow", "moment"
    choice = forms.ChoiceField(
        choices=[(HOUR, "For an hour"), (TOMORROW, "Until tomorrow, 9:00"), (MOMENT, "Until")],
        widget=forms.HiddenInput,
    )
    until = Moment(label="Until")

    def __init__(self, *args: Any, zone: str, **kwargs: Any) -> None:
        self.zone = zone
        super().__init__(*args, **kwargs)

    def clean(self) -> dict[str, Any]:
        """A moment has to be typed where it is wanted."""
        cleaned = super().clean() or {}
        if cleaned.get("choice") == self.MOMENT and not cleaned.get("until") and "until" not in self.errors:
            self.add_error("until", "Choose a day and a time.")
        return cleaned

    def until_moment(self, *, now: datetime) -> datetime:
        """The moment that was chosen."""
        choice = self.cleaned_data["choice"]
        if choice == self.HOUR:
            return now + timedelta(hours=1)
        if choice == self.TOMORROW:
            return incidents.tomorrow_morning(now=now, zone=self.zone)
        typed: datetime = self.cleaned_data["until"]
        return typed.replace(tzinfo=ZoneInfo(self.zone))


class NoteForm(forms.Form):
    """What somebody knows about an incident."""

    text = forms.CharField(
        label="Note", max_length=500, strip=True, widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Write something down first."},
    )  # fmt: skip


def _units(label: str, help_text: str) -> UnitsField:
    return UnitsField(required=False, label=label, help_text=help_text, min_value=0, max_value=UNITS_MAX)


class RuleForm(FocusedForm):
    """What may be sold where. An empty setting says nothing: other rules decide it."""

    is_optional_throughout = True

    what = forms.ChoiceField(
        choices=[(EVERYTHING, "Everything"), (CATEGORY, "One category"), (VARIANT, "One item")],
        widget=forms.RadioSelect, label="For", initial=EVERYTHING,
    )  # fmt: skip
    category = forms.ChoiceField(required=False, label="Category")
    sku = forms.CharField(required=False, max_length=120, label="SKU or barcode")
    # Where the form was opened for one item: its code may be another's too, or it may have none.
    item = WholeField(required=False, widget=forms.HiddenInput)
    connection = forms.ModelChoiceField(
        queryset=Connection.objects.none(), required=False, empty_label="Every channel", label="Channel"
    )
    location = forms.ModelChoiceField(
        queryset=Location.objects.none(), required=False, empty_label="Every place", label="Place"
    )
    safety_stock = _units(
        "Keep back", "Safety stock: units that nobody may sell. So many at each place, not of all places together."
    )
    channel_buffer = _units("Hide from the channel", "Units kept from it besides, at each place too.")
    share_percent = NumberField(
        required=False, min_value=0, max_value=100, decimal_places=2, max_digits=5, label="Offer only, in percent",
        help_text="Of what is left then.",
    )  # fmt: skip
    cap = _units(
        "List at most",
        "Never show more of a thing than this: on a channel over all its places, or at the place named above.",
    )
    is_paused = forms.ChoiceField(required=False, choices=YES_NO, label="Pause", help_text="Yes: it shows 0.")
    is_tracked = forms.ChoiceField(
        required=False, choices=YES_NO, label="Count it", help_text="No: the channel is told no number, and sells on."
    )
    mode = forms.ChoiceField(
        required=False, label="Against selling the last one twice",
        choices=[
            ("", "Leave it to other rules"),
            ("shared", "Shared: it sees all of the stock"),
            ("buffered", "Buffered: hide what its delay makes risky"),
            ("escrow", "Set aside: it sells from units of its own"),
        ],
    )  # fmt: skip
    oversell = forms.ChoiceField(
        required=False, label="Sell more than there is",
        choices=[("", "Leave it to other rules"), *AvailabilityRule.Oversell.choices],
    )  # fmt: skip
    oversell_max = _units(
        "Up to",
        "So many at each place. Empty: as many as transfers and deliveries with a day still bring.",
    )
    promised_date = forms.DateField(
        required=False, label="Promised by", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="After that day no more are promised. Empty: the day of each transfer or delivery.",
    )  # fmt: skip
    message = forms.CharField(required=False, max_length=200, label="What customers are told")
    sells_from = Moment(label="Not before", help_text="Shows 0 until then.")
    first_connection = forms.ModelChoiceField(
        queryset=Connection.objects.none(), required=False, empty_label="No channel first", label="First only on"
    )
    first_until = Moment(label="Others from", help_text="Then every channel sells it, by itself.")
    starts_at = Moment(label="This rule holds from")
    ends_at = Moment(label="This rule holds until")
    note = forms.CharField(required=False, max_length=200, label="Note", help_text="Why there is this rule.")
    MOMENTS = ("sells_from", "first_until", "starts_at", "ends_at")
    PLAIN = ("safety_stock", "channel_buffer", "share_percent", "cap", "mode", "oversell", "oversell_max",
             "promised_date", "message", "first_connection", "connection", "location", "note")  # fmt: skip

    def __init__(self, *args: Any, merchant: Merchant, rule: AvailabilityRule | None = None, **options: Any) -> None:
        self.merchant, self.zone = merchant, ZoneInfo(merchant.timezone)
        self.current = rule
        if rule is not None:
            options["initial"] = self._initial(rule) | dict(options.get("initial") or {})
        super().__init__(*args, **options)
        channels = Connection.objects.of(merchant).exclude(state=Connection.State.CLOSED).order_by("label", "pk")
        for name in ("connection", "first_connection"):
            self._choose(name, channels)
        self._choose("location", Location.objects.of(merchant).filter(is_active=True).order_by("name", "pk"))
        item = self._item(paging.number(str(self["item"].value() or "")))
        self.fields["sku"].help_text = item.full_title if item else ""
        if tills := rules.tills(merchant=merchant):
            names = ", ".join(one.label for one in tills)
            self.fields["cap"].help_text += f" “Every channel” means your tills too: {names}."
        category: Any = self.fields["category"]
        category.choices = [("", "Choose a category"), *((one, one) for one in self._categories())]

    def _choose(self, name: str, rows: Any) -> None:
        """Offer the shop's own rows, by the name people know."""
        chosen: Any = self.fields[name]
        chosen.queryset = rows
        chosen.label_from_instance = lambda row: getattr(row, "label", None) or row.name

    def _categories(self) -> list[str]:
        found = rules.choices_of_category(merchant=self.merchant)
        kept = self.current.category if self.current else ""
        return found if not kept or kept in found else [kept, *found]

    def _initial(self, rule: AvailabilityRule) -> dict[str, Any]:
        values = {name: getattr(rule, name) for name in self.PLAIN}
        for name in self.MOMENTS:
            moment = getattr(rule, name)
            values[name] = moment.astimezone(self.zone).replace(tzinfo=None) if moment else None
        for name in ("is_paused", "is_tracked"):
            said = getattr(rule, name)
            values[name] = "" if said is None else str(said).lower()
        for name in ("safety_stock", "channel_buffer", "share_percent", "cap", "oversell_max"):
            values[name] = f"{values[name].normalize():f}" if values[name] is not None else None
        what = VARIANT if rule.variant_id else CATEGORY if rule.category else EVERYTHING
        sku = (rule.variant.sku or rule.variant.gtin) if rule.variant else ""
        return values | {"what": what, "category": rule.category, "sku": sku, "item": rule.variant_id}

    def clean(self) -> dict[str, Any]:
        """One rule that makes sense, in words where it does not."""
        found: dict[str, Any] = super().clean() or {}
        for name in self.MOMENTS:
            typed: datetime | None = found.get(name)
            found[name] = typed.replace(tzinfo=self.zone) if typed else None
        found["variant"] = self._variant(found) if found.get("what") == VARIANT else None
        if found.get("what") == CATEGORY and not found.get("category"):
            self.add_error("category", "Choose which category.")
        elif found.get("what") == EVERYTHING and (found.get("sku") or found.get("category")):
            named = found.get("sku") or found.get("category")
            self.add_error("what", f"It says “Everything”, and names “{named}”: choose what it is for, or empty that.")
        self._check_promise(found)
        self._check_whole(found)
        if bool(found.get("first_connection")) != bool(found.get("first_until")):
            missing = "first_until" if found.get("first_connection") else "first_connection"
            self.add_error(missing, "Say both: which channel sells first, and when the others may.")
        if found["starts_at"] and found["ends_at"] and found["ends_at"] <= found["starts_at"]:
            self.add_error("ends_at", "It must end after it begins.")
        elif found["ends_at"] and found["ends_at"] <= utc_now() and self._is_new("ends_at", found["ends_at"]):
            self.add_error("ends_at", "That moment is over: the rule would never hold.")
        says = (*self.PLAIN[:6], "is_paused", "is_tracked", "sells_from", "first_until")
        if not self.errors and not any(found.get(name) not in (None, "") for name in says):
            self.add_error(None, "This rule says nothing yet: fill in at least one setting.")
        return found

    def _item(self, variant_id: int | None) -> Variant | None:
        rows = Variant.objects.of(self.merchant).select_related("product")
        found: Variant | None = rows.filter(pk=variant_id or 0).first()
        return found

    def _variant(self, found: dict[str, Any]) -> Variant | None:
        code, item = found.get("sku", ""), self._item(found.get("item"))
        if item is not None and code in ("", item.sku, item.gtin):
            return item
        rows = queries.by_code(merchant=self.merchant, code=code)
        if len(rows) == 1:
            return rows[0]
        many = f"More than one item has “{code}”: open the one you mean, and choose “New rule for this item” there."
        none = "No item has this SKU or barcode." if code else "Type the item’s SKU or barcode."
        self.add_error("sku", many if rows else none)
        return None

    def _check_whole(self, found: dict[str, Any]) -> None:
        """Of one item that is sold in whole units nothing is half."""
        if found["variant"] is not None and found["variant"].is_whole_unit:
            for name in ("safety_stock", "channel_buffer", "cap", "oversell_max"):
                if (found.get(name) or 0) % 1:
                    self.add_error(name, "This item is sold in whole units.")

    def _check_promise(self, found: dict[str, Any]) -> None:
        if found.get("oversell") not in ("backorder", "preorder") and any(
            found.get(name) not in (None, "") for name in ("oversell_max", "promised_date", "message")
        ):
            self.add_error("oversell", "Choose backorder or pre-order, or leave the promise empty.")
        day = found.get("promised_date")
        if day and day < incoming.today(self.merchant) and self._is_new("promised_date", day):
            self.add_error("promised_date", "That day is over: nothing would be promised.")

    def _is_new(self, name: str, typed: Any) -> bool:
        """Whether it was typed now; what a rule said all along may be over."""
        return self.current is None or getattr(self.current, name) != typed

    def rule(self) -> AvailabilityRule:
        """The rule as typed, not saved."""
        rule = self.current or AvailabilityRule(merchant=self.merchant)
        for name in (*self.PLAIN, *self.MOMENTS, "variant"):
            setattr(rule, name, self.cleaned_data[name])
        for name in ("is_paused", "is_tracked"):
            setattr(rule, name, {"true": True, "false": False, "": None}[self.cleaned_data[name]])
        rule.category = self.cleaned_data["category"] if self.cleaned_data["what"] == CATEGORY else ""
        return rule


class SellingForm(forms.Form):
    """How a channel takes part in one stock."""

    mode = forms.ChoiceField(choices=AvailabilityRule.Mode.choices, widget=forms.RadioSelect, label="Mode")
    updates_every_s = forms.TypedChoiceField(
        required=False, choices=UPDATES, coerce=int, empty_value=None, label="It takes new numbers",
        help_text="As the channel itself says: some read a list only now and then.",
    )  # fmt: skip


class KeyedForm(FocusedForm):
    """A form that asks for something once, however often it is sent."""

    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)


class MoveOrderForm(KeyedForm):
    """Which units ship from which other place; one field a line that waits."""

    def __init__(
        self, *args: Any, holds: Sequence[OrderHold], destinations: Sequence[Destination], **kwargs: Any
    ) -> None:
        self.holds = list(holds)
        super().__init__(*args, **kwargs)
        for hold in self.holds:
            name = hold.line.sku or hold.line.title
            self.fields[f"units_{hold.pk}"] = UnitsField(
                label=f"Units of {name}", min_value=0, max_value=hold.committed, initial=numbers.plain(hold.committed)
            )
        self.fields["place"] = forms.TypedChoiceField(
            label="Ship from", coerce=int, widget=forms.RadioSelect,
            choices=[(one.location.pk, one.location.name) for one in destinations],
            initial=next((one.location.pk for one in destinations if one.has_all), None),
            error_messages={"required": "Choose the place that ships it.", "invalid_choice": "Choose one of these."},
        )  # fmt: skip

    def units(self) -> dict[int, Decimal]:
        """What was asked for, by hold."""
        return {hold.pk: self.cleaned_data[f"units_{hold.pk}"] for hold in self.holds}

    def rows(self) -> list[tuple[OrderHold, Any]]:
        """Each line with its field."""
        return [(hold, self[f"units_{hold.pk}"]) for hold in self.holds]


class OrderItemsForm(KeyedForm):
    """How many of each line an order should have, where added items leave from, and what goes with it."""

    restocks = forms.BooleanField(
        required=False,
        initial=True,
        label="Units taken off go back to the shelf",
        help_text="No: they are written off.",
    )
    note = forms.CharField(
        required=False, max_length=255, label="Note for your staff", help_text="Kept with the order at the channel."
    )

    def __init__(
        self, *args: Any, lines: Sequence[EditableLine], places: Sequence[Location], options: Collection[OrderOption],
        takes_fractions: bool, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.lines = list(lines)
        super().__init__(*args, **kwargs)
        for one in self.lines:
            is_whole = not takes_fractions or bool(one.line.variant and one.line.variant.is_whole_unit)
            words = f"{numbers.plain(one.least)} have left already: no fewer can stay on it." if one.least else None
            least = MinValueValidator(one.least, message=words)
            self.fields[f"units_{one.line.pk}"] = field = UnitsField(
                label=f"Units of {one.name}", max_value=UNITS_MAX, initial=numbers.plain(one.line.quantity),
                validators=[least, _whole] if is_whole else [least],
            )  # fmt: skip
            field.widget.attrs |= {"class": "units-field", "aria-label": f"Units of {one.name}"}
        if OrderOption.ADD in options and places:
            self.fields["place"] = forms.TypedChoiceField(
                label="Added items leave from", coerce=int,
                choices=[(place.pk, place.name) for place in places],
            )  # fmt: skip
        if OrderOption.WRITE_OFF not in options:
            del self.fields["restocks"]
        self.order_fields(["key", *(f"units_{one.line.pk}" for one in self.lines), "place", "restocks", "note"])

    def wanted(self) -> dict[int, Decimal]:
        """Units by line."""
        return {one.line.pk: self.cleaned_data[f"units_{one.line.pk}"] for one in self.lines}

    def rows(self) -> list[tuple[EditableLine, Any]]:
        """Each line with its field."""
        return [(one, self[f"units_{one.line.pk}"]) for one in self.lines]


def _whole(units: Decimal) -> None:
    if units % 1:
        raise forms.ValidationError("Whole units only.")


class CancelOrderForm(KeyedForm):
    """What goes with cancelling an order, as far as its channel takes wishes."""

    restocks = forms.BooleanField(
        required=False, initial=True, label="Its units go back to the shelf", help_text="No: they are written off."
    )
    pays_back = forms.BooleanField(required=False, label="Give the customer the money back")
    note = forms.CharField(
        required=False, max_length=255, label="Note for your staff", help_text="Kept with the order at the channel."
    )

    def __init__(self, *args: Any, options: Collection[OrderOption], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if OrderOption.WRITE_OFF not in options:
            del self.fields["restocks"]
        if OrderOption.PAY_BACK not in options:
            del self.fields["pays_back"]


class RefundForm(KeyedForm):
    """Which units are given back, where to, and how much money; the amount is asked for once it is known."""

    restocks = forms.BooleanField(
        required=False, initial=True, label="What comes back goes to the shelf", help_text="No: it is written off."
    )
    is_noted_only = forms.BooleanField(
        required=False, label="I have given the money back myself", help_text="Cash, or a transfer: it is only noted."
    )
    note = forms.CharField(required=False, max_length=255, label="Reason", help_text="The customer may see it.")
    amount = NumberField(
        min_value=0, max_digits=12, decimal_places=2, label="Amount to give back",
        error_messages={"required": "Type how much money is given back; 0 for none."},
    )  # fmt: skip

    def __init__(
        self, *args: Any, rows: Sequence[Returnable], places: Sequence[Location], options: Collection[OrderOption],
        takes_fractions: bool, with_amount: bool, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.returnable = list(rows)
        super().__init__(*args, **kwargs)
        for one in self.returnable:
            is_whole = not takes_fractions or bool(one.line.variant and one.line.variant.is_whole_unit)
            name = one.line.sku or one.line.title
            self.fields[one.name] = field = UnitsField(
                label=f"Units of {name}", initial="0", min_value=0, max_value=one.most,
                validators=[_whole] if is_whole else [],
            )  # fmt: skip
            field.widget.attrs |= {"class": "units-field", "aria-label": f"Units of {name} to give back"}
        has_left = any(one.has_left for one in self.returnable)
        if has_left and places:
            self.fields["place"] = forms.TypedChoiceField(
                label="It comes back to", coerce=int,
                choices=[(place.pk, place.name) for place in places],
            )  # fmt: skip
        dropped = {
            "restocks": not has_left, "is_noted_only": OrderOption.PAID_BY_HAND not in options,
            "amount": not with_amount,
        }  # fmt: skip
        for name in [name for name, is_dropped in dropped.items() if is_dropped]:
            del self.fields[name]
        self.order_fields(["key", *(one.name for one in self.returnable), "restocks", "place", "is_noted_only", "note"])

    def units(self) -> dict[str, Decimal]:
        """What was chosen, by name."""
        return {one.name: self.cleaned_data[one.name] for one in self.returnable}

    def rows(self) -> list[tuple[Returnable, Any]]:
        """What can be given back, each with its field."""
        return [(one, self[one.name]) for one in self.returnable]


class DecisionForm(KeyedForm):
    """What is done for one order that goes without; the offer is the button that was pressed."""

    line = WholeField(widget=forms.HiddenInput)
    offer = forms.CharField(max_length=40, error_messages={"required": "Press one of the offers."})
    note = forms.CharField(required=False, max_length=255, label="Note, kept with the order")
    extra_cost = NumberField(
        required=False, min_value=0, max_digits=9, decimal_places=2, label="Extra cost, such as a parcel more"
    )

"""What people fill in on the onboarding pages."""

from __future__ import annotations

from typing import Any

from django import forms

from channels.models import Connection
from inventory.models import Location
from onboarding.importing import showing
from onboarding.models import ImportBatch
from onboarding.reading.fields import IGNORED, LABELS, QUANTITY_AT
from storestudio.accounts.models import Merchant


class UploadForm(forms.Form):
    """A file, or the catalog of a connected channel."""

    file = forms.FileField(required=False, allow_empty_file=True, max_length=255)
    name = forms.CharField(required=False, max_length=200, strip=True, label="What to call it")
    connection = forms.ModelChoiceField(queryset=Connection.objects.none(), required=False, label="Channel")

    def __init__(self, *args: Any, merchant: Merchant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ours = Connection.objects.of(merchant).exclude(state=Connection.State.CLOSED).order_by("label", "pk")
        self.fields["connection"].queryset = ours  # type: ignore[attr-defined]
        self.channels = list(ours)

    def clean(self) -> dict[str, Any]:
        """One of the two."""
        cleaned = super().clean() or {}
        if not self.errors and cleaned.get("file") is None and cleaned.get("connection") is None:
            raise forms.ValidationError("Choose a file first.")
        return cleaned


class ColumnsForm(forms.Form):
    """What each column of a file is; one field a column, named by its place."""

    def __init__(self, *args: Any, batch: ImportBatch, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.columns_found = showing.columns_of(batch)
        for column in self.columns_found:
            self.fields[f"column-{column.place}"] = forms.ChoiceField(
                label=column.header, choices=_choices(column.guess), required=False, initial=column.guess
            )

    def rows(self) -> list[tuple[showing.Column, forms.BoundField]]:
        """Each column with its field."""
        return [(column, self[f"column-{column.place}"]) for column in self.columns_found]

    def columns(self) -> dict[str, str]:
        """Heading → our field, for all columns; "" for one that is not read."""
        return {one.header: self.cleaned_data[f"column-{one.place}"] for one in self.columns_found}

    def clean(self) -> dict[str, Any]:
        """One column a field, and something to know an item by."""
        cleaned = super().clean() or {}
        taken: dict[str, str] = {}
        for column in self.columns_found:
            chosen = cleaned.get(f"column-{column.place}")
            if chosen and chosen in taken:
                self.add_error(f"column-{column.place}", f"{LABELS.get(chosen, chosen)} is {taken[chosen]} already.")
            elif chosen:
                taken[chosen] = f"“{column.header}”"
        if not {"sku", "gtin", "product_title"} & set(taken):
            raise forms.ValidationError("Say which column holds the SKU, the barcode or the title.")
        return cleaned


def _choices(guess: str) -> list[tuple[str, str]]:
    choices = [(IGNORED, "Not read"), *LABELS.items()]
    if guess.startswith(QUANTITY_AT):
        choices.append((guess, f"Quantity at {guess.removeprefix(QUANTITY_AT)}"))
    return choices


class PlacesOfFileForm(forms.Form):
    """Whether stock is set, and which of our locations each place of the file is."""

    def __init__(self, *args: Any, batch: ImportBatch, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.places = showing.places_in(batch)
        ours = Location.objects.filter(merchant=batch.merchant_id, is_active=True).order_by("name", "pk")
        choices = [("", "Leave its stock alone"), *((str(one.pk), one.name) for one in ours)]
        known = batch.settings.get("locations") or {}
        for place, name in enumerate(self.places):
            self.fields[f"place-{place}"] = forms.ChoiceField(
                label=name or "Stock in the file", choices=choices, required=False, initial=str(known.get(name) or "")
            )

    def locations(self) -> dict[str, int]:
        """Place of the file → our location, for those a person named."""
        chosen = {name: self.cleaned_data[f"place-{place}"] for place, name in enumerate(self.places)}
        return {name: int(location) for name, location in chosen.items() if location}

    def sets_counts(self) -> bool:
        """Whether any stock is to be set."""
        return bool(self.locations())

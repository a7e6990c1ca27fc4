"""What people type on the channel pages."""

from __future__ import annotations

from typing import Any

from django import forms

from channels import registry
from channels.models import ChannelLocation, Connection
from inventory.models import Location

CONFIRM_WORD = "approve"


class GuardForm(forms.Form):
    """How many numbers of a connection may be cut at once without asking."""

    cells = forms.IntegerField(label="At most so many numbers", min_value=1, max_value=1_000_000)
    percent = forms.DecimalField(
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

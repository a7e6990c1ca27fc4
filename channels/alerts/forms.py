"""What people choose and type on the page of alerts."""

from __future__ import annotations

from typing import Any

from django import forms

from channels import incidents
from channels.alerts.models import AlertRoute
from channels.models import Incident
from channels.own import endpoints

Severity = Incident.Severity
LEAST = [
    (str(Severity.INFO.value), "Everything"),
    (str(Severity.WARNING.value), "What needs me"),
    (str(Severity.CRITICAL.value), "Only what is urgent"),
    (str(AlertRoute.NEVER), "Nothing"),
]


class RouteForm(forms.Form):
    """What is told on a route, and when; a threshold for each kind of incident."""

    is_on = forms.BooleanField(required=False, label="Tell me here")
    pace = forms.ChoiceField(choices=AlertRoute.Pace.choices, label="When")
    quiet_from = forms.TimeField(
        required=False, label="Quiet from", widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    quiet_until = forms.TimeField(
        required=False, label="until", widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    breaks_through = forms.BooleanField(required=False, label="What is urgent is told at once, in quiet hours too")
    tells_closing = forms.BooleanField(required=False, label="Tell me when it is over")
    SETTINGS = ("is_on", "pace", "quiet_from", "quiet_until", "breaks_through", "tells_closing")

    def __init__(self, *args: Any, route: AlertRoute, is_staffs: bool = False, **options: Any) -> None:
        options["initial"] = {name: getattr(route, name) for name in self.SETTINGS}
        options.setdefault("auto_id", f"r{route.pk}_%s")
        super().__init__(*args, **options)
        self.kinds = [kind for kind in Incident.Kind if is_staffs or kind not in incidents.STAFF_KINDS]
        for kind in self.kinds:
            self.fields[f"kind_{kind.value}"] = forms.ChoiceField(
                choices=LEAST, label=kind.label, initial=str(route.least_of(kind.value))
            )

    def thresholds_fields(self) -> list[forms.BoundField]:
        """The threshold of each kind."""
        return [self[f"kind_{kind.value}"] for kind in self.kinds]

    def clean(self) -> dict[str, Any]:
        """Quiet hours begin and end, and are not the whole day."""
        cleaned = super().clean() or {}
        begins, ends = cleaned.get("quiet_from"), cleaned.get("quiet_until")
        if (begins is None) != (ends is None):
            self.add_error("quiet_until", "Say when the quiet hours begin and when they end, or leave both empty.")
        elif begins is not None and begins == ends:
            self.add_error("quiet_until", "They would never end. To be told nothing, switch it off.")
        return cleaned

    def settings(self) -> dict[str, Any]:
        """As the route keeps them."""
        found = {name: self.cleaned_data[name] for name in self.SETTINGS}
        found["thresholds"] = {kind.value: int(self.cleaned_data[f"kind_{kind.value}"]) for kind in self.kinds}
        return found


class WebhookForm(forms.Form):
    """A new address that takes Slack's JSON."""

    label = forms.CharField(max_length=120, strip=True, label="What is it called?", help_text="Such as “#shop-floor”.")
    url = forms.CharField(
        max_length=500, strip=True, label="Address", widget=forms.URLInput(attrs={"autocomplete": "off"}),
        help_text="An incoming webhook of Slack, Mattermost or alike. It is kept encrypted and not shown again.",
    )  # fmt: skip

    def clean_url(self) -> Any:
        """An address we may send to."""
        try:
            return endpoints.checked_url(self.cleaned_data["url"])
        except endpoints.CannotKeep as error:
            raise forms.ValidationError(str(error)) from error

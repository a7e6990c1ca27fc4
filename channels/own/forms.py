"""What people type on the pages of the shop's own site."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from channels.own import endpoints
from channels.own.models import Scope, Topic

LASTS = {"": None, "30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365)}


class SiteForm(forms.Form):
    """A new site or app of the shop's own."""

    label = forms.CharField(max_length=120, strip=True, label="What is it called?", initial="Own site")


class TokenForm(forms.Form):
    """A new token."""

    name = forms.CharField(max_length=80, strip=True, label="What is it for?", help_text="Such as “shop server”.")
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, initial=Scope.values, widget=forms.CheckboxSelectMultiple, label="It may"
    )
    lasts = forms.ChoiceField(
        choices=[("", "Until it is revoked"), ("30", "30 days"), ("90", "90 days"), ("365", "a year")],
        required=False, label="It lasts",
    )  # fmt: skip

    def expires_at(self) -> datetime | None:
        """When it ends."""
        lasts = LASTS[self.cleaned_data["lasts"]]
        return timezone.now() + lasts if lasts else None


class EndpointForm(forms.Form):
    """An address that is told what changes."""

    url = forms.CharField(max_length=500, strip=True, label="Address", widget=forms.URLInput)
    description = forms.CharField(max_length=120, strip=True, required=False, label="What listens there?")
    topics = forms.MultipleChoiceField(
        choices=[choice for choice in Topic.choices if choice[0] != Topic.PING],
        initial=[Topic.AVAILABILITY, Topic.HOLD_EXPIRED, Topic.HOLD_RELEASED],
        widget=forms.CheckboxSelectMultiple, label="It is told when",
    )  # fmt: skip

    def clean_url(self) -> Any:
        """An address we may send to."""
        try:
            return endpoints.checked_url(self.cleaned_data["url"])
        except endpoints.CannotKeep as error:
            raise forms.ValidationError(str(error)) from error

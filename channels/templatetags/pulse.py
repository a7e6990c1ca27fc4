"""The pulse: one line on every page that says whether all channels are in lockstep, or what is wrong."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.timezone import now as utc_now

from channels import health
from channels.models import Collision

register = template.Library()


@register.simple_tag(takes_context=True)
def collisions_open(context: template.Context) -> int:
    """{% collisions_open as count %}: how many cells of the shop are promised twice right now."""
    return Collision.objects.of(context["merchant"]).filter(closed_at=None).count()


@register.inclusion_tag("components/pulse.html", takes_context=True)
def pulse(context: template.Context) -> dict[str, Any]:
    """{% pulse %}: rendered with the page, then kept current by polling its own address."""
    merchant = context["merchant"]
    return {"merchant": merchant, "pulse": health.pulse(merchant=merchant, now=utc_now())}

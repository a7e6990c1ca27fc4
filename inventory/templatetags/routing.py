"""Words for routing decisions."""

from django import template

from inventory.models import RoutingDecision
from inventory.routing import deciding
from inventory.routing.engine import Step

register = template.Library()


@register.filter
def ships_from(decision: RoutingDecision) -> str:
    """The places that ship, by name as it was then, or that nothing gave all of it."""
    names = {place["id"]: place["name"] for place in decision.question["places"]}
    chosen = dict.fromkeys(names[take["place"]] for take in decision.takes)
    return " + ".join(chosen) or "no way to send all of it"


@register.filter
def reasons(decision: RoutingDecision) -> list[tuple[str, Step]]:
    """What each rule said, with its label."""
    return deciding.reasons(decision)

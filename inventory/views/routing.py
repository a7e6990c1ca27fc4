"""Routing: the shop's rules as a draft in the address, tried on past orders before they are used; its places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from inventory import queries
from inventory.forms import ShippingForm
from inventory.models import Location, RoutingDecision
from inventory.routing import deciding
from inventory.routing.deciding import LABELS, Policy
from inventory.routing.engine import PLACES_AT_ONCE_MAX, Rule
from storestudio.accounts import audit
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view

SHOWN_MAX = 20
HELP = {
    Rule.COMPLETE: "A place that has every item comes before sending it in parts.",
    Rule.CLOSEST: "By distance to the address. Says nothing where the order or a place has no coordinates.",
    Rule.FEWEST: "One parcel before two, two before three.",
    Rule.WAREHOUSE: "Goods on a shop’s shelf stay for those who walk in.",
    Rule.RANKING: "The rank each place has below: 1 comes first.",
    Rule.CAPACITY: "A place that has sent its daily number of orders steps back.",
    Rule.CUT_OFF: "A place whose last parcel has left today steps back.",
}


@dataclass(frozen=True)
class Row:
    """One rule of the draft, and the addresses that move it; empty ones where it cannot."""

    rule: str
    label: str
    help: str
    up: str = ""
    down: str = ""
    toggle: str = ""


@shop_view()
@require_safe
def routing(request: ShopRequest) -> HttpResponse:
    """The rules in use, or the draft that the address holds with what it would have done to past orders."""
    saved = deciding.policy_of(merchant_id=request.merchant.pk)
    draft = _draft(request.GET, saved)
    since = utc_now() - deciding.REPLAYED_FOR
    context = {
        "draft": draft,
        "is_changed": draft != saved,
        "used": [_used(draft, place) for place in range(len(draft.rules))],
        "unused": [_unused(draft, rule) for rule in Rule if rule not in draft.rules],
        "splits": [(size, _address(Policy(draft.rules, size))) for size in range(1, PLACES_AT_ONCE_MAX + 1)],
        "replay": deciding.replay(merchant=request.merchant, policy=draft, since=since) if draft != saved else None,
        "places": queries.locations(merchant=request.merchant),
        "latest": RoutingDecision.objects.of(request.merchant)
        .select_related("order")
        .order_by("-decided_at", "-pk")[:SHOWN_MAX],
        "words": deciding.words(draft),
        "shown_max": SHOWN_MAX,
    }
    return render(request, "inventory/routing.html", context)


@shop_view(roles=MAY_MANAGE)
@require_POST
def use_routing(request: ShopRequest) -> HttpResponse:
    """Use the draft from now on."""
    draft = _draft(request.POST, deciding.policy_of(merchant_id=request.merchant.pk))
    deciding.set_policy(merchant=request.merchant, actor=request.actor, policy=draft)
    messages.success(request, f"In use for the next order: {deciding.words(draft)}.")
    return redirect("routing", request.merchant.slug)


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def shipping_place(request: ShopRequest, location_id: int) -> HttpResponse:
    """How one place ships: where it is, its rank, its daily number of orders, its last parcel."""
    place: Location = one_of(Location.objects.all(), merchant=request.merchant, pk=location_id)
    fields = list(ShippingForm.base_fields)
    before = {name: getattr(place, name) for name in fields}
    form = ShippingForm(request.POST or None, initial=before)
    if request.method == "POST" and form.is_valid():
        for name in fields:
            setattr(place, name, form.cleaned_data[name])
        place.save(update_fields=fields)
        audit.record(
            actor=request.actor, merchant=request.merchant, action="routing.place", target=place,
            summary=f"How {place.name} ships",
            before={name: str(value) for name, value in before.items()},
            after={name: str(getattr(place, name)) for name in fields},
        )  # fmt: skip
        messages.success(request, f"{place.name} ships so from the next order on.")
        return redirect("routing", request.merchant.slug)
    status = 200
    if form.is_bound:
        form.focus_first_error()
        status = 422
    return render(request, "inventory/shipping_place.html", {"form": form, "place": place}, status=status)


def _draft(query: QueryDict, saved: Policy) -> Policy:
    """What the address asks for; the rules in use where it says nothing. What it does not know is left out."""
    if "rules" not in query:
        return saved
    asked = [name for name in query.get("rules", "").split(",") if name in set(Rule)]
    size = query.get("places", "")
    return Policy(
        tuple(dict.fromkeys(asked)),
        int(size) if size in map(str, range(1, PLACES_AT_ONCE_MAX + 1)) else saved.places_max,
    )


def _address(draft: Policy) -> str:
    return "?" + urlencode({"rules": ",".join(draft.rules), "places": draft.places_max})


def _with(draft: Policy, rules: Sequence[str]) -> str:
    return _address(Policy(tuple(rules), draft.places_max))


def _used(draft: Policy, place: int) -> Row:
    rules = list(draft.rules)
    rule = Rule(rules[place])
    without = rules[:place] + rules[place + 1 :]
    return Row(
        rule=rule,
        label=LABELS[rule],
        help=HELP[rule],
        up=_with(draft, [*without[: place - 1], rule, *without[place - 1 :]]) if place else "",
        down=_with(draft, [*without[: place + 1], rule, *without[place + 1 :]]) if place < len(without) else "",
        toggle=_with(draft, without),
    )


def _unused(draft: Policy, rule: Rule) -> Row:
    return Row(rule=rule, label=LABELS[rule], help=HELP[rule], toggle=_with(draft, [*draft.rules, rule]))

"""What the frame around every page needs: the shop, the person's place in it, other shops, theme."""

from __future__ import annotations

from typing import Any, cast

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from storestudio.accounts.access import ShopRequest
from storestudio.accounts.models import Membership, Merchant, User

THEMES = ("system", "light", "dark")


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context of every page; costs no query unless the template asks for the shops."""
    theme = request.COOKIES.get("theme", "system")
    found: dict[str, Any] = {"theme": theme if theme in THEMES else "system"}
    if hasattr(request, "merchant"):
        shop = cast(ShopRequest, request)
        found |= {"merchant": shop.merchant, "membership": shop.membership, "may_manage": shop.may_manage}
    # An error page may be made before the session was read.
    if getattr(request, "user", None) is not None and request.user.is_authenticated:
        found["shops"] = SimpleLazyObject(lambda: shops_of(user=cast(User, request.user)))
        found["looks_after"] = SimpleLazyObject(lambda: looks_after_shops(user=cast(User, request.user)))
    return found


def looks_after_shops(*, user: User) -> bool:
    """Whether this person is an admin, or StoreStudio's staff in some shop."""
    return user.is_superuser or user.memberships.filter(role=Membership.Role.ONBOARDING).exists()


def shops_of(*, user: User) -> list[Merchant]:
    """The shops this person may open, by name; an admin opens all."""
    merchants = Merchant.objects.order_by("name", "pk")
    if not user.is_superuser:
        merchants = merchants.filter(memberships__user=user)
    return list(merchants[:200])

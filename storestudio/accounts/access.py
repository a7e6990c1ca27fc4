"""Who may open what: every page of a shop goes through `shop_view`; a test walks all addresses to see it.

`/<slug:shop>/…` is resolved by membership. A stranger gets the same 404 as for a shop that does not exist:
nobody learns from an address which shops there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect
from django_htmx.middleware import HtmxDetails

from storestudio.accounts.models import Membership, Merchant, User

Role = Membership.Role
# Associates look and count; managers adjust, approve, pause; so do StoreStudio's staff in their shops.
MAY_LOOK: frozenset[str] = frozenset(Role.values)
MAY_COUNT: frozenset[str] = MAY_LOOK
MAY_MANAGE: frozenset[str] = frozenset({Role.OWNER.value, Role.MANAGER.value, Role.ONBOARDING.value})
MAY_OWN: frozenset[str] = frozenset({Role.OWNER.value})


class ShopRequest(HttpRequest):
    """A request that `shop_view` has let in: the shop, and who asks as what. A type only; see `let_in`."""

    merchant: Merchant
    membership: Membership
    actor: User
    may_manage: bool  # adjust, approve, pause
    htmx: HtmxDetails


Arguments = ParamSpec("Arguments")
ModelRow = TypeVar("ModelRow", bound=Model)
View = Callable[Concatenate[ShopRequest, Arguments], HttpResponseBase]


def membership_of(*, user: User, shop: str) -> Membership:
    """The person's place in the shop. An admin acts as owner. Raises Http404 for strangers."""
    memberships = Membership.objects.select_related("merchant", "user")
    found = memberships.filter(user=user, merchant__slug=shop).first()
    if found is not None:
        return found
    if user.is_superuser:
        merchant = Merchant.objects.filter(slug=shop).first()
        if merchant is not None:
            return Membership(user=user, merchant=merchant, role=Role.OWNER)
    raise Http404("No such shop.")


def shop_view(*, roles: Collection[str] = MAY_LOOK) -> Callable[[View[Arguments]], Callable[..., HttpResponseBase]]:
    """Let members with one of `roles` in; the view gets a ShopRequest and no `shop` argument.

    Anonymous: to the login page. Stranger: 404. Member with another role: 403. Outermost decorator of a view,
    so that the answer to a stranger never depends on the method.
    """

    def decorate(view: View[Arguments]) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def checked(
            request: HttpRequest, shop: str, *args: Arguments.args, **kwargs: Arguments.kwargs
        ) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_login(request)
            membership = membership_of(user=request.user, shop=shop)
            if membership.role not in roles:
                raise PermissionDenied(f"This needs another role than {membership.get_role_display()}.")
            if "%00" in request.META.get("QUERY_STRING", ""):
                raise BadRequest("No text has a NUL in it, and PostgreSQL takes none.")
            let_in(request, membership)
            response = view(cast(ShopRequest, request), *args, **kwargs)
            if response.status_code == 405 and request.method == "GET":
                response = _only_takes_forms(request, allowed=response["Allow"])
            patch_vary_headers(response, ["HX-Request"])
            return response

        checked.is_shop_view = True  # type: ignore[attr-defined]
        return checked

    return decorate


def let_in(request: HttpRequest, membership: Membership) -> None:
    """Make the request one of this shop, for the view and for the frame around its page."""
    shop_request = cast(ShopRequest, request)
    shop_request.membership = membership
    shop_request.merchant = membership.merchant
    shop_request.actor = membership.user
    shop_request.may_manage = membership.role in MAY_MANAGE


def _only_takes_forms(request: HttpRequest, *, allowed: str) -> HttpResponse:
    """A page with a way out: people get here by a reload, a bookmark, a theme changed between question and answer."""
    page = render(request, "405.html", status=405)
    page["Allow"] = allowed
    return page


def _to_login(request: HttpRequest) -> HttpResponse:
    """The login page; for a part of a page the whole page must go there, not the part. Then back: after a form, which
    is lost, to the page it was on."""
    there = request.get_full_path()
    if request.method not in ("GET", "HEAD"):
        page = request.headers.get("Referer", "")
        hosts = {request.get_host()}
        is_ours = url_has_allowed_host_and_scheme(page, allowed_hosts=hosts, require_https=request.is_secure())
        there = page if is_ours else reverse("home")
    response = redirect_to_login(there)
    if getattr(request, "htmx", None):
        return HttpResponseClientRedirect(response.url)
    return response


def wants_partial(request: HttpRequest) -> bool:
    """Whether only the part is asked for: by HTMX, no boosted link, not for the history."""
    htmx = cast("HtmxDetails | None", getattr(request, "htmx", None))
    return bool(htmx) and htmx is not None and not htmx.boosted and not htmx.history_restore_request


def one_of(rows: QuerySet[ModelRow], *, merchant: Merchant, **lookup: object) -> ModelRow:
    """The merchant's one row that the lookup names. Raises Http404, for another merchant's row too."""
    return get_object_or_404(rows, merchant=merchant, **lookup)

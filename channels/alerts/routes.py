"""Where alerts go: each member's e-mail, the shop's webhooks; when one may be told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from channels import credentials
from channels.alerts.models import AlertRoute
from channels.own import endpoints
from storestudio.accounts import audit
from storestudio.accounts.models import Membership, Merchant, User

CannotKeep = endpoints.CannotKeep
WEBHOOKS_MAX = 10
# Who is told unless they say otherwise. StoreStudio's staff look after many shops: they choose.
TOLD_BY_DEFAULT = (Membership.Role.OWNER, Membership.Role.MANAGER)


def make_up() -> None:
    """Give each member that has none the route to their e-mail; on for those who decide."""
    missing = Membership.objects.filter(alert_route=None).order_by("pk")
    AlertRoute.objects.bulk_create(
        [
            AlertRoute(
                merchant_id=one.merchant_id, channel=AlertRoute.Channel.EMAIL, membership=one,
                is_on=one.role in TOLD_BY_DEFAULT,
            )
            for one in missing
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def of_member(membership: Membership) -> AlertRoute | None:
    """A member's own e-mail; None for an admin who is no member."""
    if membership.pk is None:
        return None
    make_up()
    found: AlertRoute = AlertRoute.objects.get(membership=membership)
    return found


def change(*, route: AlertRoute, settings: Mapping[str, Any], actor: User) -> None:
    """Set what is told on a route, and when."""
    with transaction.atomic():
        AlertRoute.objects.filter(pk=route.pk).update(**settings)
        audit.record(
            actor=actor, merchant=route.merchant, action="alerts.changed", target=route,
            summary=f"alerts by {route.get_channel_display().lower()} to {name_of(route)}",
        )  # fmt: skip


def copy_to_other_shops(*, route: AlertRoute, actor: User) -> int:
    """Set a person's routes in all their shops as this one; returns how many others. Only their own."""
    make_up()
    names = ("is_on", "thresholds", "pace", "quiet_from", "quiet_until", "breaks_through", "tells_closing")
    others = AlertRoute.objects.filter(membership__user=actor).exclude(pk=route.pk)
    return others.update(**{name: getattr(route, name) for name in names})


def add_webhook(*, merchant: Merchant, label: str, url: str, actor: User) -> AlertRoute:
    """Add an address that takes Slack's JSON. Raises CannotKeep."""
    endpoints.checked_url(url)
    with transaction.atomic():
        mine = AlertRoute.objects.of(merchant).filter(channel=AlertRoute.Channel.WEBHOOK, removed_at=None)
        if mine.count() >= WEBHOOKS_MAX:
            raise CannotKeep(f"A shop has {WEBHOOKS_MAX} webhooks for alerts at most.")
        kid, address = credentials.seal({"url": url})
        route = AlertRoute.objects.create(
            merchant=merchant, channel=AlertRoute.Channel.WEBHOOK, label=label, address=address, address_kid=kid,
            host=urlsplit(url).hostname or "",
        )  # fmt: skip
        audit.record(
            actor=actor, merchant=merchant, action="alerts.webhook_added", target=route,
            summary=f"alerts go to {label} ({route.host})",
        )  # fmt: skip
    return route


def remove(*, route: AlertRoute, actor: User) -> None:
    """Tell a webhook nothing more; its log stays."""
    with transaction.atomic():
        AlertRoute.objects.filter(pk=route.pk).update(is_on=False, removed_at=timezone.now())
        audit.record(
            actor=actor, merchant=route.merchant, action="alerts.webhook_removed", target=route,
            summary=f"alerts no longer go to {route.label} ({route.host})",
        )  # fmt: skip


def url_of(route: AlertRoute) -> str:
    """A webhook's address. Raises credentials.UnknownKey."""
    return str(credentials.unseal(route.address_kid, bytes(route.address or b""))["url"])


def rotate() -> int:
    """Encrypt every address anew that is not under the newest key; returns how many. Raises credentials.UnknownKey."""
    newest = credentials.newest_kid()
    old = list(AlertRoute.objects.filter(address__isnull=False).exclude(address_kid=newest).order_by("pk"))
    for route in old:
        kid, address = credentials.seal({"url": url_of(route)})
        AlertRoute.objects.filter(pk=route.pk).update(address=address, address_kid=kid)
    return len(old)


def name_of(route: AlertRoute) -> str:
    """Where it goes, in words."""
    if route.membership is not None:
        return route.membership.user.email
    return f"{route.label} ({route.host})"


def may_be_told_at(route: AlertRoute, *, is_urgent: bool, now: datetime) -> datetime:
    """Now, or the end of the quiet hours of the shop's clock that now lies in."""
    if route.quiet_from is None or route.quiet_until is None or (is_urgent and route.breaks_through):
        return now
    zone = ZoneInfo(route.merchant.timezone)
    local = now.astimezone(zone)
    clock, begins, ends = local.time().replace(tzinfo=None), route.quiet_from, route.quiet_until
    is_quiet = begins <= clock < ends if begins <= ends else clock >= begins or clock < ends
    if not is_quiet:
        return now
    day = local.date() if clock < ends else local.date() + timedelta(days=1)
    return datetime.combine(day, ends, tzinfo=zone).astimezone(now.tzinfo)

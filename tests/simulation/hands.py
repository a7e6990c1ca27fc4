"""What merchants do at each vendor beyond trading: withdraw our access, let us in again, close a place and open it.

Trading itself is the contract suite's (tests/contract/adapters). A channel joins the simulation with a class here.
"""

from __future__ import annotations

from typing import Any, Protocol

from django.db import transaction
from django.utils import timezone

from channels.sandbox.lightspeed import accounts as lightspeed_accounts
from channels.sandbox.lightspeed import models as lightspeed
from channels.sandbox.shopify import models as shopify
from channels.sandbox.shopify import webhooks as shopify_webhooks
from channels.sandbox.square import accounts as square_accounts
from channels.sandbox.square import events as square_events
from channels.sandbox.square import models as square
from channels.sandbox.woocommerce import accounts as woocommerce_accounts
from channels.sandbox.woocommerce import models as woocommerce
from tests.contract.adapters import Shop, ShopVariant


class Hands(Protocol):
    """Each call commits before it returns. `cancelling_frees`: a cancelled order's units are for sale again by that.

    `closes_places`: a place can be closed there and opened again; `set_active` is asked of no other.
    """

    cancelling_frees: bool
    closes_places: bool

    def serves(self, *, shop: Shop, variant: ShopVariant, location_id: str, units: int) -> bool:
        """Whether the vendor would sell so many from that very place now, rather than from another or not at all."""

    def own_secrets(self, *, shop: Shop) -> dict[str, Any]:
        """Credentials for the studio alone, apart from those that customers' calls are made with."""

    def revoke(self, *, shop: Shop) -> None:
        """The merchant takes the studio's access away."""

    def let_in(self, *, shop: Shop) -> dict[str, Any]:
        """The merchant connects the studio again: new secrets."""

    def set_active(self, *, shop: Shop, location_id: str, is_active: bool) -> None:
        """The merchant closes a place, or opens it again."""


class Square:
    # The order is paid and stays so, and its units are off the count, until they are refunded and put back.
    cancelling_frees = False
    closes_places = True

    def serves(self, *, shop: Shop, variant: ShopVariant, location_id: str, units: int) -> bool:
        return True  # a till sells what is in the hand

    def own_secrets(self, *, shop: Shop) -> dict[str, Any]:
        return dict(shop.account.credentials)  # customers use the personal token, which is no OAuth token

    @transaction.atomic
    def revoke(self, *, shop: Shop) -> None:
        square_accounts.revoke(account=self._seller(shop))

    @transaction.atomic
    def let_in(self, *, shop: Shop) -> dict[str, Any]:
        seller = self._seller(shop)
        scopes = list(seller.tokens.filter(kind=square.AccessToken.Kind.OAUTH).latest("pk").scopes)
        access, refresh = square_accounts.issue_tokens(account=seller, scopes=scopes, now=timezone.now())
        return {"access_token": access.token, "refresh_token": refresh.token}

    @transaction.atomic
    def set_active(self, *, shop: Shop, location_id: str, is_active: bool) -> None:
        square.Location.objects.filter(pk=location_id).update(status="ACTIVE" if is_active else "INACTIVE")
        data = {"type": "Location", "id": location_id}
        square_events.emit(account=self._seller(shop), type_="location.updated", data=data, location_id=location_id)

    def _seller(self, shop: Shop) -> square.Account:
        return square.Account.objects.get(pk=shop.account.account_id)


class Shopify:
    cancelling_frees = True
    closes_places = True

    def serves(self, *, shop: Shop, variant: ShopVariant, location_id: str, units: int) -> bool:
        # Orders go to the first place that has all, and are moved from there to the one that was meant.
        item = int(variant.inventory_id.rsplit("/", 1)[1])
        places = {int(gid.rsplit("/", 1)[1]) for gid in (shop.location_ids[0], location_id)}
        levels = shopify.InventoryLevel.objects.filter(item=item, location__is_active=True, available__gte=units)
        return levels.filter(location__in=places).count() == len(places)

    def own_secrets(self, *, shop: Shop) -> dict[str, Any]:
        token = shopify.Token.objects.create(shop=self._owner(shop))
        return dict(shop.account.credentials) | {"access_token": token.value}

    @transaction.atomic
    def revoke(self, *, shop: Shop) -> None:
        """As an uninstall, but for the token that customers' calls are made with."""
        owner = self._owner(shop)
        shopify_webhooks.emit(shop=owner, topic="APP_UNINSTALLED", payload={"id": owner.pk, "domain": owner.domain})
        owner.subscriptions.all().delete()
        theirs = owner.tokens.filter(revoked_at=None).exclude(value=shop.account.credentials["access_token"])
        theirs.update(revoked_at=timezone.now())
        shopify.App.objects.filter(shop=owner).update(client_secret="withdrawn")

    @transaction.atomic
    def let_in(self, *, shop: Shop) -> dict[str, Any]:
        owner = self._owner(shop)
        secret = shop.account.credentials["client_secret"]
        shopify.App.objects.filter(shop=owner).update(client_secret=secret)
        token = shopify.Token.objects.create(shop=owner)
        return {"access_token": token.value, "client_secret": secret}

    @transaction.atomic
    def set_active(self, *, shop: Shop, location_id: str, is_active: bool) -> None:
        place = shopify.Location.objects.get(pk=int(location_id.rsplit("/", 1)[1]))
        place.is_active, place.deactivated_at = is_active, None if is_active else timezone.now()
        place.save()
        topic = "LOCATIONS_ACTIVATE" if is_active else "LOCATIONS_DEACTIVATE"
        shopify_webhooks.emit(shop=self._owner(shop), topic=topic, payload={"id": place.pk, "name": place.name})

    def _owner(self, shop: Shop) -> shopify.Shop:
        return shopify.Shop.objects.get(domain=shop.account.account_id)


class Lightspeed:
    cancelling_frees = True
    closes_places = False

    def serves(self, *, shop: Shop, variant: ShopVariant, location_id: str, units: int) -> bool:
        return True  # a till sells what is in the hand

    def own_secrets(self, *, shop: Shop) -> dict[str, Any]:
        return dict(shop.account.credentials)  # customers use the owner's personal token

    def revoke(self, *, shop: Shop) -> None:
        lightspeed_accounts.revoke(retailer=self._retailer(shop))

    @transaction.atomic
    def let_in(self, *, shop: Shop) -> dict[str, Any]:
        scopes = list(lightspeed_accounts.SCOPES)
        access, refresh = lightspeed_accounts.issue(retailer=self._retailer(shop), scopes=scopes, now=timezone.now())
        return {"access_token": access.value, "refresh_token": refresh.value}

    def set_active(self, *, shop: Shop, location_id: str, is_active: bool) -> None:
        raise NotImplementedError("an outlet is there or deleted")

    def _retailer(self, shop: Shop) -> lightspeed.Retailer:
        return lightspeed.Retailer.objects.get(pk=shop.account.account_id)


class WooCommerce:
    cancelling_frees = True
    closes_places = False

    def serves(self, *, shop: Shop, variant: ShopVariant, location_id: str, units: int) -> bool:
        # The shop's pages sell what it has; its REST API, which orders are made through here, asks nobody.
        number = int(variant.listing_id.rpartition("/")[2])
        return woocommerce.Product.objects.filter(pk=number, stock_quantity__gte=units).exists()

    @transaction.atomic
    def own_secrets(self, *, shop: Shop) -> dict[str, Any]:
        return self.let_in(shop=shop)

    @transaction.atomic
    def revoke(self, *, shop: Shop) -> None:
        """The owner deletes the key made for us; webhooks belong to the shop and go on."""
        self._site(shop).keys.exclude(consumer_key=shop.account.credentials["consumer_key"]).delete()

    @transaction.atomic
    def let_in(self, *, shop: Shop) -> dict[str, Any]:
        key = woocommerce_accounts.add_key(self._site(shop))
        return {"consumer_key": key.consumer_key, "consumer_secret": key.consumer_secret}

    def set_active(self, *, shop: Shop, location_id: str, is_active: bool) -> None:
        raise NotImplementedError("a site knows one stock")

    def _site(self, shop: Shop) -> woocommerce.Site:
        return woocommerce.Site.objects.get(pk=shop.account.account_id)


HANDS: dict[str, Hands] = {
    "square": Square(),
    "shopify": Shopify(),
    "lightspeed": Lightspeed(),
    "woocommerce": WooCommerce(),
}

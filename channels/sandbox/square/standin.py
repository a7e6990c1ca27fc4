"""Our hands on Square's stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from channels.models import ChannelLocation, Connection, Listing
from channels.sandbox import bringup, goods
from channels.sandbox.square import accounts
from channels.sandbox.square.models import Account, InventoryCount
from storestudio.accounts.models import Merchant, User


class SquareStandIn:
    """See channels.sandbox.standins."""

    label = "Square till"

    def open_account(self, *, merchant: Merchant, places: Sequence[str], goods: Sequence[goods.Goods]) -> Account:
        """A seller of its own."""
        account = accounts.create_account(
            name=merchant.name, locations=list(places), currency=merchant.currency, country="GB",
            timezone_name=merchant.timezone,
        )  # fmt: skip
        _load(account, goods)
        return account

    def connect(self, merchant: Merchant, account: Account, actor: User) -> Connection:
        """With the application's own token for webhooks."""
        return bringup.connect_till(merchant, account, actor)

    def describe(self, connection: Connection) -> Mapping[str, str]:
        """Square's SDK takes both as they are."""
        account = Account.objects.get(pk=connection.account_id)
        return {"base_url": connection.base_url, "access_token": account.personal_token}

    def name_place(self, place: ChannelLocation) -> Mapping[str, str]:
        """A location."""
        return {"square_id": place.external_id}

    def name_listing(self, listing: Listing) -> Mapping[str, str]:
        """A variation."""
        return {"square_id": listing.external_id}

    def shown(self, connection: Connection) -> Mapping[tuple[str, str], Decimal]:
        """IN_STOCK counts."""
        counts = InventoryCount.objects.filter(account=connection.account_id, state="IN_STOCK")
        return {
            (item, place): quantity
            for item, place, quantity in counts.values_list("catalog_object_id", "location_id", "quantity")
        }


def _load(account: Account, stock: Sequence[goods.Goods]) -> None:
    goods.load_till(account, base_url=bringup.till_url(), goods=stock)


STAND_IN = SquareStandIn()

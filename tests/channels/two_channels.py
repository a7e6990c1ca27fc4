"""A till and a web shop, the vendors' stand-ins over real HTTP, for what people ask channels to do with orders."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from channels import commands, inbox
from channels.models import ChannelCommand, Connection
from channels.ports import LineMove, MoveUnits
from channels.sandbox import bringup, deliveries
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.shopify.models import ProductVariant, Shop
from channels.sandbox.square.models import Account
from inventory.models import Order, StockLevel
from storestudio.accounts.models import Merchant, User
from tests.sandbox.shopify_sales import ShopifySales
from tests.sandbox.square_shop import SquareShop

PLACES = ("High Street", "Market")


class TwoChannels:
    """Twenty of each thing at each of two places, sold at a till and a web shop."""

    def __init__(self, *, server_url: str) -> None:
        goods = [
            Goods(sku.lower(), sku, [GoodsVariant(sku, Decimal(9), counts=dict.fromkeys(PLACES, 20))])
            for sku in ("MUG", "BOWL")
        ]
        self.merchant = Merchant.objects.create(name="Corner", slug="corner")
        self.owner = User.objects.create_user("o@corner.example")
        self.pair = bringup.bring_up(
            merchant=self.merchant, actor=self.owner, goods=goods, places=PLACES, domain="corner.myshopify.com",
            say=lambda words: None,
        )  # fmt: skip
        self.web = ShopifySales(server_url=server_url, shop=Shop.objects.get())
        self.till = SquareShop(server_url=server_url, account=Account.objects.get())

    def variant(self, sku: str) -> ProductVariant:
        return ProductVariant.objects.get(item__sku=sku)

    def hear(self) -> None:
        """Deliver what the vendors have to tell, and apply it."""
        with ThreadPoolExecutor(1) as pool:
            deliveries.send_due(pool=pool)
        for connection in (self.pair.till, self.pair.web):
            inbox.process(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=5))

    def order_of(self, vendor_order: Any) -> Order:
        self.hear()
        return Order.objects.get(external_id=vendor_order["id"] if isinstance(vendor_order, dict) else vendor_order.id)

    def work(self, connection: Connection | None = None) -> int:
        connection = connection or self.pair.web
        return commands.carry_out(connection_id=connection.pk, until=timezone.now() + timedelta(seconds=5))

    def levels(self, sku: str) -> list[tuple[int, int]]:
        """(on hand, committed) at each place."""
        rows = StockLevel.objects.filter(variant__sku=sku).order_by("location__name")
        return [(int(level.on_hand), int(level.committed)) for level in rows]

    def move(self, order: Order, units: int, *, key: uuid.UUID | None = None) -> ChannelCommand:
        line = order.lines.get()
        action = MoveUnits(
            order.external_id, self.web.street.gid, self.web.market.gid, [LineMove(line.external_id, Decimal(units))]
        )
        return self.ask(order, action, key=key)

    def ask(self, order: Order, action: Any, *, key: uuid.UUID | None = None) -> ChannelCommand:
        return commands.ask(
            order=order, action=action, words="as asked", key=key or uuid.uuid4(), actor=self.owner
        )  # fmt: skip

    def lease_runs_out(self) -> None:
        ChannelCommand.objects.update(next_attempt_at=timezone.now())


def state(command: ChannelCommand) -> str:
    """As the database has it now."""
    command.refresh_from_db()
    return command.state

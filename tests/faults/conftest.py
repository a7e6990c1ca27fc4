from datetime import timedelta

import pytest
from django.utils import timezone

from channels.models import ChannelStock, Connection, InboundEvent
from channels.sandbox import bringup
from channels.sandbox.goods import Goods, GoodsVariant
from storestudio.accounts.models import Merchant, User

PLACE = "High Street"


@pytest.fixture
def pair(live_server, settings):
    """A live shop at both stand-ins: three mugs, ten of each."""
    settings.ROOT_URLCONF = "channels.sandbox.bench_urls"
    settings.SANDBOX_URL = settings.PUBLIC_URL = live_server.url
    merchant = Merchant.objects.create(name="Shop", slug="shop")
    owner = User.objects.create_user("owner@example.com")
    goods = [Goods(f"mug-{n}", f"Mug {n}", [GoodsVariant(f"MUG-{n}", 9, counts={PLACE: 10})]) for n in range(3)]
    return bringup.bring_up(
        merchant=merchant, actor=owner, goods=goods, places=[PLACE], domain="shop.myshopify.com", say=lambda words: None
    )


@pytest.fixture
def later():
    """Time passes: rests, pauses and graces are over."""

    def pass_():
        past = timezone.now() - timedelta(seconds=1)
        InboundEvent.objects.update(next_attempt_at=past)
        Connection.objects.update(resting_until=None)
        ChannelStock.objects.exclude(recheck_at=None).update(recheck_at=past)
        ChannelStock.objects.exclude(next_attempt_at=None).update(next_attempt_at=past)

    return pass_

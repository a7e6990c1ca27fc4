"""The contract suite's shops: one fresh account a test, for every channel of the registry, over real HTTP."""

from __future__ import annotations

from importlib import import_module

import pytest

from channels import registry
from channels.ports import Connector
from tests.contract.adapters import Adapter, Shop

WEBHOOK_URL = "https://studio.example.com/webhooks/contract/a-token"


@pytest.fixture(params=sorted(registry.CHANNELS))
def channel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def adapter(channel: str) -> Adapter:
    """Every channel has one: a channel that the suite does not run over is not done."""
    return import_module(f"tests.contract.adapters.{channel}").ADAPTER  # type: ignore[no-any-return]


@pytest.fixture
def shop(adapter: Adapter, live_server, settings) -> Shop:
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    return adapter.open_shop(server_url=live_server.url, webhook_url=WEBHOOK_URL)


@pytest.fixture
def connector(channel: str, shop: Shop) -> Connector:
    return registry.connect(channel, account=shop.account)

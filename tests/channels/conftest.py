"""What tests of this room share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.channels.two_channels import TwoChannels


@pytest.fixture
def shop(live_server: Any, settings: Any) -> TwoChannels:
    """A shop with a till and a web shop, for tests that name none of their own. They commit."""
    settings.ROOT_URLCONF = "tests.simulation.urls"
    settings.SANDBOX_URL = settings.PUBLIC_URL = live_server.url
    return TwoChannels(server_url=live_server.url)

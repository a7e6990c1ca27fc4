"""The test suite's own guard, and its control."""

import socket

import pytest


def test_a_test_cannot_reach_another_machine() -> None:
    # 192.0.2.0/24 is set aside for documentation: nothing is there.
    with pytest.raises(RuntimeError, match="may not connect"), socket.socket() as wire:
        wire.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match="may not connect"):
        socket.create_connection(("192.0.2.1", 443), timeout=1)


def test_a_test_can_reach_this_machine() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        socket.create_connection(server.getsockname(), timeout=1).close()

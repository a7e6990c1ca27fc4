"""Pages about channels: Today and the pulse, the list of channels, a connection's page and its buttons."""

from channels.views.connection import channel, channels, listings, messages, writes
from channels.views.setup import (
    approve,
    discard_message,
    pause,
    places,
    preview,
    replay_message,
    resolve_drift,
    resume,
    retry_cell,
)
from channels.views.today import pulse, today

__all__ = [
    "approve",
    "channel",
    "channels",
    "discard_message",
    "listings",
    "messages",
    "pause",
    "places",
    "preview",
    "pulse",
    "replay_message",
    "resolve_drift",
    "resume",
    "retry_cell",
    "today",
    "writes",
]

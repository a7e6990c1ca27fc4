"""Pages about channels: Today and the pulse, the list of channels, a connection's page and its buttons."""

from channels.views.today import pulse, today

__all__ = ["pulse", "today"]

"""Read models for pages: is everything in lockstep, how long does news take, what waits, what needs a person.

Each function costs a fixed number of queries, whatever the number of connections, cells or events.
"""

from channels.health.lag import Charted, Spread, charts, lags
from channels.health.needs import Need, needs
from channels.health.sales import Sales, sales_today
from channels.health.state import ChannelLine, Pulse, lines, pulse, sentence

__all__ = [
    "ChannelLine",
    "Charted",
    "Need",
    "Pulse",
    "Sales",
    "Spread",
    "charts",
    "lags",
    "lines",
    "needs",
    "pulse",
    "sales_today",
    "sentence",
]

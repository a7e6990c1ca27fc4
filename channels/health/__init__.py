"""Read models for pages: is everything in lockstep, how long does news take, what waits, what needs a person.

Each function costs a fixed number of queries, whatever the number of connections, cells or events.
"""

from channels.health.budget import PROMISED_S, SHARE, Budget, budgets
from channels.health.fleet import FleetLine, fleet_lines
from channels.health.lag import Charted, Spread, charts, lags
from channels.health.needs import Need, need_of, needs
from channels.health.rates import Rate, rates
from channels.health.sales import Sales, sales_today
from channels.health.state import ChannelLine, Pulse, lines, pulse, sentence

__all__ = [
    "PROMISED_S",
    "SHARE",
    "Budget",
    "ChannelLine",
    "Charted",
    "FleetLine",
    "Need",
    "Pulse",
    "Rate",
    "Sales",
    "Spread",
    "budgets",
    "charts",
    "fleet_lines",
    "lags",
    "lines",
    "need_of",
    "needs",
    "pulse",
    "rates",
    "sales_today",
    "sentence",
]

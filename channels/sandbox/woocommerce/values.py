"""How WooCommerce writes times and money."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from channels.sandbox import faults

Json = dict[str, Any]
CENT = Decimal("0.01")


def site_offset() -> timedelta:
    """How far the shop's clock is ahead of UTC. Dates without `_gmt` are the shop's own, with no zone said."""
    return timedelta(hours=float(faults.switch("woocommerce.utc_offset_h", 1)))


def stamps(name: str, moment: datetime | None) -> Json:
    """`date_x` in the site's time and `date_x_gmt`, neither with a zone."""
    if moment is None:
        return {f"date_{name}": None, f"date_{name}_gmt": None}
    utc = moment.astimezone(UTC)
    return {f"date_{name}": text_of(utc + site_offset()), f"date_{name}_gmt": text_of(utc)}


def text_of(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def money(amount: Decimal | None) -> str:
    return "" if amount is None else str(amount.quantize(CENT))

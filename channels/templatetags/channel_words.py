"""Small words about channel rows for templates."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from channels.models import ChannelStock, InboundEvent, Listing, StockGap
from storestudio.accounts.models import Merchant

register = template.Library()


@register.filter
def applied_in(event: InboundEvent) -> float | None:
    """Seconds from the channel's own clock (or our receipt) to our ledger."""
    if event.applied_at is None:
        return None
    return max((event.applied_at - (event.occurred_at or event.received_at)).total_seconds(), 0.0)


@register.filter
def was_us(event: InboundEvent) -> bool:
    """Whether the event turned out to be the echo of a write of ours."""
    return "this was us" in event.outcome


@register.filter
def drift_of(cell: ChannelStock) -> Decimal | None:
    """Units by which the channel's number differs from what we believe it shows."""
    if cell.observed is None or cell.expected is None:
        return None
    return Decimal(cell.observed - cell.expected)


@register.filter
def change_of(line: Any) -> Decimal | None:
    """Units by which a previewed number would change; None where the channel has told none yet."""
    return None if line.before is None else Decimal(line.after - line.before)


_CODE = re.compile(r"`([^`]+)`")


@register.filter
def prose(text: str) -> SafeString:
    """Text as a document has it: blank lines part paragraphs, backticks hold code; other breaks mean nothing."""
    shown = [_CODE.sub(r"<code>\1</code>", escape(" ".join(part.split()))) for part in text.split("\n\n")]
    return format_html_join("\n", "<p>{}</p>", ((mark_safe(part),) for part in shown if part))  # noqa: S308  escaped


HEX_BYTES_MAX = 2048


@register.filter
def hex_dump(body: bytes | memoryview) -> str:
    """Bytes as people read them when they are no text: offset, hex, and what is printable; the first 2 KB."""
    data = bytes(body)[:HEX_BYTES_MAX]
    rows = []
    for start in range(0, len(data), 16):
        chunk = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in chunk)
        rows.append(f"{start:04x}  {chunk.hex(' '):<47}  {text}")
    return "\n".join(rows)


FLAGS = {
    "drop_to_zero": ("bad", "drops to 0"),
    "big_rise": ("warn", "big rise"),
    "newly_sellable": ("warn", "becomes sellable"),
    "not_counted": ("", "never counted here: left alone"),
    "not_told": ("", "a rule says not to count it: left alone"),
    "unknown_there": ("", "no number there: left alone"),
}


GAP_WORDS = {
    StockGap.Cause.MISSED_WEBHOOK: "Order {order} explains it. No message of it had come; the order list has it.",
    StockGap.Cause.LATE: "Order {order} explains it. Its message came late.",
    StockGap.Cause.ECHO: "Our own number had arrived, and only its answer was lost.",
    StockGap.Cause.MANUAL_EDIT: "It says: {change}{by}.",
    StockGap.Cause.OTHER_APP: "It says: {change}{app}.",
    StockGap.Cause.AUTO_ADD: "The till sold what it had not (order {order}) and added it by itself.",
    StockGap.Cause.UNIT_MISMATCH: "One number is the other in packs of {factor}.",
    StockGap.Cause.CLAMPED: "Its own sales took it to {below}; it does not count below 0.",
    StockGap.Cause.UNKNOWN: "Nothing it tells us explains it.",
}


@register.simple_tag
def gap_words(gap: StockGap) -> str:
    """The evidence for the cause of a disagreement, in a sentence."""
    evidence = gap.evidence
    if gap.state == StockGap.State.OPEN and gap.cause == StockGap.Cause.UNKNOWN:
        return "Seen just now; it may be news on its way."
    if gap.cause == StockGap.Cause.LINK_BROKEN:
        if evidence.get("gone"):
            anew = " It is listed anew, and linked again." if gap.deed == StockGap.Deed.RELINKED else ""
            return f"The listing is not there any more.{anew}"
        return f"The listing was {evidence.get('sku_was')} and is {evidence.get('sku_is')} now."
    if gap.cause == StockGap.Cause.OTHER_APP and evidence.get("overwritten"):
        return f"Our number was sent {evidence['overwritten']} times and written over each time."
    by, app = evidence.get("by"), evidence.get("app")
    return GAP_WORDS[StockGap.Cause(gap.cause)].format(
        order=evidence.get("order", "?"), change=evidence.get("change", "changed"), factor=evidence.get("factor"),
        by=f", by {by}" if by else "", app=f", by {app}" if app else "", below=evidence.get("below"),
    )  # fmt: skip


@register.simple_tag
def preview_flag(flag: str) -> SafeString:
    """Why a line of the preview is worth a look, in words."""
    kind, words = FLAGS.get(flag, ("warn", flag.replace("_", " ")))
    return format_html('<span class="tag{}">{}</span>', f" tag-{kind}" if kind else "", words)


@register.simple_tag
def variant_link(merchant: Merchant, listing: Listing, with_sku: bool = True) -> SafeString:
    """The goods behind a listing: their title, linked to their page where they are linked to ours."""
    title = f"{listing.product_title} · {listing.title}" if listing.title else listing.product_title
    sku = format_html('<span class="cell-sub mono">{}</span>', listing.sku) if listing.sku and with_sku else ""
    try:
        address = reverse("variant", args=[merchant.slug, listing.variant_id]) if listing.variant_id else ""
    except NoReverseMatch:
        address = ""
    if not address:
        return format_html("{}{}", title or "No title", sku)
    return format_html('<a href="{}">{}</a>{}', address, title or "No title", sku)

"""Keeps every channel cell's desired number true, and sends what is due: decreases first, each write once."""

from inventory import changes


def on_stock_changed(posting: changes.Posting) -> None:
    """Recompute `desired` of the touched cells inside the posting's transaction."""

"""WordPress's errors: `{"code", "message", "data": {"status", …}}` with the same HTTP status."""

from typing import Any


class WooError(Exception):
    """What the caller is told; everything the call did is undone."""

    def __init__(self, code: str, message: str, *, status: int = 400, **data: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.body = {"code": code, "message": message, "data": {"status": status, **data}}


def invalid_param(name: str, words: str) -> WooError:
    return WooError("rest_invalid_param", f"Invalid parameter(s): {name}", params={name: words}, details={})


def number_of(value: Any) -> int:
    """An id as given; 0, which nothing has, for anything that is no number."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else 0


def unknown(kind: str, *, status: int = 404) -> WooError:
    """`kind` as WooCommerce names it: product, shop_order, …"""
    return WooError(f"woocommerce_rest_{kind}_invalid_id", "Invalid ID.", status=status)


def unauthorized(words: str, *, code: str = "woocommerce_rest_authentication_error") -> WooError:
    return WooError(code, words, status=401)


def too_many() -> WooError:
    """WooCommerce itself counts no calls; the hosts before it do."""
    return WooError("too_many_requests", "Too many requests.", status=429)


def server_error() -> WooError:
    words = "There has been a critical error on this website."
    return WooError("internal_server_error", words, status=500)

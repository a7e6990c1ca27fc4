from typing import Any

from allauth.account.adapter import DefaultAccountAdapter


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Shops are opened by StoreStudio's staff: nobody signs up by themselves."""

    def is_open_for_signup(self, request: Any) -> bool:
        """Never."""
        return False

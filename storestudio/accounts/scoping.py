"""One merchant never sees another's row: scoped managers, by construction.

Every row of a shop has a `merchant`; its model derives from `MerchantOwned`, whose manager offers `of(merchant)`
as the only way pages reach rows. tests/platform/test_scoping.py walks every address with a stranger's account.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models

if TYPE_CHECKING:
    from storestudio.accounts.models import Merchant


class MerchantQuerySet(models.QuerySet[Any]):
    """Rows of shops; `of(merchant)` comes first in every page's query."""

    def of(self, merchant: Merchant) -> Self:
        """Only this merchant's rows."""
        return self.filter(merchant=merchant)


class MerchantOwned(models.Model):
    """A row that belongs to exactly one merchant."""

    merchant = models.ForeignKey("accounts.Merchant", on_delete=models.PROTECT, related_name="+")

    objects = MerchantQuerySet.as_manager()

    class Meta:
        abstract = True

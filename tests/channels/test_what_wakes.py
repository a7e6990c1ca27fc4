"""What the dispatcher wakes workers for: what they would do, and nothing they would leave lying."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from channels import dispatcher, publisher
from channels.models import ChannelLocation, ChannelStock, ConnectionWork, Listing
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

LATER = timezone.now().replace(year=2100)
# Each leaves a number that differs untold.
UNTOLD: dict[str, tuple[QuerySet[Any], dict[str, object]]] = {
    "blocked": (ChannelStock.objects.all(), {"blocked_reason": "no"}),
    "in doubt": (ChannelStock.objects.all(), {"drift_at": timezone.now()}),
    "not mentioned": (ChannelStock.objects.all(), {"missing_at": timezone.now()}),
    "later": (ChannelStock.objects.all(), {"next_attempt_at": LATER}),
    "as it should be": (ChannelStock.objects.all(), {"desired": Decimal(5)}),
    "not linked": (Listing.objects.all(), {"link": Listing.Link.UNLINKED, "variant": None}),
    "not tracked": (Listing.objects.all(), {"is_tracked": False}),
    "deleted": (Listing.objects.all(), {"deleted_at": timezone.now()}),
    "a closed place": (ChannelLocation.objects.all(), {"is_active": False}),
}


@pytest.fixture
def cell():
    connection = factories.ConnectionFactory(is_live=True)
    ConnectionWork.objects.create(connection=connection, kind=ConnectionWork.Kind.PUBLISH)
    return factories.ChannelStockFactory(connection=connection, desired=Decimal(4), dirty_at=timezone.now())


def wakes(cell) -> bool:
    """Whether a worker would be woken to tell it; the lease is not kept."""
    with transaction.atomic():
        due = dispatcher.take_due()
        transaction.set_rollback(True)
    is_due = publisher.due_cells(cell.connection, now=timezone.now()).exists()
    is_woken = any((one.connection_id, one.kind) == (cell.connection_id, "publish") for one in due)
    assert is_woken == is_due
    return is_woken


def test_a_number_that_differs_wakes_the_publisher(cell):
    assert wakes(cell)


@pytest.mark.parametrize("reason", sorted(UNTOLD))
def test_a_number_that_is_not_told_wakes_nobody(cell, reason):
    """Woken for what it would not tell, the publisher would be woken again and again."""
    rows, fields = UNTOLD[reason]
    rows.all().update(**fields)
    ChannelStock.objects.update(dirty_at=timezone.now())
    assert not wakes(cell)

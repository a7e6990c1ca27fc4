"""A hold that becomes an order from here on carries its promised days, also by code that knows nothing of it."""

from importlib import import_module
from pathlib import Path

from django.db import migrations

CARRIES = (Path(__file__).parent.parent / "sql" / "carried_days.sql").read_text()
UNDO = """
DROP TRIGGER reservation_carries_promised_days ON inventory_reservation;
DROP FUNCTION inventory_carry_promised_days();
"""
# Those that became orders between the first migration and this one; making the trigger waited for all under way.
MISSED = import_module("inventory.migrations.0004_promised_days_of_earlier_orders").CARRY + "  AND h.later IS NULL"


class Migration(migrations.Migration):
    dependencies = [("inventory", "0004_promised_days_of_earlier_orders")]

    operations = [migrations.RunSQL(CARRIES, UNDO), migrations.RunSQL(MISSED, migrations.RunSQL.noop)]

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"

UNDO = """
DROP FUNCTION inventory_end_reservations(bigint, bigint[], text, timestamptz, bigint, text, boolean);
DROP FUNCTION inventory_reserve(bigint, bigint, text, text, uuid, text, timestamptz, timestamptz, jsonb);
DROP FUNCTION inventory_hold_movements(inventory_reservationline, uuid, text, timestamptz, int, bigint, text);
DROP FUNCTION inventory_refused_by_channel(bigint, jsonb);
DROP FUNCTION IF EXISTS inventory_promised_beyond(bigint, jsonb);
"""


class Migration(migrations.Migration):
    """Holds are granted and ended in one call each."""

    dependencies = [("inventory", "0009_holds")]

    # The file is today's: columns that it names may come with a later migration.
    operations = [
        migrations.RunSQL(
            "SET LOCAL check_function_bodies = off;\n"
            + (SQL / "hold_hooks.sql").read_text()
            + (SQL / "reserve.sql").read_text(),
            UNDO,
        )
    ]

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"

UNDO = """
DROP FUNCTION inventory_post(bigint, text, bigint, boolean, jsonb);
DROP TYPE inventory_posted;
DROP FUNCTION inventory_stock_changed(bigint, jsonb);
DROP TRIGGER level_starts_empty ON inventory_stocklevel;
DROP TRIGGER level_moves_with_ledger ON inventory_stocklevel;
DROP TRIGGER movement_key_append_only ON inventory_stockmovementkey;
DROP TRIGGER movement_append_only ON inventory_stockmovement;
DROP FUNCTION inventory_refuse_silent_level();
DROP FUNCTION inventory_refuse_change();
DROP FUNCTION inventory_add_movement_months(date, int);
"""


class Migration(migrations.Migration):
    """The append-only, partitioned ledger and the one function that posts to it."""

    dependencies = [("inventory", "0001_stock"), ("accounts", "0001_accounts")]

    operations = [
        migrations.RunSQL((SQL / "ledger.sql").read_text(), UNDO),
        migrations.RunSQL((SQL / "hook.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "post.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL("SELECT inventory_add_movement_months(current_date, 4)", migrations.RunSQL.noop),
    ]

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"

UNDO = """
DROP FUNCTION channels_refresh(bigint, bigint[]);
CREATE OR REPLACE FUNCTION inventory_stock_changed(p_channel bigint, p_changes jsonb) RETURNS void
    LANGUAGE sql AS 'SELECT';
DROP FUNCTION channels_recompute(bigint[]);
DROP FUNCTION IF EXISTS channels_touched(jsonb);
DROP FUNCTION channels_pool(bigint[]);
"""


class Migration(migrations.Migration):
    """The functions that keep each channel cell's desired number true.

    The file is as it is today: what it names may come with a later migration, which reads it again.
    """

    dependencies = [("channels", "0001_channels"), ("inventory", "0003_order_returns")]

    operations = [
        migrations.RunSQL("SET LOCAL check_function_bodies = off;\n" + (SQL / "refresh.sql").read_text(), UNDO)
    ]

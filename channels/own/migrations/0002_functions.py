from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"

UNDO = """
DROP FUNCTION own_follow_catalog(bigint, bigint);
DROP TRIGGER own_hold_ended ON inventory_reservation;
DROP FUNCTION own_hold_ended();
CREATE OR REPLACE FUNCTION inventory_refused_by_channel(p_channel bigint, p_wants jsonb) RETURNS jsonb LANGUAGE sql AS
    'SELECT NULL::jsonb';
CREATE OR REPLACE FUNCTION inventory_promised_beyond(p_channel bigint, p_wants jsonb)
    RETURNS TABLE (variant_id bigint, location_id bigint, units numeric) LANGUAGE sql AS
    'SELECT NULL::bigint, NULL::bigint, NULL::numeric WHERE false';
"""


class Migration(migrations.Migration):
    """What a site may promise, what it is told when a hold ends, and what it lists."""

    dependencies = [("own", "0001_own_site"), ("inventory", "0010_hold_functions")]

    operations = [migrations.RunSQL((SQL / "own.sql").read_text(), UNDO)]

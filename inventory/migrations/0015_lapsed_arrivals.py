from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).resolve().parent.parent / "sql"
# Only what is new: the other hook has been given its body by the app that knows channels.
HOOK = """
CREATE OR REPLACE FUNCTION inventory_promised_beyond(p_channel bigint, p_wants jsonb)
RETURNS TABLE (variant_id bigint, location_id bigint, units numeric) LANGUAGE sql AS
    'SELECT NULL::bigint, NULL::bigint, NULL::numeric WHERE false';
"""


class Migration(migrations.Migration):
    """A day that is over is noticed once; holds may take what a channel may promise beyond the shelf."""

    dependencies = [("inventory", "0014_damaged_arrivals")]

    operations = [
        migrations.AddField(
            model_name="arrival",
            name="lapsed_at",
            field=models.DateTimeField(blank=True, help_text="When its day was over and it was not there.", null=True),
        ),
        migrations.RunSQL(HOOK + (SQL / "reserve.sql").read_text(), migrations.RunSQL.noop),
    ]

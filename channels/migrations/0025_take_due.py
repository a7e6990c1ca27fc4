from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """Due work is taken by a function, whose plan is kept."""

    dependencies = [("channels", "0024_caps_over_places")]

    operations = [
        migrations.RunSQL(
            (SQL / "dispatch.sql").read_text(), "DROP FUNCTION IF EXISTS channels_take_due(interval, jsonb)"
        )
    ]

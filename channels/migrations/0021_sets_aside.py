from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """Whether a shop sets units aside is asked in one place."""

    dependencies = [("channels", "0020_connection_rates")]

    operations = [migrations.RunSQL((SQL / "rules.sql").read_text(), migrations.RunSQL.noop)]

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """Bundles are published by what their parts make up, and follow every change of a part."""

    dependencies = [("channels", "0008_drift_and_guards"), ("inventory", "0011_bundles")]

    operations = [migrations.RunSQL((SQL / "refresh.sql").read_text(), migrations.RunSQL.noop)]

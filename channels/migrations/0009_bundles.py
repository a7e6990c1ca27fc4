from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"
# The files are as they are today: what they name may come with a later migration.
BODIES = "SET LOCAL check_function_bodies = off;\n"


class Migration(migrations.Migration):
    """Bundles are published by what their parts make up, and follow every change of a part."""

    dependencies = [("channels", "0008_drift_and_guards"), ("inventory", "0011_bundles")]

    operations = [migrations.RunSQL(BODIES + (SQL / "refresh.sql").read_text(), migrations.RunSQL.noop)]

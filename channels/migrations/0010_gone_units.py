from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"
# The files are as they are today: what they name may come with a later migration.
BODIES = "SET LOCAL check_function_bodies = off;\n"


class Migration(migrations.Migration):
    """Units that a channel in escrow has sold before we heard of it are offered nowhere else."""

    dependencies = [("channels", "0009_bundles")]

    operations = [migrations.RunSQL(BODIES + (SQL / "rules.sql").read_text(), migrations.RunSQL.noop)]

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"
# The files are as they are today: what they name may come with a later migration.
BODIES = "SET LOCAL check_function_bodies = off;\n"


class Migration(migrations.Migration):
    """Bundles and their parts share one pool where units are set aside; our own site is granted no unit shown elsewhere."""

    dependencies = [("channels", "0012_subscription_work")]

    operations = [
        migrations.RunSQL(BODIES + (SQL / name).read_text(), migrations.RunSQL.noop)
        for name in ("rules.sql", "refresh.sql")
    ]

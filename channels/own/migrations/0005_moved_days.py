from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """A site is told when the day of a delivery that it sells on is moved."""

    dependencies = [
        ("own", "0004_promises"),
        ("inventory", "0017_promised_lines"),
    ]

    operations = [migrations.RunSQL((SQL / "own.sql").read_text(), migrations.RunSQL.noop)]

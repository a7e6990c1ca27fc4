from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """A site's holds may take what a rule lets it promise beyond the shelf."""

    dependencies = [
        ("own", "0003_order_messages"),
        ("inventory", "0015_lapsed_arrivals"),
        ("channels", "0019_dated_promises"),
    ]

    operations = [migrations.RunSQL((SQL / "own.sql").read_text(), migrations.RunSQL.noop)]

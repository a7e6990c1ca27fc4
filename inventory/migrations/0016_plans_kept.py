from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """A posting of a few lines is planned once a session; what is expected is read by its variant."""

    dependencies = [("inventory", "0015_lapsed_arrivals")]

    operations = [
        migrations.RunSQL((SQL / name).read_text(), migrations.RunSQL.noop) for name in ("post.sql", "expected.sql")
    ]

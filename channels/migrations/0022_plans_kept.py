from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """What a few cells should show is planned once a session."""

    dependencies = [("channels", "0021_sets_aside"), ("inventory", "0016_plans_kept")]

    operations = [
        migrations.RunSQL((SQL / name).read_text(), migrations.RunSQL.noop) for name in ("rules.sql", "refresh.sql")
    ]

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """Units that a channel in escrow has sold before we heard of it are offered nowhere else."""

    dependencies = [("channels", "0009_bundles")]

    operations = [migrations.RunSQL((SQL / "rules.sql").read_text(), migrations.RunSQL.noop)]

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    """Posting follows a variant that became part of another one."""

    dependencies = [("inventory", "0007_merges_and_aliases")]

    operations = [migrations.RunSQL((SQL / "post.sql").read_text(), migrations.RunSQL.noop)]

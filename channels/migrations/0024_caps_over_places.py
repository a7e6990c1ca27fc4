from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).resolve().parent.parent / "sql"
# Numbers under a cap are worked out anew: where a channel has several places they fall, and none rises.
REFRESH = (
    "SELECT channels_refresh(NULL, (SELECT array_agg(y.cell_id) FROM channels_cellpolicy y WHERE y.cap IS NOT NULL))"
)


class Migration(migrations.Migration):
    """A cap that names no place is one for all places of a channel together."""

    dependencies = [("channels", "0023_money_given_back")]

    operations = [
        migrations.AlterField(
            model_name="availabilityrule",
            name="cap",
            field=models.DecimalField(
                blank=True,
                decimal_places=5,
                default=None,
                help_text="At most so many: on a channel, or at the place.",
                max_digits=16,
                null=True,
            ),
        ),
        migrations.RunSQL((SQL / "rules.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL(REFRESH, migrations.RunSQL.noop),
    ]

from pathlib import Path

from django.db import migrations, models

SQL = Path(__file__).resolve().parent.parent / "sql"
# Numbers that rest on a promise are worked out anew: what has no day is promised no more.
REFRESH = """
SELECT channels_refresh(NULL, (SELECT array_agg(y.cell_id) FROM channels_cellpolicy y WHERE y.oversell <> 'never'))
"""


class Migration(migrations.Migration):
    """What is promised beyond the shelf rests on what is on its way, with its days."""

    dependencies = [("channels", "0018_collisions"), ("inventory", "0015_lapsed_arrivals")]

    operations = [
        migrations.RemoveConstraint(model_name="availabilityrule", name="availabilityrule_promise_has_date"),
        migrations.AlterField(
            model_name="availabilityrule",
            name="oversell_max",
            field=models.DecimalField(
                blank=True,
                decimal_places=5,
                default=None,
                help_text="Units beyond the shelf; empty: what is on its way and has a day.",
                max_digits=16,
                null=True,
            ),
        ),
        migrations.AlterField(
            model_name="availabilityrule",
            name="promised_date",
            field=models.DateField(
                blank=True, help_text="Promised by; empty: the day of what is on its way.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="cellpolicy",
            name="oversell_until",
            field=models.DateTimeField(
                help_text="The end of the rule's day, at the shop; empty without one.", null=True
            ),
        ),
        migrations.RunSQL((SQL / "rules.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "refresh.sql").read_text(), migrations.RunSQL.noop),
        migrations.RunSQL(REFRESH, migrations.RunSQL.noop),
    ]

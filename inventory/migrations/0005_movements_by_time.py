from django.db import migrations


class Migration(migrations.Migration):
    """Find movements by when they were recorded; a block-range index, which costs the posting path next to nothing."""

    dependencies = [("inventory", "0004_stock_search")]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX movement_by_time ON inventory_stockmovement USING brin (recorded_at) WITH (pages_per_range = 16)",
            "DROP INDEX movement_by_time",
        )
    ]

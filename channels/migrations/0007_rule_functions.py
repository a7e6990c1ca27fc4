from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"

# What wakes it, not its rule: Django's tables, so triggers cannot be declared beside the models.
TRIGGERS = """
CREATE TRIGGER product_category_changed AFTER UPDATE OF category ON inventory_product FOR EACH ROW
    WHEN (OLD.category IS DISTINCT FROM NEW.category) EXECUTE FUNCTION channels_category_changed();
CREATE TRIGGER variant_product_changed AFTER UPDATE OF product_id ON inventory_variant FOR EACH ROW
    WHEN (OLD.product_id IS DISTINCT FROM NEW.product_id) EXECUTE FUNCTION channels_category_changed();
"""

UNDO = """
DROP TRIGGER variant_product_changed ON inventory_variant;
DROP TRIGGER product_category_changed ON inventory_product;
DROP FUNCTION channels_category_changed();
DROP FUNCTION channels_publishable(bigint[]);
DROP FUNCTION channels_lock_peers(bigint[]);
DROP FUNCTION channels_with_peers(bigint[]);
DROP FUNCTION channels_resolve(bigint[]);
DROP FUNCTION channels_decide(bigint[], bigint[], bigint[], bigint[]);
DROP FUNCTION channels_escrow(numeric, numeric[], numeric[]);
DROP FUNCTION channels_offer(numeric, numeric, numeric, numeric, numeric, boolean);
"""


class Migration(migrations.Migration):
    """Rules decide what each channel cell should show."""

    dependencies = [("channels", "0006_availability_rules"), ("inventory", "0010_hold_functions")]

    operations = [
        migrations.RunSQL(
            "SET LOCAL check_function_bodies = off;\n"
            + (SQL / "refresh.sql").read_text()
            + (SQL / "rules.sql").read_text()
            + TRIGGERS,
            UNDO,
        )
    ]

from django.contrib.postgres.operations import BtreeGinExtension, TrigramExtension
from django.db import migrations

# Kept outside the models' state: operator classes per column read better as the SQL they are. The merchant comes first,
# so that a search never reads the words of other shops. The expressions are those of Django's `icontains`, `contains`.
INDEXES = """
CREATE INDEX product_search ON inventory_product USING gin (merchant_id, upper(title) gin_trgm_ops);
CREATE INDEX variant_search ON inventory_variant USING gin (
    merchant_id, upper(title) gin_trgm_ops, sku_key gin_trgm_ops, gtin gin_trgm_ops);
"""


class Migration(migrations.Migration):
    """Search inside titles, SKUs and barcodes, within one shop."""

    dependencies = [("inventory", "0003_order_returns")]

    operations = [
        TrigramExtension(),
        BtreeGinExtension(),
        migrations.RunSQL(INDEXES, "DROP INDEX variant_search; DROP INDEX product_search;"),
    ]

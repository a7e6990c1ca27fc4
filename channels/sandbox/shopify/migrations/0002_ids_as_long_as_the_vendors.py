from django.db import migrations

from channels.sandbox.shopify.models import ID_START

# Each kind from a start of its own, so that code that confuses two kinds of ids shows itself.
TABLES = (
    "shop", "location", "product", "productvariant", "inventoryitem", "inventorylevel", "adjustmentgroup",
    "webhooksubscription", "order", "lineitem", "fulfillmentorder", "fulfillmentorderlineitem", "fulfillment", "refund",
    "refundlineitem", "draftorder", "calculatedorder", "bulkoperation",
)  # fmt: skip
RESTART = "ALTER TABLE sandbox_shopify_{table} ALTER COLUMN id RESTART WITH {start}"


class Migration(migrations.Migration):
    """Ids as long as the vendor's."""

    dependencies = [("sandbox_shopify", "0001_initial")]

    operations = [
        migrations.RunSQL(RESTART.format(table=table, start=ID_START + place * 10_000_000_000), migrations.RunSQL.noop)
        for place, table in enumerate(TABLES)
    ]

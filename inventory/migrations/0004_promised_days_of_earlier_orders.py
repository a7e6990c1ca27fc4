"""Orders that were holds before: the days that their holds promised are kept with where their units wait."""

from django.db import migrations

CARRY = """
UPDATE inventory_orderhold h SET later = r.later, promised_date = r.promised_date
FROM inventory_orderline l, inventory_reservation held, inventory_reservationline r
WHERE l.id = h.line_id AND held.order_id = l.order_id AND r.reservation_id = held.id
  AND r.variant_id = l.variant_id AND r.location_id = h.location_id
  AND r.later > 0 AND r.promised_date IS NOT NULL
"""
FORGET = "UPDATE inventory_orderhold SET later = NULL, promised_date = NULL WHERE later IS NOT NULL"


class Migration(migrations.Migration):
    dependencies = [("inventory", "0003_orders_carry_promised_days")]

    operations = [migrations.RunSQL(CARRY, FORGET)]

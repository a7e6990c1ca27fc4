-- What a hold promised, its order promises on: kept with where its units wait in the statement that makes the hold an
-- order, so that no release of the code that runs beside another one can leave it out. A day that is there stays.
CREATE OR REPLACE FUNCTION inventory_carry_promised_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE inventory_orderhold h SET later = r.later, promised_date = r.promised_date
    FROM inventory_orderline l, inventory_reservationline r
    WHERE l.order_id = NEW.order_id AND h.line_id = l.id AND r.reservation_id = NEW.id
      AND r.variant_id = l.variant_id AND r.location_id = h.location_id AND r.later > 0 AND h.later IS NULL;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER reservation_carries_promised_days AFTER UPDATE OF order_id ON inventory_reservation FOR EACH ROW
    WHEN (OLD.order_id IS NULL AND NEW.order_id IS NOT NULL)
    EXECUTE FUNCTION inventory_carry_promised_days();

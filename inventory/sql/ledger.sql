-- The ledger's tables and what guards them; explained in docs/architecture.md.

-- Merchant, variant and location are copied from the level by inventory_post and carry no foreign key of their own: each
-- would cost a look-up a row.
CREATE SEQUENCE inventory_stockmovement_id_seq AS bigint;
CREATE TABLE inventory_stockmovement (
    id bigint NOT NULL DEFAULT nextval('inventory_stockmovement_id_seq'),
    merchant_id bigint NOT NULL,
    level_id bigint NOT NULL REFERENCES inventory_stocklevel (id),
    variant_id bigint NOT NULL,
    location_id bigint NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    kind varchar(12) NOT NULL,
    on_hand numeric(16, 5) NOT NULL,
    committed numeric(16, 5) NOT NULL,
    reserved numeric(16, 5) NOT NULL,
    unavailable numeric(16, 5) NOT NULL,
    incoming numeric(16, 5) NOT NULL,
    absorbed numeric(16, 5) NOT NULL,
    on_hand_after numeric(16, 5) NOT NULL,
    available_after numeric(16, 5) NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    source varchar(60) NOT NULL,
    idempotency_key varchar(200) NOT NULL,
    channel_id bigint,
    event_id bigint,
    order_id bigint REFERENCES inventory_order (id),
    actor_id bigint REFERENCES accounts_user (id),
    reason varchar(300) NOT NULL,
    bundle_id bigint,
    PRIMARY KEY (id, recorded_at)
) PARTITION BY RANGE (recorded_at);
ALTER SEQUENCE inventory_stockmovement_id_seq OWNED BY inventory_stockmovement.id;
CREATE INDEX movement_of_cell ON inventory_stockmovement (level_id, seq DESC);
CREATE INDEX movement_of_variant ON inventory_stockmovement (variant_id, recorded_at DESC);
CREATE INDEX movement_of_order ON inventory_stockmovement (order_id) WHERE order_id IS NOT NULL;
-- By when they were recorded: a block-range index, which costs the posting path next to nothing.
CREATE INDEX movement_by_time ON inventory_stockmovement USING brin (recorded_at) WITH (pages_per_range = 16);

-- Rows outside every month's partition land here rather than nowhere.
CREATE TABLE inventory_stockmovement_default PARTITION OF inventory_stockmovement DEFAULT;

CREATE FUNCTION inventory_add_movement_months(p_first date, p_months int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_month date := date_trunc('month', p_first)::date;
    v_made int := 0;
BEGIN
    FOR i IN 1..p_months LOOP
        IF to_regclass(format('inventory_stockmovement_%s', to_char(v_month, 'YYYY_MM'))) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE inventory_stockmovement_%s PARTITION OF inventory_stockmovement FOR VALUES FROM (%L) TO (%L)',
                to_char(v_month, 'YYYY_MM'), v_month::timestamp AT TIME ZONE 'UTC',
                (v_month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
            v_made := v_made + 1;
        END IF;
        v_month := (v_month + interval '1 month')::date;
    END LOOP;
    RETURN v_made;
END $$;

-- History is never edited. Refused for every role; only dropping the trigger would get around it.
CREATE FUNCTION inventory_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'SS003';
END $$;
CREATE TRIGGER movement_append_only BEFORE UPDATE OR DELETE ON inventory_stockmovement
    FOR EACH ROW EXECUTE FUNCTION inventory_refuse_change();
CREATE TRIGGER movement_key_append_only BEFORE UPDATE OR DELETE ON inventory_stockmovementkey
    FOR EACH ROW EXECUTE FUNCTION inventory_refuse_change();

-- Totals move only together with a movement, which takes the next number of the cell.
CREATE FUNCTION inventory_refuse_silent_level() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'level % changed without a movement', OLD.id USING ERRCODE = 'SS003';
END $$;
CREATE TRIGGER level_moves_with_ledger BEFORE UPDATE ON inventory_stocklevel FOR EACH ROW
    WHEN (NEW.last_seq <= OLD.last_seq AND
          (NEW.on_hand, NEW.committed, NEW.reserved, NEW.unavailable, NEW.incoming, NEW.last_seq)
          IS DISTINCT FROM (OLD.on_hand, OLD.committed, OLD.reserved, OLD.unavailable, OLD.incoming, OLD.last_seq))
    EXECUTE FUNCTION inventory_refuse_silent_level();
CREATE TRIGGER level_starts_empty BEFORE INSERT ON inventory_stocklevel FOR EACH ROW
    WHEN ((NEW.on_hand, NEW.committed, NEW.reserved, NEW.unavailable, NEW.incoming, NEW.last_seq)
          IS DISTINCT FROM (0::numeric, 0::numeric, 0::numeric, 0::numeric, 0::numeric, 0::bigint))
    EXECUTE FUNCTION inventory_refuse_silent_level();

-- The hook through which others follow the stock: called at the end of every posting, in its transaction, after the levels
-- have changed. Empty here; an app that follows replaces it in a migration of its own (docs/adr/0002).
-- p_changes: [{variant_id, location_id, own_on_hand, own_available, occurred_at, event_id}, …], one a cell, where the own_
-- amounts say by how much the number of the reporting channel (p_channel) moved by itself.
CREATE OR REPLACE FUNCTION inventory_stock_changed(p_channel bigint, p_changes jsonb) RETURNS void LANGUAGE sql AS $$
    SELECT
$$;

-- One posted line, as inventory_post hands it on.
CREATE TYPE inventory_posted AS (
    line int, movement_id bigint, level_id bigint, variant_id bigint, location_id bigint, seq bigint,
    on_hand numeric, committed numeric, reserved numeric, unavailable numeric, absorbed numeric,
    on_hand_after numeric, available_after numeric, is_replay boolean,
    moved_channel boolean, occurred_at timestamptz, event_id bigint, bundle_id bigint
);

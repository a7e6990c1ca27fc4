-- How channels followed the stock before there were rules, modes, bundles and dated promises: what `./dev bench rules` lays
-- beside channels/sql/refresh.sql. In a schema of its own, which a session puts before `public` to post this way.
CREATE SCHEMA IF NOT EXISTS plain;

-- What each cell should show: what is available.
CREATE OR REPLACE FUNCTION plain.channels_recompute(p_cells bigint[]) RETURNS void LANGUAGE sql AS $$
    UPDATE channels_channelstock c
    SET desired = d.desired,
        dirty_at = CASE WHEN d.desired = c.expected OR c.expected IS NULL THEN NULL
                        ELSE coalesce(c.dirty_at, clock_timestamp()) END,
        cause_occurred_at = CASE WHEN d.desired = c.expected THEN NULL ELSE c.cause_occurred_at END,
        attempts = CASE WHEN d.desired = c.expected THEN 0 ELSE c.attempts END
    FROM (
        SELECT id,
               CASE WHEN publishable >= 0 OR can_be_set_negative THEN publishable
                    -- Below zero a channel shows 0, or its own negative number where it went there by itself.
                    ELSE least(0, coalesce(expected, 0)) END AS desired
        FROM (
            SELECT c.id, c.expected, n.can_be_set_negative,
                   CASE WHEN n.takes_fractions AND NOT v.is_whole_unit THEN pool ELSE floor(pool) END AS publishable
            FROM channels_channelstock c
            JOIN channels_listing l ON l.id = c.listing_id
            JOIN channels_channellocation cl ON cl.id = c.channel_location_id
            JOIN channels_connection n ON n.id = c.connection_id
            JOIN inventory_variant v ON v.id = l.variant_id
            LEFT JOIN inventory_stocklevel s ON s.variant_id = l.variant_id AND s.location_id = cl.location_id
            CROSS JOIN LATERAL (
                SELECT coalesce(s.available, 0)
                    -- A channel that takes its own open orders off only later still shows those units.
                    + CASE WHEN n.number = 'in_stock' THEN (
                        SELECT coalesce(sum(h.committed), 0)
                        FROM inventory_orderline ol
                        JOIN inventory_order o ON o.id = ol.order_id AND o.channel_id = n.id
                        JOIN inventory_orderhold h ON h.line_id = ol.id AND h.committed > 0
                        WHERE ol.variant_id = l.variant_id AND h.location_id = cl.location_id AND s.committed > 0
                    ) ELSE 0 END
                    -- Units missing at another channel without cause are held back here until they are explained.
                    - (SELECT coalesce(sum(x.doubt), 0)
                       FROM channels_channelstock x
                       JOIN channels_listing xl ON xl.id = x.listing_id
                       JOIN channels_channellocation xcl ON xcl.id = x.channel_location_id
                       WHERE x.doubt > 0 AND x.id <> c.id AND xl.variant_id = l.variant_id
                         AND xcl.location_id = cl.location_id) AS pool
            ) p
            WHERE c.id = ANY(p_cells)
        ) r
    ) d
    WHERE c.id = d.id
$$;

-- The ledger's hook.
CREATE OR REPLACE FUNCTION plain.inventory_stock_changed(p_channel bigint, p_changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_cells bigint[];
BEGIN
    -- In primary-key order, after the levels: every path locks in this order.
    SELECT array_agg(locked.id) INTO v_cells FROM (
        SELECT c.id
        FROM jsonb_to_recordset(p_changes) AS x(variant_id bigint, location_id bigint)
        JOIN channels_listing l ON l.variant_id = x.variant_id
        JOIN channels_channelstock c ON c.listing_id = l.id
        JOIN channels_channellocation cl ON cl.id = c.channel_location_id AND cl.location_id = x.location_id
        ORDER BY c.id FOR NO KEY UPDATE OF c
    ) locked;
    IF v_cells IS NULL THEN
        RETURN;
    END IF;
    UPDATE channels_channelstock c
    SET expected = c.expected + CASE WHEN c.connection_id IS DISTINCT FROM p_channel THEN 0
                                     WHEN n.number = 'available' THEN x.own_available ELSE x.own_on_hand END,
        cause_event_id = coalesce(x.event_id, c.cause_event_id),
        cause_occurred_at = least(c.cause_occurred_at, x.occurred_at),
        -- News of its own sales is what a stale cell waited for.
        next_attempt_at = CASE WHEN c.connection_id = p_channel THEN NULL ELSE c.next_attempt_at END
    FROM jsonb_to_recordset(p_changes) AS x(
            variant_id bigint, location_id bigint, own_on_hand numeric, own_available numeric,
            occurred_at timestamptz, event_id bigint)
    JOIN channels_listing l ON l.variant_id = x.variant_id
    JOIN channels_channellocation cl ON cl.location_id = x.location_id
    JOIN channels_connection n ON n.id = cl.connection_id
    WHERE c.listing_id = l.id AND c.channel_location_id = cl.id AND c.id = ANY(v_cells);
    PERFORM plain.channels_recompute(v_cells);
END $$;

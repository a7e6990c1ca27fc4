-- Keeps `desired`, `expected` and `dirty_at` of channel cells true, inside the transaction that moves the stock.

-- The stock that each cell may draw on: what is available at its place, less units missing at another channel without
-- cause, which are held back until they are explained. Of a bundle, as many as its scarcest part makes up; a doubt about
-- a bundle is one about its parts. `own`: its own open orders, where its number still shows them. `incoming`: what may be
-- promised beyond the pool, where a rule lets it be: what has a day that is not over yet, by the rule's day at the latest.
CREATE OR REPLACE FUNCTION channels_pool(p_cells bigint[]) RETURNS TABLE (
    cell_id bigint, variant_id bigint, location_id bigint, pool numeric, own numeric, incoming numeric, expected numeric,
    can_be_set_negative boolean, takes_fractions boolean, is_kept boolean
) LANGUAGE sql STABLE AS $$
    SELECT c.id, l.variant_id, cl.location_id, made.pool,
           -- A channel that takes its own open orders off only later still shows those units.
           CASE WHEN n.number = 'in_stock' AND made.has_committed THEN (
               SELECT coalesce(sum(h.committed), 0)
               FROM inventory_orderline ol
               JOIN inventory_order o ON o.id = ol.order_id AND o.channel_id = n.id
               JOIN inventory_orderhold h ON h.line_id = ol.id AND h.committed > 0
               WHERE ol.variant_id = l.variant_id AND h.location_id = cl.location_id
           ) ELSE 0 END,
           made.incoming, c.expected, n.can_be_set_negative, n.takes_fractions AND NOT v.is_whole_unit,
           n.state <> 'closed' AND l.deleted_at IS NULL
    FROM channels_channelstock c
    JOIN channels_listing l ON l.id = c.listing_id
    JOIN channels_channellocation cl ON cl.id = c.channel_location_id
    JOIN channels_connection n ON n.id = c.connection_id
    JOIN inventory_variant v ON v.id = l.variant_id
    JOIN accounts_merchant m ON m.id = c.merchant_id
    LEFT JOIN channels_cellpolicy y ON y.cell_id = c.id
    CROSS JOIN LATERAL (
        SELECT min(CASE WHEN part.quantity IS NULL THEN free.units ELSE floor(free.units / part.quantity) END) AS pool,
               min(CASE WHEN part.quantity IS NULL THEN free.units + free.incoming
                        ELSE floor((free.units + free.incoming) / part.quantity) END)
                   - min(CASE WHEN part.quantity IS NULL THEN free.units
                              ELSE floor(free.units / part.quantity) END) AS incoming,
               bool_or(s.committed > 0) AS has_committed
        FROM (
            SELECT coalesce(k.variant_id, itself.variant_id) AS variant_id, k.quantity
            FROM (SELECT l.variant_id AS variant_id) itself
            LEFT JOIN (inventory_bundle b JOIN inventory_bundlecomponent k ON k.bundle_id = b.id)
                ON b.variant_id = itself.variant_id AND b.ended_at IS NULL AND NOT b.is_stocked
        ) part
        LEFT JOIN inventory_stocklevel s ON s.variant_id = part.variant_id AND s.location_id = cl.location_id
        CROSS JOIN LATERAL (
            SELECT CASE WHEN s.incoming > 0 AND y.oversell IN ('backorder', 'preorder') THEN (
                       SELECT coalesce(sum(e.units), 0) FROM inventory_expected(ARRAY[part.variant_id]) e
                       WHERE e.location_id = cl.location_id
                         AND e.expected_date >= (clock_timestamp() AT TIME ZONE m.timezone)::date
                         AND (y.promised_date IS NULL OR e.expected_date <= y.promised_date)
                   ) ELSE 0 END AS incoming,
                   coalesce(s.available, 0) - coalesce(sum(x.doubt * named.quantity), 0) AS units
            FROM (
                SELECT part.variant_id AS variant_id, 1::numeric AS quantity
                UNION ALL
                SELECT b.variant_id, k.quantity
                FROM inventory_bundlecomponent k
                JOIN inventory_bundle b ON b.id = k.bundle_id AND b.ended_at IS NULL AND NOT b.is_stocked
                WHERE k.variant_id = part.variant_id
            ) named
            JOIN channels_listing xl ON xl.variant_id = named.variant_id
            JOIN channels_channelstock x ON x.listing_id = xl.id AND x.doubt > 0 AND x.id <> c.id
            JOIN channels_channellocation xcl ON xcl.id = x.channel_location_id AND xcl.location_id = cl.location_id
        ) free
    ) made
    WHERE c.id = ANY(p_cells)
$$;

-- What the rules say each cell should show, as things stand now (channels/sql/rules.sql). The cells must be locked by
-- the caller, with their peers: a statement that waits for a lock still reads the levels as they were before it waited.
CREATE OR REPLACE FUNCTION channels_recompute(p_cells bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE channels_channelstock c
    SET desired = d.desired,
        dirty_at = CASE WHEN d.desired IS NULL OR d.desired = c.expected OR c.expected IS NULL THEN NULL
                        ELSE coalesce(c.dirty_at, clock_timestamp()) END,
        cause_occurred_at = CASE WHEN d.desired = c.expected THEN NULL ELSE c.cause_occurred_at END,
        attempts = CASE WHEN d.desired = c.expected THEN 0 ELSE c.attempts END
    FROM channels_publishable(p_cells) d
    WHERE c.id = d.cell_id;
END $$;

-- The changes, and with them every bundle that has a changed part: it may sell another number, while its own number at
-- the reporting channel did not move.
CREATE OR REPLACE FUNCTION channels_touched(p_changes jsonb) RETURNS TABLE (
    variant_id bigint, location_id bigint, own_on_hand numeric, own_available numeric, occurred_at timestamptz, event_id bigint
) LANGUAGE sql STABLE AS $$
    WITH x AS (
        SELECT * FROM jsonb_to_recordset(p_changes) AS x(
            variant_id bigint, location_id bigint, own_on_hand numeric, own_available numeric,
            occurred_at timestamptz, event_id bigint)
        LIMIT jsonb_array_length(p_changes)  -- for the planner, as in inventory_post
    ), both_kinds AS (
        SELECT * FROM x
        UNION ALL
        SELECT b.variant_id, x.location_id, 0, 0, x.occurred_at, x.event_id
        FROM x
        JOIN inventory_bundlecomponent k ON k.variant_id = x.variant_id
        JOIN inventory_bundle b ON b.id = k.bundle_id AND b.ended_at IS NULL AND NOT b.is_stocked
    )
    SELECT t.variant_id, t.location_id, sum(t.own_on_hand), sum(t.own_available), min(t.occurred_at), max(t.event_id)
    FROM both_kinds t GROUP BY t.variant_id, t.location_id
$$;

-- Channels follow the stock: the ledger's hook (inventory/sql/post.sql) gets its body here. The reporting channel's own
-- number moved by itself; every channel that lists the variant, or a bundle with it, has a new `desired`.
CREATE OR REPLACE FUNCTION inventory_stock_changed(p_channel bigint, p_changes jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_touched bigint[];
    v_own numeric[];
    v_occurred timestamptz[];
    v_events bigint[];
    v_cells bigint[];
BEGIN
    SELECT array_agg(c.id), array_agg(CASE WHEN c.connection_id IS DISTINCT FROM p_channel THEN 0
                                           WHEN n.number = 'available' THEN x.own_available ELSE x.own_on_hand END),
           array_agg(x.occurred_at), array_agg(x.event_id)
    INTO v_touched, v_own, v_occurred, v_events
    FROM channels_touched(p_changes) x
    JOIN channels_listing l ON l.variant_id = x.variant_id
    JOIN channels_channelstock c ON c.listing_id = l.id
    JOIN channels_channellocation cl ON cl.id = c.channel_location_id AND cl.location_id = x.location_id
    JOIN channels_connection n ON n.id = c.connection_id;
    IF v_touched IS NULL THEN
        RETURN;
    END IF;
    -- In primary-key order, after the levels: every path locks in this order.
    SELECT array_agg(locked.id) INTO v_cells FROM (
        SELECT c.id FROM channels_channelstock c
        WHERE c.id = ANY(channels_with_peers(v_touched))
        ORDER BY c.id FOR NO KEY UPDATE OF c
    ) locked;
    UPDATE channels_channelstock c
    SET expected = c.expected + x.own,
        cause_event_id = coalesce(x.event_id, c.cause_event_id),
        cause_occurred_at = least(c.cause_occurred_at, x.occurred_at),
        -- News of its own sales is what a stale cell waited for.
        next_attempt_at = CASE WHEN c.connection_id = p_channel THEN NULL ELSE c.next_attempt_at END
    FROM unnest(v_touched, v_own, v_occurred, v_events) AS x(cell_id, own, occurred_at, event_id)
    WHERE c.id = x.cell_id AND c.id = ANY(v_cells);
    PERFORM channels_recompute(v_cells);
END $$;

-- Work out the rules anew, and every number with them: of all cells of a connection, or of the given ones.
CREATE OR REPLACE FUNCTION channels_refresh(p_connection bigint, p_cells bigint[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_cells bigint[];
BEGIN
    SELECT array_agg(c.id) INTO v_cells FROM channels_channelstock c
    WHERE c.connection_id = p_connection OR c.id = ANY(p_cells);
    SELECT array_agg(locked.id) INTO v_cells FROM (
        SELECT c.id FROM channels_channelstock c
        WHERE c.id = ANY(channels_with_peers(v_cells))
        ORDER BY c.id FOR NO KEY UPDATE OF c
    ) locked;
    IF v_cells IS NOT NULL THEN
        PERFORM channels_resolve(v_cells);
        PERFORM channels_recompute(v_cells);
    END IF;
    RETURN coalesce(cardinality(v_cells), 0);
END $$;

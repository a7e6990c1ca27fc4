-- Timed holds in one call each: a promise is judged and granted without a round trip while its levels are locked.

-- Grants a hold whole or not at all. p_wants is what was asked for, one object a cell; what it takes from the shelves are,
-- of bundles, their parts. Outcomes: `held` (new), `known` (same key and content: the first hold), `clash` (same key, other
-- content), `short` (refused; `shortages` says where), `overdue` (refused, but holds of this merchant are past their
-- time: end them and ask again). Nothing is written unless it is `held`. Who else has a say: sql/hold_hooks.sql.
CREATE OR REPLACE FUNCTION inventory_reserve(
    p_merchant bigint, p_channel bigint, p_key text, p_content text, p_public_id uuid, p_reference text,
    p_now timestamptz, p_expires_at timestamptz, p_wants jsonb
) RETURNS TABLE (outcome text, reservation_id bigint, shortages jsonb) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_id bigint;
    v_content text;
    v_short jsonb;
    v_lines jsonb;
    v_cells jsonb;
    v_beyond jsonb;
BEGIN
    SELECT r.id, r.content INTO v_id, v_content
    FROM inventory_reservation r WHERE r.merchant_id = p_merchant AND r.idempotency_key = p_key;
    IF v_id IS NOT NULL THEN
        RETURN QUERY SELECT CASE WHEN v_content IN (p_content, '') THEN 'known' ELSE 'clash' END, v_id, NULL::jsonb;
        RETURN;
    END IF;

    SELECT jsonb_agg(to_jsonb(w)) INTO v_lines
    FROM (
        SELECT x.variant_id, x.location_id, x.quantity, b.id AS bundle_id
        FROM jsonb_to_recordset(p_wants) AS x(variant_id bigint, location_id bigint, quantity numeric)
        LEFT JOIN inventory_bundle b ON b.variant_id = x.variant_id AND b.ended_at IS NULL AND NOT b.is_stocked
        ORDER BY x.variant_id, x.location_id
    ) w;
    -- Asked twice: before the locks, so that what is sold out is refused without waiting for anyone; and under them,
    -- where nothing can change any more before the units are taken.
    FOR v_round IN 1..2 LOOP
        SELECT jsonb_agg(to_jsonb(p)) INTO v_beyond
        FROM inventory_promised_beyond(p_channel, p_wants) p WHERE p_channel IS NOT NULL;
        -- By cell: what is wanted from the shelf, what may be promised beyond it, and by how much.
        SELECT jsonb_agg(to_jsonb(w)) INTO v_cells
        FROM (
            SELECT coalesce(k.variant_id, x.variant_id) AS variant_id, x.location_id,
                   sum(x.quantity * coalesce(k.quantity, 1)) AS quantity,
                   coalesce(sum(x.quantity * coalesce(k.quantity, 1)) FILTER (WHERE p.units IS NULL), 0) AS from_shelf,
                   coalesce(max(p.units * coalesce(k.quantity, 1)), 0) AS beyond
            FROM jsonb_to_recordset(v_lines)
                AS x(variant_id bigint, location_id bigint, quantity numeric, bundle_id bigint)
            LEFT JOIN inventory_bundlecomponent k ON k.bundle_id = x.bundle_id
            LEFT JOIN jsonb_to_recordset(v_beyond) AS p(variant_id bigint, location_id bigint, units numeric)
                ON p.variant_id = x.variant_id AND p.location_id = x.location_id
            GROUP BY 1, 2
        ) w;
        SELECT jsonb_agg(jsonb_build_object('variant_id', x.variant_id, 'location_id', x.location_id,
                                            'available', coalesce(s.available, 0)))
        INTO v_short
        FROM jsonb_to_recordset(v_cells)
            AS x(variant_id bigint, location_id bigint, quantity numeric, from_shelf numeric, beyond numeric)
        LEFT JOIN inventory_stocklevel s ON s.variant_id = x.variant_id AND s.location_id = x.location_id
        WHERE coalesce(s.available, 0) + x.beyond < x.quantity
           OR x.from_shelf > 0 AND coalesce(s.available, 0) < x.from_shelf;
        IF v_short IS NULL AND p_channel IS NOT NULL THEN
            v_short := inventory_refused_by_channel(p_channel, p_wants);
        END IF;
        IF v_short IS NOT NULL THEN
            RETURN QUERY SELECT CASE WHEN EXISTS (
                SELECT FROM inventory_reservation r
                WHERE r.merchant_id = p_merchant AND r.state = 'held' AND r.expires_at <= p_now
            ) THEN 'overdue' ELSE 'short' END, NULL::bigint, v_short;
            RETURN;
        END IF;
        IF v_round = 1 THEN
            IF v_beyond IS NOT NULL THEN
                -- What was never there may be promised too: without a level nobody would wait for anybody.
                INSERT INTO inventory_stocklevel (merchant_id, variant_id, location_id, on_hand, committed, reserved,
                                                  unavailable, incoming, last_seq, updated_at)
                SELECT p_merchant, v.id, o.id, 0, 0, 0, 0, 0, 0, p_now
                FROM jsonb_to_recordset(v_cells) AS x(variant_id bigint, location_id bigint)
                JOIN inventory_variant v ON v.id = x.variant_id AND v.merchant_id = p_merchant
                JOIN inventory_location o ON o.id = x.location_id AND o.merchant_id = p_merchant
                ORDER BY v.id, o.id FOR KEY SHARE OF v
                ON CONFLICT DO NOTHING;
            END IF;
            PERFORM s.id
            FROM jsonb_to_recordset(v_cells) AS x(variant_id bigint, location_id bigint)
            JOIN inventory_stocklevel s ON s.variant_id = x.variant_id AND s.location_id = x.location_id
            WHERE s.merchant_id = p_merchant
            ORDER BY s.id FOR NO KEY UPDATE OF s;
        END IF;
    END LOOP;

    INSERT INTO inventory_reservation (merchant_id, channel_id, idempotency_key, content, public_id, reference, state,
                                       expires_at, created_at)
    VALUES (p_merchant, p_channel, p_key, p_content, p_public_id, p_reference, 'held', p_expires_at, p_now)
    ON CONFLICT (merchant_id, idempotency_key) DO NOTHING
    RETURNING id INTO v_id;
    IF v_id IS NULL THEN  -- the same request came twice at once, and the other one was first
        RETURN QUERY SELECT CASE WHEN r.content = p_content THEN 'known' ELSE 'clash' END, r.id, NULL::jsonb
        FROM inventory_reservation r WHERE r.merchant_id = p_merchant AND r.idempotency_key = p_key;
        RETURN;
    END IF;
    WITH lines AS (
        INSERT INTO inventory_reservationline (reservation_id, variant_id, location_id, quantity, bundle_id)
        SELECT v_id, x.variant_id, x.location_id, x.quantity, x.bundle_id
        FROM jsonb_to_recordset(v_lines) AS x(variant_id bigint, location_id bigint, quantity numeric, bundle_id bigint)
        ORDER BY x.variant_id, x.location_id
        RETURNING *
    )
    SELECT jsonb_agg(m) INTO v_short
    FROM lines
    CROSS JOIN LATERAL inventory_hold_movements(ROW(lines.*)::inventory_reservationline, p_public_id, p_reference, p_now,
                                                1, NULL, '') AS m;
    -- What is promised beyond the shelf was judged above, under the levels' locks; the ledger knows only the shelf.
    PERFORM inventory_post(p_merchant, 'reservation', p_channel, v_beyond IS NULL, v_short);
    RETURN QUERY SELECT 'held', v_id, NULL::jsonb;
END $$;

-- A line of a hold as the ledger posts it, of a bundle one movement a part: p_sign 1 takes the units, -1 gives them back.
CREATE OR REPLACE FUNCTION inventory_hold_movements(
    p_line inventory_reservationline, p_public_id uuid, p_reference text, p_now timestamptz, p_sign int, p_actor bigint,
    p_reason text
) RETURNS SETOF jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object(
        'variant_id', coalesce(k.variant_id, p_line.variant_id), 'location_id', p_line.location_id,
        'kind', CASE WHEN p_sign > 0 THEN 'reserve' ELSE 'unreserve' END,
        'key', concat_ws(':', p_line.reservation_id, p_line.id, CASE WHEN p_sign > 0 THEN 'hold' ELSE 'end' END,
                         k.variant_id),
        'occurred_at', p_now, 'on_hand', 0, 'committed', 0,
        'reserved', p_sign * p_line.quantity * coalesce(k.quantity, 1), 'unavailable', 0, 'incoming', 0,
        'bundle_id', p_line.bundle_id, 'counted', NULL, 'order_id', NULL, 'event_id', NULL, 'actor_id', p_actor,
        'reason', left(concat_ws(', ', 'hold ' || coalesce(nullif(p_reference, ''), left(p_public_id::text, 8)),
                                 nullif(p_reason, '')), 300),
        -- No channel's own number moves by itself when we promise units to somebody.
        'moved_channel', false)
    FROM (SELECT p_line.bundle_id AS bundle_id) line
    LEFT JOIN inventory_bundlecomponent k ON k.bundle_id = line.bundle_id
    ORDER BY k.variant_id
$$;

-- Ends holds that are still held and gives their units back in one posting; those past their time end as expired,
-- whatever is asked. Returns each that ended now, with its state. p_waits false: leave those alone that another is at.
-- Locks the holds in primary-key order, then their levels. All must be one merchant's.
CREATE OR REPLACE FUNCTION inventory_end_reservations(
    p_merchant bigint, p_ids bigint[], p_state text, p_now timestamptz, p_actor bigint, p_reason text, p_waits boolean
) RETURNS TABLE (reservation_id bigint, state text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_ids bigint[];
    v_movements jsonb;
BEGIN
    IF p_waits THEN
        SELECT array_agg(l.id) INTO v_ids FROM (
            SELECT r.id FROM inventory_reservation r
            WHERE r.id = ANY(p_ids) AND r.merchant_id = p_merchant AND r.state = 'held' ORDER BY r.id FOR NO KEY UPDATE
        ) l;
    ELSE
        SELECT array_agg(l.id) INTO v_ids FROM (
            SELECT r.id FROM inventory_reservation r
            WHERE r.id = ANY(p_ids) AND r.merchant_id = p_merchant AND r.state = 'held'
            ORDER BY r.id FOR NO KEY UPDATE SKIP LOCKED
        ) l;
    END IF;
    IF v_ids IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    UPDATE inventory_reservation r
    SET state = CASE WHEN r.expires_at <= p_now THEN 'expired' ELSE p_state END, ended_at = p_now,
        ended_by_id = CASE WHEN r.expires_at <= p_now THEN NULL ELSE p_actor END
    WHERE r.id = ANY(v_ids)
    RETURNING r.id, r.state::text;
    SELECT jsonb_agg(m ORDER BY l.id) INTO v_movements
    FROM inventory_reservationline l
    JOIN inventory_reservation r ON r.id = l.reservation_id
    CROSS JOIN LATERAL inventory_hold_movements(
        l, r.public_id, r.reference, p_now, -1, r.ended_by_id,
        CASE r.state WHEN 'expired' THEN 'its time was over' WHEN 'committed' THEN 'became an order'
                     ELSE coalesce(nullif(p_reason, ''), 'released') END) AS m
    WHERE l.reservation_id = ANY(v_ids);
    IF v_movements IS NOT NULL THEN
        PERFORM inventory_post(p_merchant, 'reservation', NULL, false, v_movements);
    END IF;
END $$;

-- Posts a batch of movements in one call; the only way into the ledger. See inventory/ledger.py for its meaning.
-- Raises SS001 (same key, other content), SS002 (a promise the stock does not cover), SS004 (cell of another merchant),
-- SS005 (a bundle, which has no stock of its own).
--
-- To plan its statements costs more than to run them for a few lines: those have one plan for all, kept by the session, and
-- so have the followers' (sql/hook.sql). The function's own SET puts the setting back at its end. Where a LIMIT says how many
-- lines there are, it is for the planner: it takes any JSON array for a hundred rows, and would read whole tables for them.
CREATE OR REPLACE FUNCTION inventory_post(
    p_merchant bigint, p_source text, p_channel bigint, p_is_promise boolean, p_lines jsonb
) RETURNS SETOF inventory_posted LANGUAGE plpgsql SET plan_cache_mode = auto AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_cells int;
    v_locked int;
    v_posted inventory_posted[];
    v_detail text;
    v_merged jsonb;
BEGIN
    PERFORM set_config('plan_cache_mode', CASE WHEN jsonb_array_length(p_lines) > 20 THEN 'force_custom_plan'
                                               ELSE 'force_generic_plan' END, true);
    LOOP
        -- New cells first, while no level is locked: their variant is locked here against becoming part of another,
        -- and whoever makes it so locks variants before levels.
        INSERT INTO inventory_stocklevel (merchant_id, variant_id, location_id, on_hand, committed, reserved,
                                          unavailable, incoming, last_seq, updated_at)
        SELECT p_merchant, v.id, o.id, 0, 0, 0, 0, 0, 0, v_now
        FROM (SELECT DISTINCT x.variant_id, x.location_id
              FROM (SELECT * FROM jsonb_to_recordset(p_lines) AS l(variant_id bigint, location_id bigint)
                    LIMIT jsonb_array_length(p_lines)) x
              WHERE NOT EXISTS (SELECT FROM inventory_stocklevel s
                                WHERE s.variant_id = x.variant_id AND s.location_id = x.location_id)) c
        JOIN inventory_variant v ON v.id = c.variant_id AND v.merchant_id = p_merchant
        JOIN inventory_location o ON o.id = c.location_id AND o.merchant_id = p_merchant
        ORDER BY v.id, o.id FOR KEY SHARE OF v
        ON CONFLICT DO NOTHING;

        -- Lock every cell in primary-key order, so that two postings of the same cells never wait in a ring.
        WITH cells AS MATERIALIZED (
            SELECT DISTINCT x.variant_id, x.location_id
            FROM (SELECT * FROM jsonb_to_recordset(p_lines) AS l(variant_id bigint, location_id bigint)
                  LIMIT jsonb_array_length(p_lines)) x
        ), locked AS MATERIALIZED (
            SELECT s.id FROM cells c
            JOIN inventory_stocklevel s ON s.variant_id = c.variant_id AND s.location_id = c.location_id
            WHERE s.merchant_id = p_merchant
            ORDER BY s.id FOR NO KEY UPDATE OF s
        )
        SELECT (SELECT count(*) FROM cells), (SELECT count(*) FROM locked) INTO v_cells, v_locked;
        IF v_cells <> v_locked THEN
            SELECT string_agg(format('variant %s at location %s', c.variant_id, c.location_id), ', ') INTO v_detail
            FROM (SELECT DISTINCT x.variant_id, x.location_id
                  FROM jsonb_to_recordset(p_lines) AS x(variant_id bigint, location_id bigint)) c
            WHERE NOT EXISTS (SELECT FROM inventory_stocklevel s
                              WHERE s.variant_id = c.variant_id AND s.location_id = c.location_id
                                AND s.merchant_id = p_merchant);
            IF v_detail IS NOT NULL THEN
                RAISE EXCEPTION 'no such cell of merchant %: %', p_merchant, v_detail USING ERRCODE = 'SS004';
            END IF;
            CONTINUE;  -- another transaction has just made it
        END IF;

        -- A fact about a variant that became part of another while it waited for the lock is the survivor's.
        EXIT WHEN p_source = 'merge';
        SELECT jsonb_object_agg(m.duplicate_id, m.survivor_id) INTO v_merged
        FROM inventory_variantmerge m
        WHERE m.parted_at IS NULL
          AND m.duplicate_id IN (SELECT x.variant_id FROM jsonb_to_recordset(p_lines) AS x(variant_id bigint));
        EXIT WHEN v_merged IS NULL;
        SELECT jsonb_agg(l.line || CASE WHEN v_merged ? (l.line ->> 'variant_id') THEN jsonb_build_object(
            'variant_id', v_merged -> (l.line ->> 'variant_id'),
            'told_of', coalesce(l.line -> 'told_of', l.line -> 'variant_id')) ELSE '{}' END ORDER BY l.place)
        INTO p_lines
        FROM jsonb_array_elements(p_lines) WITH ORDINALITY AS l(line, place);
    END LOOP;

    -- Whoever makes a variant a bundle locks its levels and finds them empty: what waited for them sees it here.
    SELECT string_agg(b.variant_id::text, ', ') INTO v_detail
    FROM inventory_bundle b
    WHERE b.ended_at IS NULL AND NOT b.is_stocked
      AND b.variant_id IN (SELECT x.variant_id FROM jsonb_to_recordset(p_lines) AS x(variant_id bigint)
                           LIMIT jsonb_array_length(p_lines));
    IF v_detail IS NOT NULL THEN
        RAISE EXCEPTION 'variant % is a bundle and has no stock of its own', v_detail USING ERRCODE = 'SS005', DETAIL = v_detail;
    END IF;

    WITH asked AS MATERIALIZED (
        SELECT x.*, nextval('inventory_stockmovement_id_seq') AS movement_id
        FROM ROWS FROM (jsonb_to_recordset(p_lines) AS (
            variant_id bigint, location_id bigint, kind text, key text, on_hand numeric, committed numeric,
            reserved numeric, unavailable numeric, incoming numeric, counted numeric, occurred_at timestamptz,
            order_id bigint, event_id bigint, actor_id bigint, reason text, moved_channel boolean,
            bundle_id bigint, told_of bigint)) WITH ORDINALITY AS x(
            variant_id, location_id, kind, key, on_hand, committed, reserved, unavailable, incoming, counted,
            occurred_at, order_id, event_id, actor_id, reason, moved_channel, bundle_id, told_of, line)
        LIMIT jsonb_array_length(p_lines)
    ), claimed AS (
        INSERT INTO inventory_stockmovementkey (merchant_id, source, idempotency_key, movement_id, recorded_at, content)
        SELECT p_merchant, p_source, a.key, a.movement_id, v_now,
               md5(concat_ws('|', coalesce(a.told_of, a.variant_id), a.location_id, a.kind, trim_scale(a.on_hand), trim_scale(a.committed),
                             trim_scale(a.reserved), trim_scale(a.unavailable), trim_scale(a.incoming),
                             coalesce(trim_scale(a.counted)::text, 'none')))
        FROM asked a ORDER BY a.line
        ON CONFLICT DO NOTHING
        RETURNING movement_id
    ), fresh AS (
        -- What a later count already saw has no effect on hand: the units are `absorbed`. A count older than the
        -- last one likewise.
        SELECT a.*, s.id AS level_id, s.on_hand AS on_hand_before, s.available AS available_before, s.last_seq,
               coalesce(a.occurred_at < s.counted_at, false) AS is_late
        FROM asked a
        JOIN claimed USING (movement_id)
        JOIN inventory_stocklevel s ON s.variant_id = a.variant_id AND s.location_id = a.location_id
    ), applied AS (
        SELECT f.*, CASE WHEN is_late THEN 0 ELSE f.on_hand END AS moved,
               CASE WHEN is_late AND f.counted IS NULL THEN f.on_hand ELSE 0 END AS absorbed,
               CASE WHEN is_late THEN NULL ELSE f.counted END AS mark,
               count(CASE WHEN is_late THEN NULL ELSE f.counted END) OVER cell AS stretch,
               row_number() OVER cell AS place
        FROM fresh f WINDOW cell AS (PARTITION BY f.level_id ORDER BY f.line)
    ), running AS (
        -- A count starts a new stretch at the counted number; other lines add to it.
        SELECT a.*,
               coalesce(first_value(a.mark) OVER stretch, a.on_hand_before)
                   + sum(CASE WHEN a.mark IS NULL THEN a.moved ELSE 0 END) OVER stretch AS on_hand_after
        FROM applied a WINDOW stretch AS (PARTITION BY a.level_id, a.stretch ORDER BY a.line)
    ), balanced AS (
        SELECT r.*, r.on_hand_after - lag(r.on_hand_after, 1, r.on_hand_before) OVER cell AS delta,
               r.available_before + (r.on_hand_after - r.on_hand_before)
                   - sum(r.committed + r.reserved + r.unavailable) OVER cell AS available_after
        FROM running r WINDOW cell AS (PARTITION BY r.level_id ORDER BY r.line)
    ), moved AS (
        INSERT INTO inventory_stockmovement (
            id, merchant_id, level_id, variant_id, location_id, seq, kind, on_hand, committed, reserved, unavailable,
            incoming, absorbed, on_hand_after, available_after, occurred_at, recorded_at, source, idempotency_key,
            channel_id, event_id, order_id, actor_id, reason, bundle_id)
        SELECT b.movement_id, p_merchant, b.level_id, b.variant_id, b.location_id, b.last_seq + b.place, b.kind, b.delta,
               b.committed, b.reserved, b.unavailable, b.incoming, b.absorbed, b.on_hand_after, b.available_after,
               b.occurred_at, v_now, p_source, b.key, p_channel, b.event_id, b.order_id, b.actor_id, b.reason,
               b.bundle_id
        FROM balanced b ORDER BY b.line
    ), levels AS (
        UPDATE inventory_stocklevel s
        SET on_hand = s.on_hand + t.on_hand, committed = s.committed + t.committed, reserved = s.reserved + t.reserved,
            unavailable = s.unavailable + t.unavailable, incoming = s.incoming + t.incoming,
            last_seq = s.last_seq + t.lines, counted_at = greatest(s.counted_at, t.counted_at), updated_at = v_now
        FROM (SELECT b.level_id, sum(b.delta) AS on_hand, sum(b.committed) AS committed, sum(b.reserved) AS reserved,
                     sum(b.unavailable) AS unavailable, sum(b.incoming) AS incoming, count(*) AS lines,
                     max(b.occurred_at) FILTER (WHERE b.mark IS NOT NULL) AS counted_at
              FROM balanced b GROUP BY b.level_id) t
        WHERE s.id = t.level_id
    )
    SELECT array_agg(ROW(b.line::int, b.movement_id, b.level_id, b.variant_id, b.location_id, b.last_seq + b.place,
                         b.delta, b.committed, b.reserved, b.unavailable, b.absorbed, b.on_hand_after,
                         b.available_after, false, coalesce(b.moved_channel, true), b.occurred_at,
                         b.event_id, b.bundle_id)::inventory_posted ORDER BY b.line)
    INTO v_posted FROM balanced b;
    RETURN QUERY SELECT * FROM unnest(v_posted);

    IF coalesce(cardinality(v_posted), 0) < jsonb_array_length(p_lines) THEN
        -- The rest were posted before: the first result comes back, unless the content differs.
        SELECT string_agg(a.key, ', ') INTO v_detail
        FROM jsonb_to_recordset(p_lines) AS a(
            variant_id bigint, location_id bigint, kind text, key text, on_hand numeric, committed numeric,
            reserved numeric, unavailable numeric, incoming numeric, counted numeric, told_of bigint)
        JOIN inventory_stockmovementkey k
          ON k.merchant_id = p_merchant AND k.source = p_source AND k.idempotency_key = a.key
        WHERE k.content <> md5(concat_ws(
            '|', coalesce(a.told_of, a.variant_id), a.location_id, a.kind, trim_scale(a.on_hand), trim_scale(a.committed),
            trim_scale(a.reserved), trim_scale(a.unavailable), trim_scale(a.incoming),
            coalesce(trim_scale(a.counted)::text, 'none')));
        IF v_detail IS NOT NULL THEN
            RAISE EXCEPTION 'idempotency key used before for something else' USING ERRCODE = 'SS001', DETAIL = v_detail;
        END IF;
        RETURN QUERY
        SELECT a.line::int, m.id, m.level_id, m.variant_id, m.location_id, m.seq, m.on_hand, m.committed, m.reserved,
               m.unavailable, m.absorbed, m.on_hand_after, m.available_after, true, false, m.occurred_at, m.event_id,
               m.bundle_id
        FROM ROWS FROM (jsonb_to_recordset(p_lines) AS (key text)) WITH ORDINALITY AS a(key, line)
        JOIN inventory_stockmovementkey k
          ON k.merchant_id = p_merchant AND k.source = p_source AND k.idempotency_key = a.key
        JOIN inventory_stockmovement m ON m.id = k.movement_id AND m.recorded_at = k.recorded_at
        WHERE k.recorded_at <> v_now OR a.line NOT IN (
            SELECT min(b.line) FROM ROWS FROM (jsonb_to_recordset(p_lines) AS (key text)) WITH ORDINALITY AS b(key, line)
            GROUP BY b.key);
    END IF;

    IF v_posted IS NULL THEN
        RETURN;
    END IF;
    IF p_is_promise THEN
        SELECT jsonb_agg(jsonb_build_object('variant_id', s.variant_id, 'location_id', s.location_id,
                                            'available_after', s.available))::text INTO v_detail
        FROM inventory_stocklevel s
        WHERE s.available < 0 AND s.id IN (SELECT p.level_id FROM unnest(v_posted) p);
        IF v_detail IS NOT NULL THEN
            RAISE EXCEPTION 'not enough stock' USING ERRCODE = 'SS002', DETAIL = v_detail;
        END IF;
    END IF;
    PERFORM inventory_stock_changed(p_channel, jsonb_agg(to_jsonb(c)))
    FROM (
        SELECT o.variant_id, o.location_id, sum(o.on_hand) AS own_on_hand, sum(o.available) AS own_available,
               min(o.occurred_at) AS occurred_at, max(o.event_id) AS event_id
        FROM (
            SELECT p.variant_id, p.location_id, p.occurred_at, p.event_id,
                   CASE WHEN p.moved_channel AND p.bundle_id IS NULL THEN p.on_hand + p.absorbed ELSE 0 END AS on_hand,
                   CASE WHEN p.moved_channel AND p.bundle_id IS NULL
                        THEN p.on_hand + p.absorbed - p.committed - p.reserved - p.unavailable ELSE 0 END AS available
            FROM unnest(v_posted) p
            UNION ALL
            -- Parts that moved as a bundle moved the bundle's own number at the channel, not theirs: as many bundles as
            -- any one of its parts says.
            SELECT b.variant_id, part.location_id, part.occurred_at, part.event_id,
                   part.on_hand / k.quantity, part.available / k.quantity
            FROM (
                SELECT DISTINCT ON (p.bundle_id, p.location_id) p.bundle_id, p.location_id, p.variant_id,
                       sum(p.on_hand + p.absorbed) AS on_hand,
                       sum(p.on_hand + p.absorbed - p.committed - p.reserved - p.unavailable) AS available,
                       min(p.occurred_at) AS occurred_at, max(p.event_id) AS event_id
                FROM unnest(v_posted) p WHERE p.moved_channel AND p.bundle_id IS NOT NULL
                GROUP BY p.bundle_id, p.location_id, p.variant_id
                ORDER BY p.bundle_id, p.location_id, p.variant_id
            ) part
            JOIN inventory_bundle b ON b.id = part.bundle_id
            JOIN inventory_bundlecomponent k ON k.bundle_id = part.bundle_id AND k.variant_id = part.variant_id
            WHERE p_channel IS NOT NULL
        ) o GROUP BY o.variant_id, o.location_id
    ) c;
END $$;

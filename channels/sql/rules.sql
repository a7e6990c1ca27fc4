-- What the rules of a shop come to. Their meaning is in docs/availability.md.

-- What one number comes to: the pool without what is kept back, a share of that, units on their way besides, a cap.
-- Below zero only as far as the pool itself is: keeping units back never makes a shortage.
CREATE OR REPLACE FUNCTION channels_offer(
    p_pool numeric, p_kept numeric, p_share numeric, p_extra numeric, p_cap numeric, p_is_open boolean
) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT least(
        CASE WHEN CASE WHEN p_pool > p_kept THEN (p_pool - p_kept) * coalesce(p_share, 100) / 100
                       ELSE p_pool - p_kept END + p_extra > 0
             THEN CASE WHEN p_pool > p_kept THEN (p_pool - p_kept) * coalesce(p_share, 100) / 100
                       ELSE p_pool - p_kept END + p_extra
             ELSE least(0, greatest(p_pool - p_kept, p_pool) + p_extra) END,
        CASE WHEN p_is_open THEN p_cap ELSE 0 END)
$$;

-- Units that may be promised beyond the pool: with a number and a day the shop vouches for them; otherwise what is on its
-- way, at most the number.
CREATE OR REPLACE FUNCTION channels_promised(p_max numeric, p_day date, p_incoming numeric)
RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_max IS NOT NULL AND p_day IS NOT NULL THEN p_max ELSE least(p_max, p_incoming) END
$$;

-- The demarcation protocol, for the seats of one pool: what each should show, so that what they show, may still show and
-- should show never sums to more than the pool, unless what they show already does. channels/modes.py says the same.
CREATE OR REPLACE FUNCTION channels_escrow(p_pool numeric, p_weights numeric[], p_exposed numeric[])
RETURNS numeric[] LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (WITH seat AS (
        SELECT place, weight, exposed, greatest(0, floor(p_pool)) AS units, sum(weight) OVER () AS total
        FROM unnest(p_weights, p_exposed) WITH ORDINALITY AS s(weight, exposed, place)
    ), quota AS (
        SELECT place, exposed, units, CASE WHEN total > 0 THEN div(units * weight, total) ELSE 0 END AS whole,
               CASE WHEN total > 0 THEN mod(units * weight, total) ELSE 0 END AS rest, total
        FROM seat
    ), target AS (
        -- Largest remainders get what is left over.
        SELECT place, exposed, units,
               whole + CASE WHEN total > 0 AND row_number() OVER (ORDER BY rest DESC, place)
                                                  <= units - sum(whole) OVER () THEN 1 ELSE 0 END AS target
        FROM quota
    ), gap AS (
        SELECT place, exposed, target, greatest(0, target - exposed) AS gap,
               greatest(0, units - sum(exposed) OVER ()) AS free
        FROM target
    ), told AS (
        -- A rise is only for units that no seat shows or may still show; the widest gap first.
        SELECT place, CASE WHEN gap = 0 THEN target ELSE exposed + greatest(0, least(gap, free - coalesce(
            sum(gap) OVER (ORDER BY gap DESC, place ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0))) END AS told
        FROM gap
    )
    SELECT array_agg(told ORDER BY place) FROM told);
END $$;

-- Which rule decides each setting: of one (connection, variant, location) a key. `said` the settings, `decided` the rules
-- that said so, `turns_at` when the answer may be another. The most specific rule wins: one that names the variant, then
-- one that names the channel, then the place, then the category; of equals, the newest.
CREATE OR REPLACE FUNCTION channels_decide(
    p_keys bigint[], p_connections bigint[], p_variants bigint[], p_locations bigint[]
) RETURNS TABLE (key bigint, said jsonb, decided jsonb, turns_at timestamptz) LANGUAGE sql STABLE AS $$
    WITH spot AS (
        SELECT u.key, u.connection_id AS here_id, u.variant_id AS goods_id, u.location_id AS place_id,
               v.merchant_id AS shop_id, lower(btrim(p.category)) AS shelf, m.timezone AS zone
        FROM unnest(p_keys, p_connections, p_variants, p_locations)
            AS u(key, connection_id, variant_id, location_id)
        JOIN inventory_variant v ON v.id = u.variant_id
        JOIN inventory_product p ON p.id = v.product_id
        JOIN accounts_merchant m ON m.id = v.merchant_id
    ), broad AS (
        SELECT s.key, s.here_id, s.zone, r AS rule
        FROM spot s
        JOIN channels_availabilityrule r ON r.merchant_id = s.shop_id AND r.variant_id IS NULL AND r.deleted_at IS NULL
        WHERE (r.connection_id IS NULL OR r.connection_id = s.here_id)
          AND (r.location_id IS NULL OR r.location_id = s.place_id)
          AND (r.category = '' OR lower(btrim(r.category)) = s.shelf)
    ), narrow AS (
        SELECT s.key, s.here_id, s.zone, r AS rule
        FROM spot s
        JOIN channels_availabilityrule r ON r.variant_id = s.goods_id AND r.deleted_at IS NULL
        WHERE (r.connection_id IS NULL OR r.connection_id = s.here_id)
          AND (r.location_id IS NULL OR r.location_id = s.place_id)
    ), matched AS (
        SELECT b.key, b.here_id, (b.rule).*,
               ((b.rule).promised_date + 1)::timestamp AT TIME ZONE b.zone AS promise_ends_at,
               CASE WHEN (b.rule).first_connection_id <> b.here_id THEN (b.rule).first_until END AS stage_at
        FROM (SELECT * FROM broad UNION ALL SELECT * FROM narrow) b
    ), turning AS (
        SELECT m.key, min(t.at) AS turns_at
        FROM matched m
        CROSS JOIN LATERAL (VALUES (m.starts_at), (m.ends_at), (m.sells_from), (m.stage_at), (m.promise_ends_at)) AS t(at)
        WHERE t.at > clock_timestamp()
        GROUP BY m.key
    ), settled AS (
        SELECT DISTINCT ON (m.key, f.field) m.key, f.field, f.value, m.id AS rule_id
        FROM matched m
        CROSS JOIN LATERAL (VALUES
            ('safety_stock', to_jsonb(m.safety_stock)),
            ('channel_buffer', to_jsonb(m.channel_buffer)),
            ('share_percent', to_jsonb(m.share_percent)),
            ('cap', to_jsonb(m.cap)),
            ('is_paused', to_jsonb(m.is_paused)),
            ('is_tracked', to_jsonb(m.is_tracked)),
            ('mode', to_jsonb(nullif(m.mode, ''))),
            ('sells_from', CASE WHEN m.sells_from IS NOT NULL OR m.first_until IS NOT NULL
                                THEN to_jsonb(coalesce(greatest(m.sells_from, m.stage_at), m.created_at)) END),
            ('oversell', CASE WHEN m.oversell <> '' THEN jsonb_build_object(
                'kind', m.oversell, 'max', m.oversell_max, 'until', m.promise_ends_at, 'date', m.promised_date,
                'message', m.message) END)
        ) AS f(field, value)
        WHERE f.value IS NOT NULL
          AND (m.starts_at IS NULL OR m.starts_at <= clock_timestamp())
          AND (m.ends_at IS NULL OR m.ends_at > clock_timestamp())
        ORDER BY m.key, f.field, (m.variant_id IS NOT NULL) DESC, (m.connection_id IS NOT NULL) DESC,
                 (m.location_id IS NOT NULL) DESC, (m.category <> '') DESC, m.id DESC
    )
    SELECT u.key, coalesce(s.said, '{}'), coalesce(s.decided, '{}'), t.turns_at
    FROM unnest(p_keys) AS u(key)
    LEFT JOIN (SELECT x.key, jsonb_object_agg(x.field, x.value) AS said, jsonb_object_agg(x.field, x.rule_id) AS decided
               FROM settled x GROUP BY x.key) s ON s.key = u.key
    LEFT JOIN turning t ON t.key = u.key
$$;

-- Work out again what the rules come to for these cells; a cell that no rule concerns has no row. Call with the cells
-- locked. What was measured stays.
CREATE OR REPLACE FUNCTION channels_resolve(p_cells bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_connections bigint[];
    v_variants bigint[];
    v_locations bigint[];
    v_cells bigint[];
BEGIN
    SELECT array_agg(c.id ORDER BY c.id), array_agg(c.connection_id ORDER BY c.id),
           array_agg(l.variant_id ORDER BY c.id), array_agg(cl.location_id ORDER BY c.id)
    INTO v_cells, v_connections, v_variants, v_locations
    FROM channels_channelstock c
    JOIN channels_listing l ON l.id = c.listing_id AND l.variant_id IS NOT NULL
    JOIN channels_channellocation cl ON cl.id = c.channel_location_id AND cl.location_id IS NOT NULL
    WHERE c.id = ANY(p_cells)
      -- Without a rule, now or before, there is nothing to work out.
      AND (EXISTS (SELECT FROM channels_availabilityrule r WHERE r.merchant_id = c.merchant_id AND r.deleted_at IS NULL)
           OR EXISTS (SELECT FROM channels_cellpolicy y WHERE y.cell_id = c.id));
    IF v_cells IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO channels_cellpolicy AS y (
        cell_id, mode, safety_stock, channel_buffer, share_percent, cap, is_paused, is_tracked, sells_from, oversell,
        oversell_max, oversell_until, promised_date, message, decided, turns_at)
    SELECT d.key, coalesce(d.said ->> 'mode', 'shared'), coalesce((d.said ->> 'safety_stock')::numeric, 0),
           coalesce((d.said ->> 'channel_buffer')::numeric, 0), (d.said ->> 'share_percent')::numeric,
           (d.said ->> 'cap')::numeric, coalesce((d.said ->> 'is_paused')::boolean, false),
           coalesce((d.said ->> 'is_tracked')::boolean, true), (d.said ->> 'sells_from')::timestamptz,
           coalesce(d.said -> 'oversell' ->> 'kind', 'never'), (d.said -> 'oversell' ->> 'max')::numeric,
           (d.said -> 'oversell' ->> 'until')::timestamptz, (d.said -> 'oversell' ->> 'date')::date,
           coalesce(d.said -> 'oversell' ->> 'message', ''), d.decided, d.turns_at
    FROM channels_decide(v_cells, v_connections, v_variants, v_locations) d
    JOIN channels_channelstock c ON c.id = d.key
    WHERE d.decided <> '{}' OR d.turns_at IS NOT NULL
       OR EXISTS (SELECT FROM channels_cellpolicy y WHERE y.cell_id = d.key)
       -- Who shares a pool with escrow has a weight there.
       OR EXISTS (SELECT FROM channels_availabilityrule r WHERE r.merchant_id = c.merchant_id AND r.mode = 'escrow')
    ORDER BY d.key
    ON CONFLICT (cell_id) DO UPDATE SET
        mode = excluded.mode, safety_stock = excluded.safety_stock, channel_buffer = excluded.channel_buffer,
        share_percent = excluded.share_percent, cap = excluded.cap, is_paused = excluded.is_paused,
        is_tracked = excluded.is_tracked, sells_from = excluded.sells_from, oversell = excluded.oversell,
        oversell_max = excluded.oversell_max, oversell_until = excluded.oversell_until,
        promised_date = excluded.promised_date, message = excluded.message, decided = excluded.decided,
        turns_at = excluded.turns_at
    WHERE (y.decided, y.turns_at, y.mode, y.safety_stock, y.channel_buffer, y.share_percent, y.cap, y.is_paused,
           y.is_tracked, y.sells_from, y.oversell, y.oversell_max, y.oversell_until, y.promised_date, y.message)
       IS DISTINCT FROM (excluded.decided, excluded.turns_at, excluded.mode, excluded.safety_stock,
           excluded.channel_buffer, excluded.share_percent, excluded.cap, excluded.is_paused, excluded.is_tracked,
           excluded.sells_from, excluded.oversell, excluded.oversell_max, excluded.oversell_until,
           excluded.promised_date, excluded.message);
END $$;

-- Whether the shop of any of these cells sets units aside.
CREATE OR REPLACE FUNCTION channels_sets_aside(p_cells bigint[]) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (SELECT FROM channels_availabilityrule r
                   WHERE r.mode = 'escrow'
                     AND r.merchant_id IN (SELECT c.merchant_id FROM channels_channelstock c WHERE c.id = ANY(p_cells)))
$$;

-- The cells of a listing that have a cap: any one of them may take what another leaves of it.
CREATE OR REPLACE FUNCTION channels_capped(p_listing bigint) RETURNS TABLE (cell_id bigint, channel_location_id bigint)
LANGUAGE sql STABLE AS $$
    SELECT c.id, c.channel_location_id
    FROM channels_channelstock c JOIN channels_cellpolicy y ON y.cell_id = c.id AND y.cap IS NOT NULL
    WHERE c.listing_id = p_listing
$$;

-- With these cells all others that what they show decides something of: cells of one listing that share a cap; and where
-- the shop sets units aside, all at the same place that draw on the same units: of the same goods, of bundles with them, of
-- what else is in those bundles.
CREATE OR REPLACE FUNCTION channels_with_peers(p_cells bigint[]) RETURNS bigint[] LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF NOT channels_sets_aside(p_cells) THEN
        RETURN coalesce((
            SELECT array_agg(DISTINCT peer.id)
            FROM channels_channelstock c
            JOIN channels_channelstock peer ON peer.listing_id = c.listing_id
            WHERE c.id = ANY(p_cells) AND EXISTS (SELECT FROM channels_capped(c.listing_id))
        ), '{}') || p_cells;
    END IF;
    RETURN (
        WITH RECURSIVE kin AS (
            SELECT l.variant_id, cl.location_id
            FROM channels_channelstock c
            JOIN channels_listing l ON l.id = c.listing_id
            JOIN channels_channellocation cl ON cl.id = c.channel_location_id
            WHERE c.id = ANY(p_cells)
            UNION
            SELECT tie.variant_id, tie.location_id
            FROM kin
            CROSS JOIN LATERAL (
                SELECT k.variant_id, kin.location_id
                FROM inventory_bundle b JOIN inventory_bundlecomponent k ON k.bundle_id = b.id
                WHERE b.variant_id = kin.variant_id AND b.ended_at IS NULL AND NOT b.is_stocked
                UNION ALL
                SELECT b.variant_id, kin.location_id
                FROM inventory_bundlecomponent k JOIN inventory_bundle b ON b.id = k.bundle_id
                WHERE k.variant_id = kin.variant_id AND b.ended_at IS NULL AND NOT b.is_stocked
                UNION ALL
                SELECT l.variant_id, other.location_id
                FROM channels_listing l
                CROSS JOIN LATERAL channels_capped(l.id) capped
                JOIN channels_channellocation other ON other.id = capped.channel_location_id
                WHERE l.variant_id = kin.variant_id
            ) tie
        )
        SELECT array_agg(DISTINCT peer.id)
        FROM kin
        JOIN channels_listing l ON l.variant_id = kin.variant_id
        JOIN channels_channelstock peer ON peer.listing_id = l.id
        JOIN channels_channellocation cl ON cl.id = peer.channel_location_id AND cl.location_id = kin.location_id);
END $$;

-- Lock these cells with their peers, in primary-key order; null where the shop sets nothing aside, and nothing is locked.
CREATE OR REPLACE FUNCTION channels_lock_peers(p_cells bigint[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
BEGIN
    IF NOT channels_sets_aside(p_cells) THEN
        RETURN NULL;
    END IF;
    RETURN (
        SELECT array_agg(locked.id) FROM (
            SELECT c.id FROM channels_channelstock c
            WHERE c.id = ANY(channels_with_peers(p_cells))
            ORDER BY c.id FOR NO KEY UPDATE OF c
        ) locked);
END $$;

-- What each of these cells should show now, and how that comes about. The cells must come with their peers. `cap`: where
-- the places of a channel share one, what is left of it for this place. `desired` is null where the number is not told.
--
-- To plan this costs ten times what it takes to run for the few cells of a posting: those have one plan for all, kept by
-- the session. Many are planned for as many as they are. The function's own SET puts the setting back at its end.
CREATE OR REPLACE FUNCTION channels_publishable(p_cells bigint[]) RETURNS TABLE (
    cell_id bigint, pool numeric, own numeric, mode text, safety_stock numeric, channel_buffer numeric, hidden numeric,
    share_percent numeric, cap numeric, extra numeric, is_open boolean, is_tracked boolean, offer numeric,
    allotted numeric, desired numeric
) LANGUAGE plpgsql STABLE ROWS 10 SET plan_cache_mode = auto AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('plan_cache_mode', CASE WHEN cardinality(p_cells) > 100 THEN 'force_custom_plan'
                                               ELSE 'force_generic_plan' END, true);
    RETURN QUERY
    WITH offers AS (
        SELECT o.*, channels_offer(o.pool, o.safety_stock + o.channel_buffer + o.hidden, o.share_percent, o.extra,
                                   CASE WHEN NOT o.is_capped_together THEN o.cap END, o.is_open) AS offer
        FROM (
            SELECT p.*, coalesce(y.mode, 'shared') AS mode, coalesce(y.safety_stock, 0) AS safety_stock,
                   coalesce(y.channel_buffer, 0) AS channel_buffer,
                   CASE WHEN y.mode = 'buffered' THEN y.hidden ELSE 0 END AS hidden, y.share_percent, y.cap,
                   -- A rule that names no place caps the channel, one that does its place.
                   y.cap IS NOT NULL AND NOT EXISTS (
                       SELECT FROM channels_availabilityrule r
                       WHERE r.id = (y.decided ->> 'cap')::bigint AND r.location_id IS NOT NULL) AS is_capped_together,
                   CASE WHEN y.oversell IN ('backorder', 'preorder')
                             AND (y.oversell_until IS NULL OR y.oversell_until > clock_timestamp())
                        THEN channels_promised(y.oversell_max, y.promised_date, p.incoming) ELSE 0 END AS extra,
                   NOT coalesce(y.is_paused, false)
                       AND (y.sells_from IS NULL OR y.sells_from <= clock_timestamp()) AS is_open,
                   coalesce(y.is_tracked, true) AS is_tracked, coalesce(y.weight, 1) AS weight
            FROM channels_pool(p_cells) p
            LEFT JOIN channels_cellpolicy y ON y.cell_id = p.cell_id
        ) o
    ), needs AS (
        -- What a cell draws on: its own goods, or so many of each part of a bundle, which needs a seat at every part's
        -- pool. Each cell in escrow has a seat of its own, all others together have one (0).
        SELECT o.cell_id, o.location_id, coalesce(k.variant_id, o.variant_id) AS part_id, coalesce(k.quantity, 1) AS each,
               CASE WHEN o.mode = 'escrow' THEN o.cell_id ELSE 0 END AS seat, o.is_kept, n.channel = 'own' AS is_asked,
               -- A bundle that cannot be made, for want of another part, needs nothing of this one.
               CASE WHEN o.is_open AND o.is_tracked AND (k.id IS NULL OR o.offer > 0) THEN o.weight ELSE 0 END AS weight,
               greatest(0, c.expected - o.own, c.expected + w.to_quantity - w.from_quantity - o.own,
                        CASE WHEN c.drift_at IS NOT NULL THEN c.observed - o.own END,
                        -- Our own site is granted what it should show, whether it was told or not.
                        CASE WHEN n.channel = 'own' THEN c.desired END) AS exposed,
               -- A channel that answered with less than we believe has sold units whose news is on its way: they are gone.
               CASE WHEN c.observed_at >= c.told_at THEN greatest(0, c.expected - c.observed) ELSE 0 END AS gone,
               c.doubt,
               CASE WHEN o.is_open AND k.id IS NULL THEN o.safety_stock + o.channel_buffer END AS kept,
               CASE WHEN o.is_open AND o.is_tracked AND k.id IS NULL THEN o.extra ELSE 0 END AS extra
        FROM offers o
        JOIN channels_channelstock c ON c.id = o.cell_id
        JOIN channels_connection n ON n.id = c.connection_id
        LEFT JOIN channels_channelwriteline w ON w.write_id = c.write_id AND w.cell_id = c.id
        LEFT JOIN (inventory_bundle b JOIN inventory_bundlecomponent k ON k.bundle_id = b.id)
            ON b.variant_id = o.variant_id AND b.ended_at IS NULL AND NOT b.is_stocked
        WHERE EXISTS (SELECT FROM offers e WHERE e.mode = 'escrow' AND e.location_id = o.location_id)
    ), seats AS (
        SELECT d.part_id, d.location_id, d.seat, sum(d.weight * d.each) AS weight,
               coalesce(sum(d.weight) FILTER (WHERE d.extra > 0), 0) AS weight_beyond,
               max(d.exposed * d.each) AS exposed, sum(d.gone * d.each) AS gone, min(d.kept) AS kept,
               max(d.extra) AS extra
        FROM needs d
        WHERE d.is_kept AND EXISTS (
            SELECT FROM needs e WHERE e.seat <> 0 AND e.part_id = d.part_id AND e.location_id = d.location_id)
        GROUP BY 1, 2, 3
    ), doubts AS (
        SELECT d.part_id, d.location_id, sum(d.doubt * d.each) AS units FROM needs d GROUP BY 1, 2
    ), shelves AS (
        SELECT g.*, coalesce(s.available, 0) - g.gone - g.kept - u.units AS shelf
        FROM (
            SELECT s.part_id, s.location_id, sum(s.gone) AS gone, coalesce(min(s.kept), 0) AS kept,
                   max(s.extra) AS extra, array_agg(s.seat ORDER BY s.seat) AS seats,
                   array_agg(s.weight ORDER BY s.seat) AS weights,
                   array_agg(s.weight_beyond ORDER BY s.seat) AS weights_beyond,
                   array_agg(s.exposed ORDER BY s.seat) AS exposed, sum(s.exposed) AS exposed_together
            FROM seats s GROUP BY 1, 2
        ) g
        JOIN doubts u ON u.part_id = g.part_id AND u.location_id = g.location_id
        LEFT JOIN inventory_stocklevel s ON s.variant_id = g.part_id AND s.location_id = g.location_id
    ), pools AS (
        -- What is on its way lies on no shelf: it is shared out once nothing is left there, among those who may promise
        -- it. So nobody who sells from the shelf is ever shown a unit that has yet to come.
        SELECT h.part_id, h.location_id, h.seats, h.exposed, h.exposed_together,
               CASE WHEN h.shelf >= 1 THEN h.shelf ELSE h.shelf + h.extra END AS units,
               CASE WHEN h.shelf >= 1 THEN h.weights ELSE h.weights_beyond END AS weights
        FROM shelves h
    ), allotments AS MATERIALIZED (
        SELECT p.part_id, p.location_id, u.seat, u.units,
               greatest(0, p.units - (p.exposed_together - u.exposed)) AS shown_nowhere_else
        FROM pools p
        CROSS JOIN LATERAL unnest(p.seats, channels_escrow(p.units, p.weights, p.exposed), p.exposed)
            AS u(seat, units, exposed)
    ), allotted AS (
        -- Who is granted units the moment it asks gets none that another channel may still show, not even in a fall.
        SELECT d.cell_id, min(CASE WHEN d.each = 1 THEN x.units ELSE floor(x.units / d.each) END) AS units
        FROM needs d
        JOIN allotments a ON a.part_id = d.part_id AND a.location_id = d.location_id AND a.seat = d.seat
        CROSS JOIN LATERAL (
            SELECT CASE WHEN d.is_asked THEN least(a.units, a.shown_nowhere_else) ELSE a.units END AS units
        ) x
        GROUP BY d.cell_id
    ), uncapped AS (
        SELECT o.*, a.units AS allotted, least(o.offer, a.units - o.hidden) AS units
        FROM offers o LEFT JOIN allotted a ON a.cell_id = o.cell_id
    ), shares AS (
        -- One cap for all places of a listing: each shows what those before it leave, the place that ships rather first.
        SELECT u.cell_id, greatest(0, u.cap - coalesce(sum(
                   CASE WHEN u.is_tracked THEN greatest(0, CASE WHEN u.takes_fractions THEN u.units ELSE floor(u.units) END)
                        ELSE 0 END)
                   OVER (PARTITION BY c.listing_id ORDER BY place.rank, place.id
                         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)) AS cap
        FROM uncapped u
        JOIN channels_channelstock c ON c.id = u.cell_id
        JOIN inventory_location place ON place.id = u.location_id
        WHERE u.is_capped_together
    )
    SELECT f.cell_id, f.pool, f.own, f.mode::text, f.safety_stock, f.channel_buffer, f.hidden, f.share_percent, f.cap,
           f.extra, f.is_open, f.is_tracked, f.offer, f.allotted,
           CASE WHEN NOT f.is_tracked THEN NULL
                WHEN f.number >= 0 OR f.can_be_set_negative THEN f.number
                -- Below zero a channel shows 0, or its own negative number where it went there by itself.
                ELSE least(0, coalesce(f.expected, 0)) END
    FROM (
        SELECT u.cell_id, u.pool, u.own, u.mode, u.safety_stock, u.channel_buffer, u.hidden, u.share_percent,
               coalesce(s.cap, u.cap) AS cap, u.extra, u.is_open, u.is_tracked, u.offer, u.allotted,
               u.can_be_set_negative, u.expected,
               CASE WHEN u.takes_fractions THEN x.units ELSE floor(x.units) END AS number
        FROM uncapped u
        LEFT JOIN shares s ON s.cell_id = u.cell_id
        CROSS JOIN LATERAL (SELECT least(u.units, s.cap) + u.own AS units) x
    ) f;
END $$;

-- A product whose category changed, or a variant that became another product's, may have other rules. Only noted here:
-- working it out locks cells, which come after everything that the writer of a catalog may still lock.
CREATE OR REPLACE FUNCTION channels_category_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM channels_availabilityrule r WHERE r.merchant_id = NEW.merchant_id AND r.category <> '') THEN
        INSERT INTO channels_rulework (product_id) VALUES (CASE TG_TABLE_NAME
            WHEN 'inventory_product' THEN NEW.id ELSE (to_jsonb(NEW) ->> 'product_id')::bigint END);
    END IF;
    RETURN NULL;
END $$;

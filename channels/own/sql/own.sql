-- What the shop's own site may promise, and what it is told when a hold ends.

-- The number a channel should show is the number it may promise: the rules behind `desired` hold for holds too. Asked
-- under the levels' locks; every posting recomputes `desired` under the same locks.
CREATE OR REPLACE FUNCTION inventory_refused_by_channel(p_channel bigint, p_wants jsonb) RETURNS jsonb
LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(jsonb_build_object('variant_id', x.variant_id, 'location_id', x.location_id,
                                        'available', coalesce(c.desired, 0)))
    FROM jsonb_to_recordset(p_wants) AS x(variant_id bigint, location_id bigint, quantity numeric)
    LEFT JOIN channels_listing l
      ON l.connection_id = p_channel AND l.variant_id = x.variant_id AND l.link = 'linked' AND l.deleted_at IS NULL
    LEFT JOIN channels_channellocation cl ON cl.connection_id = p_channel AND cl.location_id = x.location_id
    LEFT JOIN channels_channelstock c ON c.listing_id = l.id AND c.channel_location_id = cl.id
    WHERE coalesce(c.desired, 0) < x.quantity
$$;

-- What a rule lets the site promise beyond the shelf (backorder, pre-order) counts for holds as it does for its number.
CREATE OR REPLACE FUNCTION inventory_promised_beyond(p_channel bigint, p_wants jsonb)
RETURNS TABLE (variant_id bigint, location_id bigint, units numeric) LANGUAGE sql STABLE AS $$
    WITH cells AS (
        SELECT c.id, x.variant_id, x.location_id
        FROM jsonb_to_recordset(p_wants) AS x(variant_id bigint, location_id bigint)
        JOIN channels_listing l
          ON l.connection_id = p_channel AND l.variant_id = x.variant_id AND l.link = 'linked' AND l.deleted_at IS NULL
        JOIN channels_channellocation cl ON cl.connection_id = p_channel AND cl.location_id = x.location_id
        JOIN channels_channelstock c ON c.listing_id = l.id AND c.channel_location_id = cl.id
        JOIN channels_cellpolicy y ON y.cell_id = c.id AND y.oversell IN ('backorder', 'preorder')
    )
    SELECT cells.variant_id, cells.location_id, p.extra
    FROM cells JOIN channels_publishable((SELECT array_agg(id) FROM cells)) p ON p.cell_id = cells.id
    WHERE p.extra > 0
$$;

-- A hold of the site's own that ends is told to it: the message is a row of the very transaction that ends the hold.
CREATE OR REPLACE FUNCTION own_hold_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO own_webhookmessage (merchant_id, connection_id, message_id, topic, reservation_id, body, created_at)
    SELECT r.merchant_id, r.channel_id, 'msg_' || replace(gen_random_uuid()::text, '-', ''), t.topic, r.id, '',
           clock_timestamp()
    FROM now_rows r
    JOIN before_rows b ON b.id = r.id AND b.state = 'held' AND r.state <> 'held'
    CROSS JOIN LATERAL (
        SELECT 'hold.' || CASE r.state WHEN 'committed' THEN 'converted' ELSE r.state END AS topic
    ) t
    WHERE r.channel_id IS NOT NULL
      AND EXISTS (SELECT FROM own_webhookendpoint e
                  WHERE e.connection_id = r.channel_id AND e.is_on AND e.removed_at IS NULL AND t.topic = ANY(e.topics));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER own_hold_ended AFTER UPDATE ON inventory_reservation
    REFERENCING OLD TABLE AS before_rows NEW TABLE AS now_rows FOR EACH STATEMENT EXECUTE FUNCTION own_hold_ended();

-- A delivery's day was moved: a site that sells, or sold, on it may have other days to tell its buyers. What changed is
-- worked out when the message is made up; a message with nothing to tell is dropped there.
CREATE OR REPLACE FUNCTION own_day_moved() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO own_webhookmessage (merchant_id, connection_id, message_id, topic, change, body, created_at)
    SELECT NEW.merchant_id, n.id, 'msg_' || replace(gen_random_uuid()::text, '-', ''), 'availability.changed',
           jsonb_build_object('arrival', NEW.id, 'before', OLD.expected_date), '', clock_timestamp()
    FROM channels_connection n
    WHERE n.merchant_id = NEW.merchant_id AND n.channel = 'own' AND n.state <> 'closed'
      AND EXISTS (SELECT FROM own_webhookendpoint e
                  WHERE e.connection_id = n.id AND e.is_on AND e.removed_at IS NULL
                    AND 'availability.changed' = ANY(e.topics))
      AND EXISTS (SELECT FROM channels_cellpolicy y JOIN channels_channelstock c ON c.id = y.cell_id
                  WHERE c.connection_id = n.id AND y.oversell IN ('backorder', 'preorder'));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER own_day_moved AFTER UPDATE OF expected_date ON inventory_arrival FOR EACH ROW
    WHEN (OLD.expected_date IS DISTINCT FROM NEW.expected_date AND NEW.state = 'open')
    EXECUTE FUNCTION own_day_moved();

-- The site lists every variant at every place, and follows them: new ones, other names, archived and brought back.
-- Returns the cells that are new. What is excluded there stays excluded.
CREATE OR REPLACE FUNCTION own_follow_catalog(p_connection bigint, p_merchant bigint) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    INSERT INTO channels_channellocation (merchant_id, connection_id, external_id, name, is_active, location_id)
    SELECT o.merchant_id, p_connection, o.id::text, o.name, o.is_active, o.id
    FROM inventory_location o WHERE o.merchant_id = p_merchant
    ON CONFLICT (connection_id, external_id) DO UPDATE SET name = excluded.name, is_active = excluded.is_active
    WHERE (channels_channellocation.name, channels_channellocation.is_active)
          IS DISTINCT FROM (excluded.name, excluded.is_active);

    UPDATE channels_listing l
    SET product_title = p.title, title = v.title, sku = v.sku, sku_key = v.sku_key, gtin = v.gtin,
        options = v.options, image_url = p.image_url, price = v.price, seen_at = v_now,
        deleted_at = CASE WHEN v.archived_at IS NULL THEN NULL ELSE coalesce(l.deleted_at, v_now) END
    FROM inventory_variant v JOIN inventory_product p ON p.id = v.product_id
    WHERE l.connection_id = p_connection AND v.merchant_id = p_merchant AND l.external_id = v.id::text
      AND (l.product_title, l.title, l.sku, l.gtin, l.price, l.image_url, l.deleted_at IS NULL)
          IS DISTINCT FROM (p.title, v.title, v.sku, v.gtin, v.price, p.image_url, v.archived_at IS NULL);

    INSERT INTO channels_listing (
        merchant_id, connection_id, external_id, inventory_id, product_external_id, product_title, title, sku, sku_key,
        gtin, barcode, options, vendor, category, image_url, price, is_tracked, sells_past_zero, variant_id, link,
        link_reason, linked_at, seen_at)
    SELECT v.merchant_id, p_connection, v.id::text, v.id::text, v.product_id::text, p.title, v.title, v.sku, v.sku_key,
           v.gtin, '', v.options, p.vendor, p.category, p.image_url, v.price, true, false, v.id, 'linked',
           'our own site lists every variant', v_now, v_now
    FROM inventory_variant v JOIN inventory_product p ON p.id = v.product_id
    WHERE v.merchant_id = p_merchant AND v.archived_at IS NULL
      AND NOT EXISTS (SELECT FROM channels_listing l
                      WHERE l.connection_id = p_connection AND l.external_id = v.id::text)
    ON CONFLICT DO NOTHING;

    -- Nothing is shown there that we did not tell: from 0 every number is a rise, told like any other.
    RETURN QUERY
    INSERT INTO channels_channelstock (merchant_id, connection_id, listing_id, channel_location_id, expected, doubt,
                                       attempts, blocked_reason)
    SELECT l.merchant_id, l.connection_id, l.id, cl.id, 0, 0, 0, ''
    FROM channels_listing l
    JOIN channels_channellocation cl
      ON cl.connection_id = l.connection_id AND cl.location_id IS NOT NULL AND cl.is_active
    WHERE l.connection_id = p_connection AND l.link = 'linked' AND l.deleted_at IS NULL
      AND NOT EXISTS (SELECT FROM channels_channelstock c
                      WHERE c.listing_id = l.id AND c.channel_location_id = cl.id)
    ORDER BY l.id, cl.id
    ON CONFLICT DO NOTHING
    RETURNING id;
END $$;

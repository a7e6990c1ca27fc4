-- Who else has a say in holds: nobody, until an app that knows channels replaces these.

-- What a channel may not promise of what is wanted (p_wants: [{variant_id, location_id, quantity}, …]), one object a
-- refused line with the number it may (`available`); null where nothing is refused. Empty here: nobody but the stock
-- itself says no. An app that knows channels replaces it in a migration of its own (docs/adr/0002).
CREATE OR REPLACE FUNCTION inventory_refused_by_channel(p_channel bigint, p_wants jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT NULL::jsonb
$$;

-- Units that a channel may promise beyond what is there, by a day when they will be, of what is wanted. Empty here: none.
CREATE OR REPLACE FUNCTION inventory_promised_beyond(p_channel bigint, p_wants jsonb)
RETURNS TABLE (variant_id bigint, location_id bigint, units numeric) LANGUAGE sql AS $$
    SELECT NULL::bigint, NULL::bigint, NULL::numeric WHERE false
$$;

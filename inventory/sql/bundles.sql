-- What a bundle may be made of: variants of its own shop that have stock of their own, never in a ring.

CREATE OR REPLACE FUNCTION inventory_check_bundle(p_variant bigint, p_merchant bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_detail text;
BEGIN
    SELECT string_agg(v.id::text, ', ') INTO v_detail
    FROM inventory_variant v
    WHERE v.merchant_id <> p_merchant
      AND (v.id = p_variant
           OR v.id IN (SELECT k.variant_id
                       FROM inventory_bundle b JOIN inventory_bundlecomponent k ON k.bundle_id = b.id
                       WHERE b.variant_id = p_variant AND b.ended_at IS NULL));
    IF v_detail IS NOT NULL THEN
        RAISE EXCEPTION 'variant % is another shop''s', v_detail USING ERRCODE = 'SS006';
    END IF;
    -- Nested either way round: a part of it is a bundle, or it is one and is a part.
    SELECT string_agg(DISTINCT inner_one.variant_id::text, ', ') INTO v_detail
    FROM inventory_bundle inner_one
    JOIN inventory_bundlecomponent k ON k.variant_id = inner_one.variant_id
    JOIN inventory_bundle outer_one ON outer_one.id = k.bundle_id AND outer_one.ended_at IS NULL
    WHERE inner_one.ended_at IS NULL AND NOT inner_one.is_stocked
      AND p_variant IN (inner_one.variant_id, outer_one.variant_id);
    IF v_detail IS NOT NULL THEN
        RAISE EXCEPTION 'variant % is a bundle itself', v_detail USING ERRCODE = 'SS006';
    END IF;
    -- UNION, not UNION ALL: a ring ends.
    WITH RECURSIVE inside AS (
        SELECT k.variant_id
        FROM inventory_bundle b JOIN inventory_bundlecomponent k ON k.bundle_id = b.id
        WHERE b.variant_id = p_variant AND b.ended_at IS NULL
        UNION
        SELECT k.variant_id
        FROM inside i
        JOIN inventory_bundle b ON b.variant_id = i.variant_id AND b.ended_at IS NULL
        JOIN inventory_bundlecomponent k ON k.bundle_id = b.id
    )
    SELECT p_variant::text INTO v_detail FROM inside WHERE variant_id = p_variant;
    IF v_detail IS NOT NULL THEN
        RAISE EXCEPTION 'variant % would be made of itself', v_detail USING ERRCODE = 'SS006';
    END IF;
END $$;

-- Definitions of one shop come one after another: two that are well alone may make a ring together.
CREATE OR REPLACE FUNCTION inventory_bundle_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('inventory_bundle'), NEW.merchant_id::int);
    IF NEW.ended_at IS NULL THEN
        PERFORM inventory_check_bundle(NEW.variant_id, NEW.merchant_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER bundle_is_possible AFTER INSERT OR UPDATE ON inventory_bundle
    FOR EACH ROW EXECUTE FUNCTION inventory_bundle_changes();

CREATE OR REPLACE FUNCTION inventory_bundle_component_changes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_bundle inventory_bundle;
BEGIN
    SELECT * INTO v_bundle FROM inventory_bundle WHERE id = NEW.bundle_id;
    PERFORM pg_advisory_xact_lock(hashtext('inventory_bundle'), v_bundle.merchant_id::int);
    IF v_bundle.ended_at IS NULL THEN
        PERFORM inventory_check_bundle(v_bundle.variant_id, v_bundle.merchant_id);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER bundlecomponent_is_possible AFTER INSERT OR UPDATE ON inventory_bundlecomponent
    FOR EACH ROW EXECUTE FUNCTION inventory_bundle_component_changes();

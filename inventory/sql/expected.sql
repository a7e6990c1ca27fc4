-- What is on its way, by variant, place and day: one row a line of an arrival that was sent and has units left to come.
-- Lines keep the variant they were written with; what became part of another is the survivor's, as its stock is.
CREATE OR REPLACE FUNCTION inventory_expected(p_variants bigint[])
RETURNS TABLE (variant_id bigint, location_id bigint, arrival_id bigint, expected_date date, units numeric)
LANGUAGE sql STABLE AS $$
    WITH RECURSIVE named AS (
        SELECT v.id AS variant_id, v.id AS holder_id
        FROM unnest(p_variants) AS v(id)
        WHERE NOT EXISTS (SELECT FROM inventory_variantmerge m WHERE m.duplicate_id = v.id AND m.parted_at IS NULL)
        UNION ALL
        SELECT m.duplicate_id, n.holder_id
        FROM named n JOIN inventory_variantmerge m ON m.survivor_id = n.variant_id AND m.parted_at IS NULL
    )
    SELECT n.holder_id, a.destination_id, a.id, a.expected_date, l.remaining
    FROM named n
    -- By the variant, whatever the planner takes a delivery's length for: OFFSET 0 keeps it from reading whole deliveries.
    CROSS JOIN LATERAL (
        SELECT x.arrival_id, x.remaining FROM inventory_arrivalline x
        WHERE x.variant_id = n.variant_id AND x.remaining > 0 OFFSET 0
    ) l
    JOIN inventory_arrival a ON a.id = l.arrival_id AND a.sent_at IS NOT NULL
$$;

"""Proves that the sum of movements is the level, for every cell."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

# One pass over the movements. Also: numbered without gaps, each balance the sum so far, keys complete.
_VERIFY = """
WITH walked AS (
    SELECT level_id, seq, on_hand, committed, reserved, unavailable, incoming, on_hand_after, available_after,
           row_number() OVER cell AS place,
           sum(on_hand) OVER cell AS on_hand_sum,
           sum(on_hand - committed - reserved - unavailable) OVER cell AS available_sum
    FROM inventory_stockmovement
    WINDOW cell AS (PARTITION BY level_id ORDER BY seq)
), summed AS (
    SELECT level_id, count(*) AS lines, max(seq) AS last_seq,
           sum(on_hand) AS on_hand, sum(committed) AS committed, sum(reserved) AS reserved,
           sum(unavailable) AS unavailable, sum(incoming) AS incoming,
           count(*) FILTER (WHERE seq <> place) AS misnumbered,
           count(*) FILTER (WHERE on_hand_after <> on_hand_sum OR available_after <> available_sum) AS misbalanced
    FROM walked GROUP BY level_id
)
SELECT l.id, l.variant_id, l.location_id,
       concat_ws('; ',
           CASE WHEN l.on_hand <> coalesce(s.on_hand, 0)
                THEN format('on hand %s, movements say %s', trim_scale(l.on_hand),
                            trim_scale(coalesce(s.on_hand, 0))) END,
           CASE WHEN (l.committed, l.reserved, l.unavailable, l.incoming) IS DISTINCT FROM
                     (coalesce(s.committed, 0), coalesce(s.reserved, 0), coalesce(s.unavailable, 0),
                      coalesce(s.incoming, 0)) THEN 'committed, reserved, unavailable or incoming differ' END,
           CASE WHEN l.last_seq <> coalesce(s.last_seq, 0) OR l.last_seq <> coalesce(s.lines, 0)
                THEN format('%s movements, last numbered %s, level says %s', coalesce(s.lines, 0),
                            coalesce(s.last_seq, 0), l.last_seq) END,
           CASE WHEN s.misnumbered > 0 THEN format('%s movements out of number', s.misnumbered) END,
           CASE WHEN s.misbalanced > 0 THEN format('%s movements with a wrong balance', s.misbalanced) END) AS wrong
FROM inventory_stocklevel l LEFT JOIN summed s ON s.level_id = l.id
ORDER BY l.id
"""

# What a bundle holds, its parts hold; what a merged variant holds, the survivor holds.
_HOLDERS = """
RECURSIVE final AS (
    SELECT duplicate_id AS variant_id, survivor_id AS holder_id FROM inventory_variantmerge WHERE parted_at IS NULL
    UNION ALL
    SELECT f.variant_id, m.survivor_id FROM final f
    JOIN inventory_variantmerge m ON m.duplicate_id = f.holder_id AND m.parted_at IS NULL
), holder AS (
    SELECT v.id AS variant_id, coalesce((SELECT f.holder_id FROM final f WHERE f.variant_id = v.id AND NOT EXISTS (
        SELECT FROM inventory_variantmerge m WHERE m.duplicate_id = f.holder_id AND m.parted_at IS NULL)), v.id)
        AS holder_id
    FROM inventory_variant v
)
"""
_HELD = """, promised AS (
    SELECT ol.variant_id, ol.bundle_id, oh.location_id, oh.committed, 0 AS reserved
    FROM inventory_orderhold oh JOIN inventory_orderline ol ON ol.id = oh.line_id WHERE oh.committed <> 0
    UNION ALL
    SELECT rl.variant_id, rl.bundle_id, rl.location_id, 0, rl.quantity
    FROM inventory_reservationline rl JOIN inventory_reservation r ON r.id = rl.reservation_id WHERE r.state = 'held'
), held AS (
    SELECT h.holder_id AS variant_id, p.location_id, sum(p.committed * coalesce(k.quantity, 1)) AS committed,
           sum(p.reserved * coalesce(k.quantity, 1)) AS reserved
    FROM promised p
    LEFT JOIN inventory_bundlecomponent k ON k.bundle_id = p.bundle_id
    JOIN holder h ON h.variant_id = coalesce(k.variant_id, p.variant_id)
    GROUP BY 1, 2
)
"""

# What placed orders hold must be what the levels call committed, what running holds hold what they call reserved.
_VERIFY_PROMISES = """
WITH {holders} {held}
SELECT l.id, l.variant_id, l.location_id,
       concat_ws('; ',
           CASE WHEN l.committed <> coalesce(h.committed, 0)
                THEN format('committed %s, open orders hold %s', trim_scale(l.committed),
                            trim_scale(coalesce(h.committed, 0))) END,
           CASE WHEN l.reserved <> coalesce(h.reserved, 0)
                THEN format('reserved %s, running holds hold %s', trim_scale(l.reserved),
                            trim_scale(coalesce(h.reserved, 0))) END)
FROM inventory_stocklevel l
LEFT JOIN held h ON h.variant_id = l.variant_id AND h.location_id = l.location_id
WHERE (l.committed, l.reserved) IS DISTINCT FROM (coalesce(h.committed, 0), coalesce(h.reserved, 0)) ORDER BY l.id
"""

# What the levels call incoming must be what arrivals that were sent still expect.
_VERIFY_INCOMING = """
WITH {holders}, expected AS (
    SELECT h.holder_id AS variant_id, a.destination_id AS location_id, sum(al.remaining) AS units
    FROM inventory_arrivalline al
    JOIN inventory_arrival a ON a.id = al.arrival_id AND a.sent_at IS NOT NULL
    JOIN holder h ON h.variant_id = al.variant_id
    WHERE al.remaining > 0 GROUP BY 1, 2
)
SELECT l.id, l.variant_id, l.location_id,
       format('incoming %s, open arrivals expect %s', trim_scale(l.incoming), trim_scale(coalesce(e.units, 0)))
FROM inventory_stocklevel l
LEFT JOIN expected e ON e.variant_id = l.variant_id AND e.location_id = l.location_id
WHERE l.incoming <> coalesce(e.units, 0) ORDER BY l.id
"""

# A bundle made up when sold holds nothing itself.
_VERIFY_BUNDLES = """
SELECT l.id, l.variant_id, l.location_id, 'a bundle with stock of its own'
FROM inventory_stocklevel l
JOIN inventory_bundle b ON b.variant_id = l.variant_id AND b.ended_at IS NULL AND NOT b.is_stocked
WHERE (l.on_hand, l.committed, l.reserved, l.unavailable, l.incoming) IS DISTINCT FROM (0, 0, 0, 0, 0) ORDER BY l.id
"""

# Packing makes and loses nothing: for every part and place, packs made × units in a pack = units that went.
_VERIFY_PACKS = """
WITH {holders}, packed AS (
    SELECT m.bundle_id, m.location_id, h.holder_id AS variant_id, sum(m.on_hand + m.absorbed) AS units
    FROM inventory_stockmovement m JOIN holder h ON h.variant_id = m.variant_id
    WHERE m.kind IN ('pack', 'unpack') GROUP BY 1, 2, 3
)
SELECT l.id, l.variant_id, l.location_id,
       format('%s packed into %s, of which each takes %s', trim_scale(-part.units), trim_scale(whole.units),
              trim_scale(k.quantity))
FROM packed part
JOIN inventory_bundlecomponent k ON k.bundle_id = part.bundle_id
JOIN holder kh ON kh.variant_id = k.variant_id AND kh.holder_id = part.variant_id
JOIN inventory_bundle b ON b.id = part.bundle_id
JOIN holder bh ON bh.variant_id = b.variant_id
LEFT JOIN packed whole
    ON whole.bundle_id = part.bundle_id AND whole.location_id = part.location_id AND whole.variant_id = bh.holder_id
JOIN inventory_stocklevel l ON l.variant_id = part.variant_id AND l.location_id = part.location_id
WHERE part.units + coalesce(whole.units, 0) * k.quantity <> 0 ORDER BY l.id
"""


@dataclass(frozen=True)
class Breach:
    """A cell whose level is not what its movements say."""

    level_id: int
    variant_id: int
    location_id: int
    wrong: str


@dataclass(frozen=True)
class Verdict:
    """How many cells were proven, and those that failed."""

    cells: int
    breaches: list[Breach]


def statements() -> list[str]:
    """What is asked, a row for each breach as in `Breach`; the first has one for every cell, "" where it holds."""
    others = (_VERIFY_PROMISES, _VERIFY_INCOMING, _VERIFY_BUNDLES, _VERIFY_PACKS)
    return [_VERIFY, *(statement.format(holders=_HOLDERS, held=_HELD) for statement in others)]


def verify() -> Verdict:
    """Walk all movements of all merchants, each query in one snapshot. Reads only; locks nothing."""
    walk, *others = statements()
    with connection.cursor() as cursor:
        cursor.execute(walk)
        cells, breaches = 0, []
        for row in cursor:
            cells += 1
            if row[3]:
                breaches.append(Breach(*row))
        for statement in others:
            cursor.execute(statement)
            breaches.extend(Breach(*row) for row in cursor)
    return Verdict(cells=cells, breaches=breaches)

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

# What placed orders hold must be what the levels call committed (holds of reservations are `reserved`).
_VERIFY_ORDERS = """
SELECT l.id, l.variant_id, l.location_id,
       format('committed %s, open orders hold %s', trim_scale(l.committed), trim_scale(coalesce(h.committed, 0)))
FROM inventory_stocklevel l
LEFT JOIN (SELECT ol.variant_id, oh.location_id, sum(oh.committed) AS committed
           FROM inventory_orderhold oh JOIN inventory_orderline ol ON ol.id = oh.line_id
           GROUP BY 1, 2) h ON h.variant_id = l.variant_id AND h.location_id = l.location_id
WHERE l.committed <> coalesce(h.committed, 0) ORDER BY l.id
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


def verify() -> Verdict:
    """Walk all movements of all merchants, each query in one snapshot. Reads only; locks nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_VERIFY)
        cells, breaches = 0, []
        for row in cursor:
            cells += 1
            if row[3]:
                breaches.append(Breach(*row))
        cursor.execute(_VERIFY_ORDERS)
        breaches.extend(Breach(*row) for row in cursor)
    return Verdict(cells=cells, breaches=breaches)

"""What only the whole file shows: two rows that are one thing, rows of one product, who may rename a product.

A few statements over the staged rows, whatever their number; running it twice changes nothing.
"""

from __future__ import annotations

from typing import Any

from django.db import connection as database
from django.db import transaction

from onboarding.importing.fields import is_stock_only
from onboarding.models import ImportBatch

_SAME_KEY = """
UPDATE onboarding_stagedrow s
SET action = 'error', diff = '{}',
    problems = s.problems || jsonb_build_array(jsonb_build_object(
        'field', d.field, 'is_error', true, 'by_comparing', true,
        'words', format('Row %%s has the same %%s already.', d.first, d.what)))
FROM (
    SELECT id, number, min(number) OVER (PARTITION BY key) AS first,
           CASE split_part(key, ':', 1) WHEN 'gtin' THEN 'gtin' WHEN 'title' THEN 'product_title'
               ELSE 'sku' END AS field,
           CASE split_part(key, ':', 1) WHEN 'gtin' THEN 'barcode and no SKU'
               WHEN 'title' THEN 'title and options, and no SKU' WHEN 'place' THEN 'SKU for this place'
               ELSE 'SKU' END AS what
    FROM onboarding_stagedrow WHERE batch_id = %(batch)s AND action <> 'error' AND key <> ''
) d WHERE s.id = d.id AND d.number > d.first
"""

# The row that names the variant as we do speaks for it. An old SKU beside it is what became part of the variant: that
# row has nothing to say any more. Other rows of the same variant contradict it.
_SAME_VARIANT = """
WITH ranked AS (
    SELECT id, matched_by, row_number() OVER best AS place, first_value(number) OVER best AS winner
    FROM onboarding_stagedrow WHERE batch_id = %(batch)s AND action <> 'error' AND variant_id IS NOT NULL
    WINDOW best AS (
        PARTITION BY variant_id, CASE WHEN key LIKE 'place:%%' THEN left(key, 22) ELSE '' END
        ORDER BY CASE matched_by WHEN 'alias' THEN 1 WHEN 'gtin' THEN 2 WHEN 'title' THEN 3 ELSE 0 END, number
    )
)
UPDATE onboarding_stagedrow s
SET diff = '{}', action = CASE r.matched_by WHEN 'alias' THEN 'unchanged' ELSE 'error' END,
    outcome = CASE r.matched_by WHEN 'alias' THEN format('An old SKU of the item in row %%s.', r.winner) ELSE '' END,
    problems = CASE r.matched_by WHEN 'alias' THEN s.problems ELSE s.problems || jsonb_build_array(jsonb_build_object(
        'field', CASE r.matched_by WHEN 'gtin' THEN 'gtin' ELSE '' END, 'is_error', true, 'by_comparing', true,
        'words', format('It is the same item as row %%s.', r.winner))) END
FROM ranked r WHERE s.id = r.id AND r.place > 1
"""

# A product's own fields are what all its rows that say anything of them agree on; the first of these carries the
# difference. A file that tells one product apart as several, or knows only some of its variants, renames nothing: it
# may fill what is empty. So the same file read again finds what it left.
_PRODUCT_FIELDS = """
WITH ours AS MATERIALIZED (
    SELECT number, product_id, product_key, variant_id, fields FROM onboarding_stagedrow
    WHERE batch_id = %(batch)s AND action <> 'error' AND product_id IS NOT NULL AND outcome = ''
), said AS (
    SELECT o.product_id, f.name, min(o.number) AS first, min(f.value) AS value
    FROM ours o CROSS JOIN LATERAL (VALUES
        ('product_title', o.fields ->> 'product_title'), ('vendor', o.fields ->> 'vendor'),
        ('category', o.fields ->> 'category'), ('image_url', o.fields ->> 'image_url')) f(name, value)
    WHERE f.value <> '' GROUP BY o.product_id, f.name HAVING count(DISTINCT f.value) = 1
), judged AS (
    SELECT o.product_id, count(DISTINCT o.product_key) > 1 OR count(DISTINCT o.variant_id) < (
        SELECT count(*) FROM inventory_variant v WHERE v.product_id = o.product_id AND v.archived_at IS NULL
    ) AS is_partial
    FROM ours o GROUP BY o.product_id
), wanted AS (
    SELECT s.product_id, s.first, jsonb_object_agg(s.name, jsonb_build_array(n.value, s.value)) AS diff
    FROM said s JOIN judged j USING (product_id) JOIN inventory_product p ON p.id = s.product_id
    CROSS JOIN LATERAL (SELECT CASE s.name WHEN 'product_title' THEN p.title WHEN 'vendor' THEN p.vendor
                                           WHEN 'category' THEN p.category ELSE p.image_url END AS value) n
    WHERE s.value <> n.value AND (NOT j.is_partial OR n.value = '')
    GROUP BY s.product_id, s.first
)
UPDATE onboarding_stagedrow s
SET diff = s.diff || w.diff, action = CASE s.action WHEN 'unchanged' THEN 'changed' ELSE s.action END
FROM wanted w
WHERE s.batch_id = %(batch)s AND s.product_id = w.product_id AND s.number = w.first
"""

_JOIN_SIBLINGS = """
UPDATE onboarding_stagedrow s SET product_id = known.product_id
FROM (SELECT DISTINCT ON (product_key) product_key, product_id
      FROM onboarding_stagedrow
      WHERE batch_id = %(batch)s AND action <> 'error' AND variant_id IS NOT NULL AND product_id IS NOT NULL
      ORDER BY product_key, number) known
WHERE s.batch_id = %(batch)s AND s.action = 'new' AND s.product_key = known.product_key
"""


def settle(batch: ImportBatch) -> None:
    """Mark what the file contradicts in itself, and give new rows their siblings' product."""
    values: dict[str, Any] = {"batch": batch.pk}
    statements = [_SAME_KEY, _SAME_VARIANT, _JOIN_SIBLINGS]
    if not is_stock_only(batch):
        statements.append(_PRODUCT_FIELDS)
    with transaction.atomic(), database.cursor() as cursor:
        # Fresh figures: a planner that takes the batch for a few rows would join them row by row, for minutes.
        cursor.execute("ANALYZE (SKIP_LOCKED) onboarding_stagedrow")
        for statement in statements:
            cursor.execute(statement, values)

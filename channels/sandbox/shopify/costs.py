"""What a query costs, and the bucket it is taken from. https://shopify.dev/docs/api/usage/limits"""

from __future__ import annotations

import math
from typing import Any

from django.db import connection as database
from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLSchema,
    InlineFragmentNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
)
from graphql.language.ast import DocumentNode, FragmentDefinitionNode, ValueNode

from channels.sandbox import faults
from channels.sandbox.shopify.models import Shop

COST_MAX = 1000
MUTATION_COST = 10


def requested(document: DocumentNode, operation: OperationDefinitionNode, schema: GraphQLSchema, variables: Any) -> int:
    """Objects cost 1, a connection 2 and its page times its node, a mutation 10, leaves nothing."""
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    root = schema.get_root_type(operation.operation)
    base = MUTATION_COST if operation.operation.value == "mutation" else 0
    return base + _selection(operation.selection_set, root, schema, fragments, variables or {})


def _selection(
    selected: SelectionSetNode | None, parent: Any, schema: GraphQLSchema, fragments: dict[str, Any], variables: Any
) -> int:
    total, branches = 0, [0]
    for node in selected.selections if selected else ():
        if isinstance(node, FieldNode):
            field = getattr(parent, "fields", {}).get(node.name.value)
            if field is None or is_leaf_type(get_named_type(field.type)):
                continue
            kind = get_named_type(field.type)
            inner = _selection(node.selection_set, kind, schema, fragments, variables)
            size = _page_size(node, variables)
            if kind.name.endswith("Connection"):
                total += 2 + (size or 10) * inner
            elif kind.name not in ("PageInfo",):
                total += (size or 1) * (1 + inner)
        elif isinstance(node, InlineFragmentNode):
            kind = schema.type_map[node.type_condition.name.value] if node.type_condition else parent
            branches.append(_selection(node.selection_set, kind, schema, fragments, variables))
        elif isinstance(node, FragmentSpreadNode):
            fragment = fragments[node.name.value]
            kind = schema.type_map[fragment.type_condition.name.value]
            branches.append(_selection(fragment.selection_set, kind, schema, fragments, variables))
    # Of an interface or a union one branch will be true: the dearest counts.
    return total + (max(branches) if is_abstract_type(parent) else sum(branches))


def _page_size(node: FieldNode, variables: Any) -> int | None:
    for argument in node.arguments or ():
        if argument.name.value in ("first", "last"):
            return _integer(argument.value, variables)
        if argument.name.value == "ids":
            if isinstance(argument.value, ListValueNode):
                return len(argument.value.values)
            given = variables.get(getattr(getattr(argument.value, "name", None), "value", ""), [])
            return len(given) if isinstance(given, list) else None
    return None


def _integer(value: ValueNode, variables: Any) -> int | None:
    name = getattr(getattr(value, "name", None), "value", None)
    found = variables.get(name) if name else getattr(value, "value", None)
    return max(0, int(found)) if found is not None else None


def limits() -> tuple[float, float]:
    """Bucket size and points a second; by plan at the vendor, by switch here."""
    size, rate = faults.switch("shopify.bucket", [2000, 100])
    return float(size), float(rate)


_TAKE = """
UPDATE sandbox_shopify_shop
SET bucket_available = least(%(size)s, filled - CASE WHEN filled >= %(cost)s THEN %(cost)s ELSE 0 END),
     bucket_at = clock_timestamp()
FROM (SELECT id AS shop_id, least(%(size)s,
             bucket_available + %(rate)s * greatest(0, extract(epoch FROM clock_timestamp() - bucket_at))) AS filled
      FROM sandbox_shopify_shop WHERE id = %(shop)s FOR UPDATE) b
WHERE id = b.shop_id RETURNING bucket_available, filled >= %(cost)s
"""


def take(shop: Shop, cost: float) -> tuple[bool, float]:
    """Take points, or none if there are too few; whether they were there, and what is left. One statement.

    A clock that is set back takes none away.
    """
    size, rate = limits()
    with database.cursor() as cursor:
        cursor.execute(_TAKE, {"cost": cost, "size": size, "rate": rate, "shop": shop.pk})
        left, taken = cursor.fetchone()
    return taken, float(left)


def told(*, requested_cost: int, actual_cost: int | None, left: float) -> dict[str, Any]:
    """extensions.cost."""
    size, rate = limits()
    return {
        "requestedQueryCost": requested_cost,
        "actualQueryCost": actual_cost,
        "throttleStatus": {
            "maximumAvailable": size, "currentlyAvailable": math.floor(left), "restoreRate": rate,
        },
    }  # fmt: skip


def actual(data: Any) -> int:
    """Objects that were really there, below the root."""
    if isinstance(data, dict):
        return sum(_objects(value) for value in data.values())
    return 0


def _objects(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + actual(value)
    return sum(_objects(one) for one in value) if isinstance(value, list) else 0

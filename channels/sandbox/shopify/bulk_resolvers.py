"""GraphQL over bulk operations: the query is run at once, over all pages, and its lines are kept for a GET."""

from __future__ import annotations

import json
import secrets
from typing import Any

from django.utils import timezone
from graphql import FieldNode, FragmentSpreadNode, GraphQLError, InlineFragmentNode, OperationDefinitionNode, parse

from channels.sandbox.shopify import bulk, webhooks
from channels.sandbox.shopify.models import BulkOperation
from channels.sandbox.shopify.resolving import connection, parse_gid, resolver, user_error

Json = dict[str, Any]
CONNECTIONS_MAX, DEPTH_MAX = 5, 2


@resolver("Mutation", "bulkOperationRunQuery")
def run_query(source: Any, info: Any, query: str, groupObjects: bool = False) -> Json:  # noqa: N803
    """Refuses what the vendor would: no connection, more than five, or deeper than two."""
    problem = _problem(info.schema, query)
    if problem:
        return {"bulk_operation": None, "user_errors": [user_error("INVALID", ["query"], problem)]}
    shop = info.context.shop
    row = BulkOperation.objects.create(shop=shop, query=query, status="CREATED")
    lines, roots, failed = bulk.export(context=info.context, schema=info.schema, query=query)
    row.lines = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    row.object_count, row.root_object_count = len(lines), roots
    row.status, row.error_code = ("FAILED", "INTERNAL_SERVER_ERROR") if failed else ("COMPLETED", "")
    row.completed_at = timezone.now()
    if lines and not failed:
        row.url = f"{info.context.base_url}/bulk/{row.pk}-{secrets.token_hex(8)}.jsonl"
    row.save()
    payload = {
        "admin_graphql_api_id": row.gid, "completed_at": row.completed_at.isoformat(), "status": row.status.lower(),
        "created_at": row.created_at.isoformat(), "error_code": row.error_code or None, "type": "query",
    }  # fmt: skip
    webhooks.emit(shop=shop, topic="BULK_OPERATIONS_FINISH", payload=payload)
    # As when it is asked for: the caller polls.
    told = {"id": row.gid, "status": "CREATED", "created_at": row.created_at.isoformat(), "type": "QUERY"}
    return {"bulk_operation": told | {"object_count": "0", "root_object_count": "0"}, "user_errors": []}


def _problem(schema: Any, query: str) -> str | None:
    try:
        document = parse(query)
    except GraphQLError as error:
        return f"Invalid bulk query: {error.message}"
    operation = document.definitions[0]
    if len(document.definitions) != 1 or not isinstance(operation, OperationDefinitionNode):
        return "A bulk query is one operation."
    found: list[int] = []
    problems = bulk.problems(schema, document)
    if problems:
        return f"Invalid bulk query: {problems[0]}"
    _depths(operation, 0, found)
    if not found:
        return "Bulk queries must contain at least one connection."
    if len(found) > CONNECTIONS_MAX:
        return f"Bulk queries cannot contain more than {CONNECTIONS_MAX} connections."
    if max(found) > DEPTH_MAX:
        return f"Bulk queries cannot contain connections with a nesting depth greater than {DEPTH_MAX}."
    return None


def _depths(node: Any, depth: int, found: list[int]) -> None:
    """The depth of every connection below a node."""
    for one in node.selection_set.selections if node.selection_set else ():
        if isinstance(one, InlineFragmentNode | FragmentSpreadNode):
            _depths(one, depth, found)
        elif isinstance(one, FieldNode):
            inner = one.selection_set.selections if one.selection_set else ()
            is_connection = any(isinstance(sub, FieldNode) and sub.name.value == "edges" for sub in inner)
            if is_connection:
                found.append(depth + 1)
            _depths(one, depth + is_connection, found)


@resolver("QueryRoot", "bulkOperation")
def bulk_operation(source: Any, info: Any, id: str) -> BulkOperation | None:  # noqa: A002
    return BulkOperation.objects.filter(shop=info.context.shop, pk=parse_gid(id, "BulkOperation")).first()


@resolver("QueryRoot", "bulkOperations")
def bulk_operations(
    source: Any, info: Any, query: str | None = None, sortKey: str | None = None, **page: Any  # noqa: N803
) -> Json:  # fmt: skip
    """Newest first, as the vendor's default order is. All are queries: the filter by type changes nothing."""
    rows = BulkOperation.objects.filter(shop=info.context.shop).defer("lines")
    if query and "operation_type:mutation" in query:
        rows = rows.none()
    return connection(rows.order_by("-created_at", "-pk"), **page)


@resolver("BulkOperation", "type")
def type_(source: Any, info: Any) -> str:
    return "QUERY"


@resolver("BulkOperation", "errorCode")
@resolver("BulkOperation", "url")
def or_null(source: Any, info: Any) -> str | None:
    name = "error_code" if info.field_name == "errorCode" else "url"
    return (source.get(name) if isinstance(source, dict) else getattr(source, name)) or None


@resolver("BulkOperation", "fileSize")
def file_size(source: Any, info: Any) -> str | None:
    return None if isinstance(source, dict) or not source.url else str(len(source.lines.encode()))


@resolver("BulkOperation", "partialDataUrl")
def partial(source: Any, info: Any) -> None:
    return None


@resolver("BulkOperation", "objectCount")
@resolver("BulkOperation", "rootObjectCount")
def counts(source: Any, info: Any) -> str:
    name = "object_count" if info.field_name == "objectCount" else "root_object_count"
    return str(source[name] if isinstance(source, dict) else getattr(source, name))

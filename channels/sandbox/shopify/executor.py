"""Runs GraphQL: the schema of the vendor's types with our resolvers, one transaction a mutation, its run-time rules."""

from __future__ import annotations

import functools
import hashlib
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from django.db import transaction
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    build_schema,
    execute_sync,
    get_named_type,
    is_abstract_type,
    is_object_type,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_argument_values, get_directive_values, get_variable_values
from graphql.language.ast import DocumentNode

from channels.sandbox.shopify import costs, resolving
from channels.sandbox.shopify.models import IdempotentCall, Shop

RESOLVER_MODULES = (
    "shop_resolvers", "catalog_resolvers", "catalog_mutations", "stock_resolvers", "order_resolvers", "order_queries", "order_mutations",
)  # fmt: skip
# Mutations that since 2026-04 are refused without @idempotent (those of them that are served here).
IDEMPOTENT = {
    "inventoryActivate", "inventoryAdjustQuantities", "inventoryMoveQuantities", "inventorySetQuantities",
    "locationActivate", "locationDeactivate", "refundCreate",
}  # fmt: skip
# Input lists whose entries must say what they change from: an integer, or null to skip the check.
CHANGE_FROM = {
    "inventorySetQuantities": "quantities", "inventoryAdjustQuantities": "changes", "inventoryMoveQuantities": "changes",
}  # fmt: skip


@functools.cache
def schema() -> GraphQLSchema:
    """The vendor's types with a function on every field that has one."""
    for name in RESOLVER_MODULES:
        import_module(f"channels.sandbox.shopify.{name}")
    built = build_schema((Path(__file__).parent / "schema.graphql").read_text())
    for kind in built.type_map.values():
        if is_object_type(kind) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                field.resolve = resolving.RESOLVERS.get((kind.name, name), resolving.default)
        elif is_abstract_type(kind):
            kind.resolve_type = _type_of
    return built


def _type_of(value: Any, info: Any, abstract: Any) -> str:
    return str(value["__typename"]) if isinstance(value, dict) else str(value.TYPE or type(value).__name__)


def run(*, context: resolving.Context, query: str, variables: dict[str, Any], operation_name: str | None) -> dict[str, Any]:
    """The body of the answer: data, errors, and what it cost."""
    try:
        document = parse(query)
    except GraphQLError as error:
        return {"errors": [error.formatted]}
    problems = validate(schema(), document)
    if problems:
        return {"errors": [problem.formatted for problem in problems]}
    operation = _operation(document, operation_name)
    if operation is None:
        return {"errors": [{"message": "An operation name is required"}]}
    asked = costs.requested(document, operation, schema(), variables)
    if asked > costs.COST_MAX:
        return _too_dear(asked)
    taken, left = costs.take(context.shop, asked)
    if not taken:
        cost = costs.told(requested_cost=asked, actual_cost=None, left=left)
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
        return {"errors": [error], "extensions": {"cost": cost}}
    result = _execute(context, document, operation, variables, operation_name)
    used = min(asked, costs.actual(result.data) + (costs.MUTATION_COST if _is_mutation(operation) else 0))
    _, left = costs.take(context.shop, used - asked)
    body: dict[str, Any] = {"data": result.data} if result.data is not None else {}
    if result.errors:
        body["errors"] = [error.formatted for error in result.errors]
    body["extensions"] = {"cost": costs.told(requested_cost=asked, actual_cost=used, left=left)}
    return body


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name:
        found = [node for node in found if node.name and node.name.value == name]
    return found[0] if len(found) == 1 else None


def _too_dear(asked: int) -> dict[str, Any]:
    message = f"Query cost is {asked}, which exceeds the single query max cost limit ({costs.COST_MAX})."
    return {"errors": [{"message": message, "extensions": {"code": "MAX_COST_EXCEEDED", "cost": asked}}]}


def _is_mutation(operation: OperationDefinitionNode) -> bool:
    return operation.operation is OperationType.MUTATION


class _Replayed(Exception):
    """A mutation with this key ran before: its first answer."""

    def __init__(self, data: Any) -> None:
        super().__init__()
        self.data = data


def _execute(
    context: resolving.Context,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: dict[str, Any],
    operation_name: str | None,
) -> ExecutionResult:
    def now() -> ExecutionResult:
        return execute_sync(
            schema(), document, context_value=context, variable_values=variables, operation_name=operation_name
        )

    if not _is_mutation(operation):
        return now()
    given = get_variable_values(schema(), operation.variable_definitions or (), variables)
    if not isinstance(given, VariableValues):
        return ExecutionResult(None, list(given))
    refusal = _runtime_rules(operation, given)
    if refusal is not None:
        return ExecutionResult(None, [refusal])
    call = _keyed(operation, given)
    try:
        with transaction.atomic():
            if call is None:
                return _committed(now())
            row = _claim(context.shop, *call)
            result = _committed(now())
            IdempotentCall.objects.filter(pk=row.pk).update(result=result.data)
            return result
    except _Replayed as replayed:
        return ExecutionResult(replayed.data, None)
    except _Undone as undone:
        return undone.result


class _Undone(Exception):
    """A mutation with an error of ours: nothing of it stays."""

    def __init__(self, result: ExecutionResult) -> None:
        super().__init__()
        self.result = result


def _committed(result: ExecutionResult) -> ExecutionResult:
    if result.errors:
        raise _Undone(result)
    return result


def _fields(operation: OperationDefinitionNode) -> list[FieldNode]:
    return [node for node in operation.selection_set.selections if isinstance(node, FieldNode)]


def _runtime_rules(operation: OperationDefinitionNode, variables: VariableValues) -> GraphQLError | None:
    """What the schema leaves open and the vendor refuses all the same (contract of 2026-04 and later)."""
    for node in _fields(operation):
        name = node.name.value
        if name in IDEMPOTENT and not any(directive.name.value == "idempotent" for directive in node.directives or ()):
            return GraphQLError(
                "The @idempotent directive is required for this mutation but was not provided.",
                nodes=[node], path=[name], extensions={"code": "BAD_REQUEST"},
            )  # fmt: skip
        if name in CHANGE_FROM and not _says_change_from(node, name, variables):
            return GraphQLError(
                "The changeFromQuantity argument must be provided: an integer, or null to skip the check.",
                nodes=[node], path=[name], extensions={"code": "INVALID_FIELD_ARGUMENTS"},
            )  # fmt: skip
    return None


def _says_change_from(node: FieldNode, name: str, variables: VariableValues) -> bool:
    given = _arguments(node, variables).get("input") or {}
    entries = given.get(CHANGE_FROM[name]) or []
    if name == "inventoryMoveQuantities":
        entries = [end for entry in entries for end in (entry.get("from") or {}, entry.get("to") or {})]
    return all("changeFromQuantity" in entry for entry in entries)


def _arguments(node: FieldNode, variables: VariableValues) -> dict[str, Any]:
    """Arguments with every key as given: a key set to null stays, one left out is not there."""
    field = schema().mutation_type.fields[node.name.value]  # type: ignore[union-attr]
    return get_argument_values(field, node, variables)


def _keyed(operation: OperationDefinitionNode, variables: VariableValues) -> tuple[str, str, str] | None:
    """The mutation's name, its key and a digest of what it asks; None without a key."""
    directive = next(item for item in schema().directives if item.name == "idempotent")
    for node in _fields(operation):
        values = get_directive_values(directive, node, variables)
        if values:
            asked = json.dumps(_arguments(node, variables), sort_keys=True, default=str)
            return node.name.value, str(values["key"]), hashlib.sha256(asked.encode()).hexdigest()
    return None


def _claim(shop: Shop, mutation: str, key: str, digest: str) -> IdempotentCall:
    """Take the key, or answer as the first time. A second call waits for the first one's transaction."""
    row, is_new = IdempotentCall.objects.get_or_create(shop=shop, mutation=mutation, key=key, defaults={"digest": digest})
    if is_new:
        return row
    if row.digest != digest:
        error = resolving.user_error(
            "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", None, "The same idempotency key was used with other parameters."
        )
        raise _Replayed({mutation: _empty(mutation) | {"userErrors": [error]}})
    raise _Replayed(row.result)


def _empty(mutation: str) -> dict[str, Any]:
    payload = get_named_type(schema().mutation_type.fields[mutation].type)  # type: ignore[union-attr]
    return dict.fromkeys((name for name in payload.fields if name != "userErrors"), None)  # type: ignore[union-attr]

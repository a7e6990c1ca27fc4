"""Runs GraphQL: the schema of the vendor's types with our resolvers, one transaction a mutation, its run-time rules."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
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
    is_abstract_type,
    is_object_type,
    parse,
    validate,
)
from graphql.execution.values import VariableValues, get_argument_values, get_directive_values, get_variable_values
from graphql.language.ast import DocumentNode

from channels.sandbox.shopify import access, costs, idempotency, resolving
from channels.sandbox.shopify.models import IdempotentCall

log = logging.getLogger(__name__)

RESOLVER_MODULES = (
    "shop_resolvers", "bulk_resolvers", "catalog_resolvers", "location_resolvers", "catalog_mutations",
    "option_mutations", "stock_resolvers", "order_resolvers", "order_queries", "order_mutations",
)  # fmt: skip
# Input lists whose entries must say what they change from: an integer, or null to skip the check.
CHANGE_FROM = {
    "inventorySetQuantities": ("quantities", "InventoryQuantityInput"),
    "inventoryAdjustQuantities": ("changes", "InventoryChangeInput"),
    "inventoryMoveQuantities": ("changes", "InventoryMoveQuantityTerminalInput"),
}
ENTRIES_MAX = 250  # of an input list; productSet takes more


@functools.cache
def schema() -> GraphQLSchema:
    """The vendor's types with a function on every field that has one."""
    for name in RESOLVER_MODULES:
        import_module(f"channels.sandbox.shopify.{name}")
    built = build_schema((Path(__file__).parent / "schema.graphql").read_text())
    for kind in built.type_map.values():
        if is_object_type(kind) and not kind.name.startswith("__"):
            for name, field in kind.fields.items():
                resolve = resolving.RESOLVERS.get((kind.name, name), resolving.default)
                field.resolve = _refusable(resolve) if kind is built.mutation_type else resolve
        elif is_abstract_type(kind):
            kind.resolve_type = _type_of
    return built


def _refusable(resolve: resolving.Resolve) -> resolving.Resolve:
    """A mutation that does nothing where its idempotency key was refused but say so."""

    def guarded(source: Any, info: Any, **arguments: Any) -> Any:
        refusal = info.context.refusal
        if refusal is None:
            return resolve(source, info, **arguments)
        return {"user_errors": [refusal], f"{resolving.snake(info.field_name)}_user_errors": [refusal]}

    return guarded


def _type_of(value: Any, info: Any, abstract: Any) -> str:
    return str(value["__typename"]) if isinstance(value, dict) else str(value.TYPE or type(value).__name__)


@functools.lru_cache(maxsize=512)
def _parsed(query: str) -> DocumentNode:
    """A client asks the same few documents over and over. Raises GraphQLError."""
    return parse(query)


@functools.lru_cache(maxsize=512)
def _problems(query: str) -> Sequence[GraphQLError]:
    """What the vendor's types forbid in it."""
    return validate(schema(), _parsed(query))


def run(
    *, context: resolving.Context, query: str, variables: dict[str, Any], operation_name: str | None
) -> dict[str, Any]:
    """The body of the answer: data, errors, and what it cost."""
    try:
        document = _parsed(query)
    except GraphQLError as error:
        return {"errors": [error.formatted]}
    problems = _problems(query)
    if problems:
        return {"errors": [problem.formatted for problem in problems]}
    operation = _operation(document, operation_name)
    if operation is None:
        return {"errors": [{"message": "An operation name is required", "extensions": {"code": "BAD_REQUEST"}}]}
    given = get_variable_values(schema(), operation.variable_definitions or (), variables)
    if isinstance(given, list):
        return {"errors": [error.formatted | {"extensions": {"code": "INVALID_VARIABLE"}} for error in given]}
    return _paid(context, document, operation, variables, given)


def _paid(
    context: resolving.Context,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: dict[str, Any],
    given: VariableValues,
) -> dict[str, Any]:
    """Take what the operation may cost at most, run it, give the difference back."""
    asked = costs.requested(document, operation, schema(), given.coerced)
    if asked > costs.COST_MAX:
        return _too_dear(asked)
    taken, left = costs.take(context.shop, asked)
    if not taken:
        cost = costs.told(requested_cost=asked, actual_cost=None, left=left)
        documentation = "https://shopify.dev/api/usage/rate-limits"
        error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": documentation}}
        return {"errors": [error], "extensions": {"cost": cost}}
    result = _execute(context, document, operation, variables, given)
    used = min(asked, costs.actual(result.data) + (costs.MUTATION_COST if _is_mutation(operation) else 0))
    _, left = costs.take(context.shop, used - asked)
    body: dict[str, Any] = {"data": result.data} if result.data is not None else {}
    if result.errors:
        body["errors"] = [_shown(error) for error in result.errors]
    body["extensions"] = {"cost": costs.told(requested_cost=asked, actual_cost=used, left=left)}
    return body


def _shown(error: GraphQLError) -> Any:
    """An error as the vendor shows it: of a fault of ours no word."""
    if error.original_error is None or isinstance(error.original_error, GraphQLError):
        return error.formatted
    log.error("the Shopify stand-in failed", exc_info=error.original_error)
    message = "Internal error. Looks like something went wrong on our end."
    return {"message": message, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode | None:
    found = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name:
        found = [node for node in found if node.name and node.name.value == name]
    return found[0] if len(found) == 1 else None


def root_field(query: str, name: str | None) -> str:
    """The operation's first field, which planned faults are named by; empty for what can not be read."""
    try:
        operation = _operation(_parsed(query), name)
    except GraphQLError:
        return ""
    fields = _fields(operation) if operation else []
    return fields[0].name.value if fields else ""


def _too_dear(asked: int) -> dict[str, Any]:
    message = f"Query cost is {asked}, which exceeds the single query max cost limit ({costs.COST_MAX})."
    extensions = {"code": "MAX_COST_EXCEEDED", "cost": asked, "maxCost": costs.COST_MAX}
    return {"errors": [{"message": message, "extensions": extensions}]}


def _is_mutation(operation: OperationDefinitionNode) -> bool:
    return operation.operation is OperationType.MUTATION


class _Undone(Exception):
    """A mutation with an error that is not one of its userErrors: nothing of it stays."""

    def __init__(self, result: ExecutionResult) -> None:
        super().__init__()
        self.result = result


def _execute(
    context: resolving.Context,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: dict[str, Any],
    given: VariableValues,
) -> ExecutionResult:
    """Run the operation, a mutation in one transaction and, with a key, once."""
    name = operation.name.value if operation.name else None

    def now() -> ExecutionResult:
        result = execute_sync(schema(), document, context_value=context, variable_values=variables, operation_name=name)
        if result.errors and _is_mutation(operation) and context.refusal is None:
            raise _Undone(result)
        return result

    problem = _runtime_rules(context, operation, given)
    if problem is not None:
        return ExecutionResult({_answer_name(node): None for node in _fields(operation)}, [problem])
    if not _is_mutation(operation):
        return now()
    call = _keyed(operation, given)
    try:
        with transaction.atomic():
            if call is None:
                return now()
            mutation, key, asked = call
            row = idempotency.claim(shop=context.shop, mutation=mutation, key=key, asked=asked)
            context.idempotency_key = key
            result = now()
            IdempotentCall.objects.filter(pk=row.pk).update(result=result.data)
            return result
    except idempotency.Replay as replay:
        return ExecutionResult(replay.data, None)
    except idempotency.Refusal as refusal:
        context.refusal = resolving.user_error(refusal.code, None, refusal.message)
        return now()
    except _Undone as undone:
        if call is not None:
            idempotency.failed(shop=context.shop, mutation=call[0], key=call[1], asked=call[2])
        return undone.result


def _fields(operation: OperationDefinitionNode) -> list[FieldNode]:
    return [node for node in operation.selection_set.selections if isinstance(node, FieldNode)]


def _answer_name(node: FieldNode) -> str:
    return node.alias.value if node.alias else node.name.value


def _runtime_rules(
    context: resolving.Context, operation: OperationDefinitionNode, variables: VariableValues
) -> GraphQLError | None:
    """What the schema leaves open and the vendor refuses all the same (contract of 2026-04 and later)."""
    for node in _fields(operation):
        name = node.name.value
        lacking = access.lacking(name, context.app.scopes)
        if lacking:
            message = f"Access denied for {name} field. Required access: `{lacking}` access scope."
            return _refused(node, message, "ACCESS_DENIED")
        if not _is_mutation(operation):
            continue
        if name in idempotency.REQUIRED and not any(one.name.value == "idempotent" for one in node.directives or ()):
            message = "The @idempotent directive is required for this mutation but was not provided."
            return _refused(node, message, "BAD_REQUEST")
        arguments = _arguments(node, variables)
        if name in CHANGE_FROM and not _says_change_from(name, arguments):
            message = f"{CHANGE_FROM[name][1]} must include the following argument: changeFromQuantity."
            return _refused(node, message, "INVALID_FIELD_ARGUMENTS")
        size = 0 if name == "productSet" else _longest(arguments)
        if size > ENTRIES_MAX:
            message = f"The input array size of {size} is greater than the maximum allowed of {ENTRIES_MAX}."
            return _refused(node, message, "MAX_INPUT_SIZE_EXCEEDED")
    return None


def _refused(node: FieldNode, message: str, code: str) -> GraphQLError:
    return GraphQLError(message, nodes=[node], path=[_answer_name(node)], extensions={"code": code})


def _longest(value: Any) -> int:
    """The length of the longest list in it."""
    if isinstance(value, dict):
        return max((_longest(one) for one in value.values()), default=0)
    if isinstance(value, list):
        return max(len(value), *(_longest(one) for one in value)) if value else 0
    return 0


def _says_change_from(name: str, arguments: dict[str, Any]) -> bool:
    """A key set to null is there; one that a serializer dropped is not."""
    entries = arguments["input"].get(CHANGE_FROM[name][0]) or []
    if name == "inventoryMoveQuantities":
        entries = [end for entry in entries for end in (entry["from"], entry["to"])]
    return all("changeFromQuantity" in entry for entry in entries)


def _arguments(node: FieldNode, variables: VariableValues) -> dict[str, Any]:
    """Arguments with every key as given: a key set to null stays, one left out is not there."""
    mutations = schema().mutation_type
    assert mutations is not None  # noqa: S101 - the document was validated against it
    return get_argument_values(mutations.fields[node.name.value], node, variables)


def _keyed(operation: OperationDefinitionNode, variables: VariableValues) -> tuple[str, str, str] | None:
    """The mutation's name, its key and a digest of what it asks; None without a key."""
    directive = next(item for item in schema().directives if item.name == "idempotent")
    for node in _fields(operation):
        values = get_directive_values(directive, node, variables)
        if values:
            return node.name.value, str(values["key"]), idempotency.digest(_arguments(node, variables))
    return None

"""An export: the bulk query over every page, flattened to lines, children with `__parentId`."""

from __future__ import annotations

from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLSchema,
    NameNode,
    SelectionSetNode,
    Visitor,
    execute_sync,
    parse,
    validate,
    visit,
)
from graphql.language.ast import ArgumentNode, IntValueNode, StringValueNode

from channels.sandbox.shopify.resolving import PAGE_MAX

Json = dict[str, Any]
PAGE = 1000
CHILDREN_MAX = 100_000  # more than a product has variants or an item has places


class _Pages(Visitor):
    """Asks every connection for large pages and for what is needed to flatten and to go on: id, cursor, more."""

    def __init__(self, after: str | None) -> None:
        super().__init__()
        self.after, self.depth = after, 0

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        self.depth += "edges" in _names(node)

    def leave_field(self, node: FieldNode, *_: Any) -> FieldNode | None:
        if node.name.value == "node" and node.selection_set:
            return _with(node, selections=(*node.selection_set.selections, _field("id", alias="__id")))
        if not node.selection_set or "edges" not in _names(node):
            return None
        self.depth -= 1
        size = CHILDREN_MAX if self.depth else PAGE
        given = [one for one in node.arguments or () if one.name.value not in ("first", "last", "after")]
        given.append(ArgumentNode(name=NameNode(value="first"), value=IntValueNode(value=str(size))))
        if self.after is not None and not self.depth:
            given.append(ArgumentNode(name=NameNode(value="after"), value=StringValueNode(value=self.after)))
        page = _field("pageInfo", alias="__page", inner=("hasNextPage", "endCursor"))
        return _with(node, selections=(*node.selection_set.selections, page), arguments=tuple(given))


def _names(node: FieldNode) -> set[str]:
    selections = node.selection_set.selections if node.selection_set else ()
    return {one.name.value for one in selections if isinstance(one, FieldNode)}


def _field(name: str, *, alias: str | None = None, inner: tuple[str, ...] = ()) -> FieldNode:
    return FieldNode(
        name=NameNode(value=name),
        alias=NameNode(value=alias) if alias else None,
        arguments=(),
        directives=(),
        selection_set=SelectionSetNode(selections=tuple(_field(one) for one in inner)) if inner else None,
    )


def _with(node: FieldNode, *, selections: tuple[Any, ...], arguments: tuple[Any, ...] | None = None) -> FieldNode:
    return FieldNode(
        name=node.name,
        alias=node.alias,
        arguments=node.arguments if arguments is None else arguments,
        directives=node.directives,
        selection_set=SelectionSetNode(selections=selections),
    )


def problems(schema: GraphQLSchema, document: DocumentNode) -> list[str]:
    """What is wrong with a bulk query by the schema."""
    return [problem.message for problem in validate(schema, document)]


def export(*, context: Any, schema: GraphQLSchema, query: str) -> tuple[list[Json], int, bool]:
    """Lines, how many of them are roots, and whether it failed."""
    token = PAGE_MAX.set(CHILDREN_MAX)
    try:
        return _pages(context, schema, query)
    finally:
        PAGE_MAX.reset(token)


def _pages(context: Any, schema: GraphQLSchema, query: str) -> tuple[list[Json], int, bool]:
    lines: list[Json] = []
    roots, after = 0, None
    while True:
        result = execute_sync(schema, _paged(query, after), context_value=context)
        if result.errors or result.data is None:
            return [], 0, True
        more = None
        for value in result.data.values():
            if isinstance(value, dict) and "__page" in value:
                roots += len(value["edges"])
                for edge in value["edges"]:
                    _flatten(edge["node"], None, lines)
                more = value["__page"]["endCursor"] if value["__page"]["hasNextPage"] else more
        if more is None:
            return lines, roots, False
        after = more


def _paged(query: str, after: str | None) -> DocumentNode:
    document: DocumentNode = visit(parse(query), _Pages(after))
    return document


def _flatten(node: Json, parent: str | None, lines: list[Json]) -> None:
    """A line for the node, then its children's."""
    own = node.pop("__id", None)
    children = {name: value for name, value in node.items() if isinstance(value, dict) and "__page" in value}
    line = {name: value for name, value in node.items() if name not in children}
    lines.append(line | ({"__parentId": parent} if parent else {}))
    for value in children.values():
        for edge in value["edges"]:
            _flatten(edge["node"], own, lines)

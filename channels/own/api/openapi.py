"""The OpenAPI 3.1 document, made from the operations themselves: what is served is what is checked."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from django.conf import settings
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from channels.own.api import shapes
from channels.own.api.calls import Json, Operation, Parameter
from channels.own.api.operations import OPERATIONS
from channels.own.api.problems import KINDS, MEDIA_TYPE, Kind
from channels.own.models import Scope, Topic
from channels.ports import OrderActionKind

REF = "#/components/schemas/{model}"
# What any call may end in; a call with a body in the second as well.
ALWAYS = ("unauthorized", "forbidden", "invalid", "rate-limited", "internal", "busy")
WITH_BODY = ("malformed", "too-large", "unsupported-media-type")
LINKED_FROM = {
    "createHold": ("hold_id", "id"),
    "createOrder": ("order_id", "order_id"),
    "convertHold": ("order_id", "order_id"),
}
DESCRIPTION = """\
Hold what your customers have in their carts, learn what you may sell, send your orders: one stock with all the shop's
other channels.

Every call needs a token (`Authorization: Bearer sst_…`) with the scope named beside it. Everything may be sent twice:
a hold is known by its `Idempotency-Key`, an order and a return by your own ids, what has left by its total. Quantities
are whole numbers, or text where something is sold by measure.
"""
RATE_HEADERS: Json = {
    "RateLimit": {
        "description": "What is left of the minute's requests, and when it begins anew: `\"default\";r=598;t=41`.",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "Requests a minute: `\"default\";q=600;w=60`.", "schema": {"type": "string"},
    },
}  # fmt: skip
RETRY_AFTER: Json = {
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
}


@cache
def document() -> Json:
    """The whole document, JSON-ready."""
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "StoreStudio Holds API", "version": "1.0.0", "summary": "Holds, availability and orders.",
            "description": DESCRIPTION,
        },
        "servers": [{"url": f"{settings.PUBLIC_URL}/api/v1"}],
        "security": [{"token": []}],
        "tags": [
            {"name": "Availability", "description": "What may be sold, and where from."},
            {"name": "Holds", "description": "Promises for a while, granted whole or not at all."},
            {"name": "Orders", "description": "What was sold and what became of it, told by state."},
        ],
        "paths": paths,
        "webhooks": {topic.value: _webhook(topic) for topic in Topic},
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token of the shop's API page."}
            },
            "schemas": _schemas(),
        },
    }  # fmt: skip


def _schemas() -> Json:
    into = [(one.body, "validation") for one in OPERATIONS if one.body]
    out = [(shape, "serialization") for one in OPERATIONS for shape, _ in one.replies.values()]
    wanted: Any = [*dict.fromkeys(into), *dict.fromkeys(out), (shapes.ProblemOut, "serialization")]
    _, found = models_json_schema(wanted, ref_template=REF)
    schemas: Json = found["$defs"]
    _be_plain(schemas)
    problem = schemas["ProblemOut"]
    for name in ("errors", "shortages", "names", "state"):  # members that a kind has or has not, never null
        problem["properties"][name] = {
            **problem["properties"][name]["anyOf"][0],
            "description": problem["properties"][name]["description"],
        }
    problem["required"] = ["type", "title", "status", "detail"]
    return schemas


def _be_plain(node: Any) -> None:
    """Drop the titles that repeat names, and the defaults that say null: both are noise to a reader."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            node.pop("title")
        if "default" in node and node["default"] is None:
            node.pop("default")
        node.pop("discriminator", None)
        for value in node.values():
            _be_plain(value)
    elif isinstance(node, list):
        for value in node:
            _be_plain(value)


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description}\n\nScope: `{operation.scope.value}`",
        "security": [{"token": [operation.scope.value]}],
        "parameters": [_parameter(one) for one in operation.parameters],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": _ref(operation.body)}}},
        }
    return described


def _ref(model: type[BaseModel]) -> str:
    return REF.format(model=model.__name__)


def _parameter(one: Parameter) -> Json:
    return {
        "name": one.name, "in": one.place, "required": one.is_required, "description": one.description,
        "schema": one.schema,
    }  # fmt: skip


def _responses(operation: Operation) -> Json:
    answers: Json = {}
    for status, (shape, words) in sorted(operation.replies.items()):
        media: Json = {"schema": {"$ref": _ref(shape)}}
        if operation.example is not None:
            media["example"] = operation.example
        answers[str(status)] = _links(operation) | {
            "description": words, "headers": RATE_HEADERS, "content": {"application/json": media},
        }  # fmt: skip
    names = [*operation.problems, *ALWAYS, *(WITH_BODY if operation.body else ())]
    if any(one.place == "path" for one in operation.parameters):
        names.append("not-found")
    for status, kinds in _by_status(names).items():
        answers[str(status)] = _problem(status, kinds)
    return dict(sorted(answers.items()))


def _links(operation: Operation) -> Json:
    """Where an answer's id leads: a hold to what can be done with it, an order likewise."""
    if operation.name not in LINKED_FROM:
        return {}
    parameter, field = LINKED_FROM[operation.name]
    targets = [one for one in OPERATIONS if any(value.name == parameter for value in one.parameters)]
    pointer = f"$response.body#/{field}"
    return {"links": {one.name: {"operationId": one.name, "parameters": {parameter: pointer}} for one in targets}}


def _by_status(names: Iterable[str]) -> dict[int, list[Kind]]:
    found: dict[int, list[Kind]] = {}
    for name in dict.fromkeys(names):
        found.setdefault(KINDS[name].status, []).append(KINDS[name])
    return found


def _problem(status: int, kinds: list[Kind]) -> Json:
    headers = {} if status in (401, 405) else RATE_HEADERS
    if status in (429, 503):
        headers = headers | RETRY_AFTER
    return {
        "description": "; ".join(f"{kind.title}. {kind.help}" for kind in kinds),
        "headers": headers,
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": _ref(shapes.ProblemOut)},
                "examples": {kind.name: {"summary": kind.title, "value": _example(kind)} for kind in kinds},
            }
        },
    }


EXTRA: dict[str, Json] = {
    "invalid": {"errors": [{"at": "/lines/0/quantity", "message": "Input should be greater than 0"}]},
    "insufficient-stock": {
        "shortages": [{"variant_id": 4711, "sku": "LNO-M-SAND", "requested": 2, "available": 1}]
    },
    "unknown-goods": {"names": ["LNO-XS-SAND"]},
    "whole-units-only": {"names": ["LNO-M-SAND"]},
    "hold-ended": {"state": "expired"},
}  # fmt: skip


def _example(kind: Kind) -> Json:
    base = {"type": f"/api/docs#{kind.name}", "title": kind.title, "status": kind.status, "detail": kind.help}
    return base | EXTRA.get(kind.name, {})


def _webhook(topic: Topic) -> Json:
    data: Json = {"type": "object"}
    if topic == Topic.AVAILABILITY:
        number: Json = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
        line = {
            "type": "object", "required": ["variant_id", "location_id", "available"],
            "properties": {
                "variant_id": {"type": "integer"}, "location_id": {"type": "integer"}, "available": number,
                "promise": {
                    "anyOf": [{"$ref": REF.format(model="PromiseOut")}, {"type": "null"}],
                    "description": "Told where the day of a delivery was moved; where it is left out, ask for it.",
                },
            },
        }  # fmt: skip
        data = {
            "type": "object", "required": ["availability"],
            "properties": {"availability": {"type": "array", "items": line}},
        }  # fmt: skip
    elif topic == Topic.ORDER_CHANGED:
        change = {
            "type": "object", "required": ["kind", "words", "note"],
            "properties": {
                "kind": {"enum": [kind.value for kind in OrderActionKind]},
                "words": {"type": "string", "description": "What was done, for people."},
                "note": {"type": "string", "description": "What the shop's staff wrote to it."},
                "amount": {"type": "string", "description": "Of a refund: the money that the site pays back."},
                "currency": {"type": "string", "description": "Of a refund: the currency of that amount."},
            },
        }  # fmt: skip
        data = {
            "type": "object", "required": ["order", "change"],
            "properties": {"order": {"$ref": REF.format(model="Order")}, "change": change},
        }  # fmt: skip
    elif topic != Topic.PING:
        data = {"type": "object", "required": ["hold"], "properties": {"hold": {"$ref": REF.format(model="Hold")}}}
    text: Json = {"type": "string"}
    body = {
        "type": "object", "required": ["type", "timestamp", "data"],
        "properties": {"type": {"const": topic.value}, "timestamp": text | {"format": "date-time"}, "data": data},
    }  # fmt: skip
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {
        "post": {
            "operationId": f"on_{topic.value.replace('.', '_')}",
            "summary": topic.label,
            "description": "Signed by the Standard Webhooks specification; any 2xx takes it. The same webhook-id may "
            "come more than once.",
            "security": [],
            "parameters": [{"name": name, "in": "header", "required": True, "schema": text} for name in names],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
            "responses": {"2XX": {"description": "Taken."}, "410": {"description": "Gone: never sent here again."}},
        }
    }


SCOPES = {scope.value: scope.label for scope in Scope}

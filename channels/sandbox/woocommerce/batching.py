"""Batch calls: up to a hundred objects, each with its own outcome in its place."""

from collections.abc import Callable
from typing import Any

from django.db import transaction

from channels.sandbox import faults
from channels.sandbox.models import Fault
from channels.sandbox.woocommerce import errors
from channels.sandbox.woocommerce.errors import WooError
from channels.sandbox.woocommerce.http import Answer
from channels.sandbox.woocommerce.values import Json

OBJECTS_MAX = 100
Step = Callable[[Json], Json]


def run(body: Json, *, operation: str, create: Step, update: Step, delete: Step) -> Any:
    """Work off `create`, `update` and `delete`, one object after another: one that fails stops no other.

    Raises WooError where there are too many. A planned half batch stops in the middle, what was done is done.
    """
    given = {name: body.get(name) or [] for name in ("create", "update", "delete")}
    if sum(len(entries) for entries in given.values()) > OBJECTS_MAX:
        words = f"Unable to accept more than {OBJECTS_MAX} items for this request."
        raise WooError("woocommerce_rest_request_entity_too_large", words, status=413)
    work = [(name, entry if isinstance(entry, dict) else {"id": entry}) for name in given for entry in given[name]]
    steps = {"create": create, "update": update, "delete": delete}
    is_cut = faults.strikes(vendor="woocommerce", operation=operation, kind=Fault.Kind.HALF_BATCH) is not None
    done: dict[str, list[Json]] = {name: [] for name in given if given[name]}
    for name, entry in work[: len(work) // 2] if is_cut else work:
        done[name].append(_outcome(steps[name], entry))
    if is_cut:
        return Answer(errors.server_error().body, status=500)
    return done


def _outcome(step: Step, entry: Json) -> Json:
    try:
        with transaction.atomic():
            return step(entry)
    except WooError as error:
        return {"id": entry.get("id", 0), "error": error.body}

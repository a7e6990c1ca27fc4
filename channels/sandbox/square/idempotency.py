"""Same key and body: the same answer. Same key, other body: IDEMPOTENCY_KEY_REUSED."""

import hashlib
import json
from collections.abc import Callable

from channels.sandbox.square.errors import SquareError, missing
from channels.sandbox.square.http import Call
from channels.sandbox.square.models import IdempotentReply
from channels.sandbox.square.values import Json


def once(*, call: Call, operation: str, chars_max: int, work: Callable[[], Json], required: bool = True) -> Json:
    """Do `work` the first time this key comes; later give back the first answer.

    The key's row is inserted before the work, so a second request with the key waits for the first to
    commit. An error undoes the row too: errors are not remembered.
    """
    key = call.body.get("idempotency_key")
    if not key:
        if required:
            raise missing("idempotency_key")
        return work()
    row, is_new = claim(call=call, operation=operation, chars_max=chars_max, key=key)
    if not is_new and row.reply is not None:
        if row.body_hash != fingerprint(call.body):
            raise SquareError(
                code="IDEMPOTENCY_KEY_REUSED",
                detail="The idempotency key can only be retried with the same request data.",
                field="idempotency_key",
            )
        return dict(row.reply)
    row.reply = work()
    row.save(update_fields=["reply"])
    return row.reply


def claim(*, call: Call, operation: str, chars_max: int, key: object) -> tuple[IdempotentReply, bool]:
    """The key's row, and whether this request is the first to use it."""
    if not isinstance(key, str):
        raise SquareError(code="EXPECTED_STRING", detail="Expected a string value.", field="idempotency_key")
    if len(key) > chars_max:
        detail = f"Field must not be greater than {chars_max} in length."
        raise SquareError(code="VALUE_TOO_LONG", detail=detail, field="idempotency_key")
    names = {"account": call.account, "operation": operation, "key": key}
    IdempotentReply.objects.bulk_create(
        [IdempotentReply(**names, body_hash=fingerprint(call.body))], ignore_conflicts=True
    )
    row = IdempotentReply.objects.select_for_update().get(**names)
    return row, row.reply is None


def fingerprint(body: Json) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

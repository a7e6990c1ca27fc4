"""The outbox of what people ask channels to do with orders: cancel, change items, ship from elsewhere, pay back.

A command is a row before anything is asked (`ask`), with its key and in the channel's own ids, so that every try asks
the same. A worker takes it up under a lease, calls the channel outside any transaction, reads the order again and
applies that by state, and only then calls it done: whoever dies in between leaves a command that is taken up again, and
connectors look at the order before they repeat anything. The webhook that tells of the same change finds it applied.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from channels import applying, contact, credentials, incidents, registry
from channels.models import ChannelCommand, Connection
from channels.ports import (
    ActionResult,
    AddedLine,
    BackLine,
    CancelOrder,
    ConnectorError,
    EditOrder,
    GiveBack,
    LineChange,
    LineMove,
    MoneyPart,
    MoveUnits,
    OrderAction,
    OrderActionKind,
    WriteOutcome,
)
from inventory.models import Order
from storestudio.accounts import audit
from storestudio.accounts.models import User

State = ChannelCommand.State
LEASE = timedelta(seconds=150)  # longer than the calls of one edit may take together
ATTEMPTS_MAX = 10  # about half an hour of a channel's failures; then a person decides
Carrier = Callable[[ChannelCommand, OrderAction], ActionResult]
_carriers: dict[str, Carrier] = {}


class CannotAsk(Exception):
    """What was asked for cannot be asked; says why, for the person. Nothing was stored."""


class NotWaiting(Exception):
    """The command has ended, or is being asked this very moment."""


def carried_out_here(channel: str, carrier: Carrier) -> None:
    """From now on commands of this channel are carried out by `carrier`, in the transaction that ends them.

    For a channel whose orders are ours: nobody has to be asked.
    """
    _carriers[channel] = carrier


def ask(*, order: Order, action: OrderAction, words: str, key: uuid.UUID, actor: User | None) -> ChannelCommand:
    """Store what a person asks a channel to do with its order; the same key again is the same command.

    Call inside a transaction or not: nothing is called here. Raises CannotAsk where the channel takes no such thing,
    is not connected, or something else is under way for the order.
    """
    known: ChannelCommand | None = ChannelCommand.objects.filter(idempotency_key=key, order=order).first()
    if known is not None:
        return known
    connection = Connection.objects.get(pk=order.channel_id, merchant=order.merchant_id)
    _refuse_impossible(connection, order, action)
    try:
        with transaction.atomic():
            command = ChannelCommand.objects.create(
                merchant_id=order.merchant_id, connection=connection, order=order, kind=action.kind.value,
                payload=_to_json(action), words=words[:300], idempotency_key=key, asked_by=actor,
            )  # fmt: skip
            audit.record(
                actor=actor, merchant=connection.merchant, action=f"order.{action.kind.value}", target=order,
                summary=f"{order.number or order.external_id}: {words}",
            )  # fmt: skip
    except IntegrityError as error:
        raise CannotAsk("Something else is under way for this order. Wait for it, or call it back.") from error
    return command


def _refuse_impossible(connection: Connection, order: Order, action: OrderAction) -> None:
    can = registry.capabilities(connection.channel)
    if connection.state == Connection.State.CLOSED:
        raise CannotAsk(f"{connection.label} is disconnected: nobody can be asked there.")
    if action.kind not in can.order_actions:
        raise CannotAsk(can.by_hand.get(action.kind, f"{connection.label} takes no such thing from outside."))
    if order.state != Order.State.OPEN and action.kind != OrderActionKind.REFUND:
        raise CannotAsk("Nothing of this order waits any more.")


def call_back(*, command: ChannelCommand, actor: User | None) -> None:
    """Take back what was not asked yet. Raises NotWaiting."""
    with transaction.atomic():
        unasked = ChannelCommand.objects.filter(pk=command.pk, state=State.WAITING, attempts=0)
        if not unasked.update(state=State.CALLED_BACK, ended_at=timezone.now()):
            raise NotWaiting
        audit.record(
            actor=actor, merchant=command.merchant, action="order.called_back", target=command.order,
            summary=f"Called back: {command.words}",
        )  # fmt: skip


def carry_out(*, connection_id: int, until: Any) -> int:
    """Ask what waits until nothing does, or the time is up; returns how many commands were tried.

    Raises nothing for a channel's failure: contact.failed decides what it means and when to try again.
    """
    tried = 0
    while timezone.now() < until:
        connection = Connection.objects.select_related("merchant").get(pk=connection_id)
        if connection.state != Connection.State.LIVE or not contact.may_call(connection, now=timezone.now()):
            break
        command = _take(connection)
        if command is None:
            break
        _try(connection, command)
        tried += 1
    return tried


def _take(connection: Connection) -> ChannelCommand | None:
    """The oldest command that is due, leased to us: one row changed, mine."""
    now = timezone.now()
    due = ChannelCommand.objects.filter(connection=connection, state=State.WAITING, next_attempt_at__lte=now)
    command: ChannelCommand | None = due.order_by("pk").select_related("order").first()
    if command is None or not due.filter(pk=command.pk).update(next_attempt_at=now + LEASE, attempts=F("attempts") + 1):
        return None
    command.attempts += 1
    return command


def _try(connection: Connection, command: ChannelCommand) -> None:
    action = _from_json(command.kind, command.payload)
    carrier = _carriers.get(connection.channel)
    if carrier is not None:
        with transaction.atomic():
            _settle(connection, command, carrier(command, action))
        return
    try:
        result = credentials.with_fresh_token(
            connection.pk,
            lambda connector: connector.act_on_order(
                action=action, idempotency_key=str(command.idempotency_key), is_first=command.attempts == 1,
                now=command.asked_at,
            ),
        )  # fmt: skip
        if result.outcome != WriteOutcome.REFUSED:
            _mirror(connection, command)
    except ConnectorError as error:
        contact.failed(connection_id=connection.pk, error=error)
        _settle_failure(connection, command, error)
        return
    contact.heard(connection_id=connection.pk)
    with transaction.atomic():
        _settle(connection, command, result)


def _mirror(connection: Connection, command: ChannelCommand) -> None:
    """Let the ledger follow at once; what a webhook tells of it later changes nothing more."""
    found = applying.fetch(connection=connection, order_ids=[command.order.external_id])
    applying.apply_orders(connection=connection, found=found)


def _settle(connection: Connection, command: ChannelCommand, result: ActionResult) -> None:
    is_done = result.outcome == WriteOutcome.APPLIED
    _end(connection, command, state=State.DONE if is_done else State.FAILED, error=result.message)


def _settle_failure(connection: Connection, command: ChannelCommand, error: ConnectorError) -> None:
    """Ask again later, with the same key; or give up where that cannot help, and say what is not known."""
    if error.permanent and not error.needs_reconnect:
        with transaction.atomic():
            _end(connection, command, state=State.FAILED, error=str(error))
        return
    if command.attempts >= ATTEMPTS_MAX and not error.needs_reconnect:
        unknown = " Whether it was done is not known: look there." if error.is_outcome_unknown else ""
        with transaction.atomic():
            _end(
                connection,
                command,
                state=State.FAILED,
                error=f"Given up after {command.attempts} tries.{unknown} {error}",
            )
        return
    wait_s = error.retry_after_s or contact.backoff_s(command.attempts - 1)
    ChannelCommand.objects.filter(pk=command.pk, state=State.WAITING).update(
        next_attempt_at=timezone.now() + timedelta(seconds=wait_s), error=str(error)[:500]
    )


def _end(connection: Connection, command: ChannelCommand, *, state: str, error: str) -> None:
    """One row changed: this worker ended it. What failed waits for a person; what was done closes that."""
    error = "" if state == State.DONE else error
    ended = ChannelCommand.objects.filter(pk=command.pk, state=State.WAITING).update(
        state=state, ended_at=timezone.now(), error=error[:500]
    )
    if not ended:
        return  # another worker ended it
    name = command.order.number or command.order.external_id
    about = f"order:{command.order_id}"
    if state == State.DONE:
        incidents.resolve(
            merchant_id=connection.merchant_id, kind=incidents.Kind.COMMAND, key=about, how="done by another try"
        )
        return
    incidents.open_or_count(
        merchant_id=connection.merchant_id,
        connection_id=connection.pk,
        kind=incidents.Kind.COMMAND,
        key=about,
        title=f"{connection.label} did not do it: order {name}, {command.words}",
        order_id=command.order_id,
        error=error,
    )


def retry(*, command: ChannelCommand, actor: User | None) -> None:
    """A person says: ask again. It is looked at first whether it was done. Raises NotWaiting, CannotAsk."""
    try:
        with transaction.atomic():
            failed = ChannelCommand.objects.filter(pk=command.pk, state=State.FAILED)
            if not failed.update(state=State.WAITING, ended_at=None, next_attempt_at=timezone.now(), error=""):
                raise NotWaiting
            audit.record(
                actor=actor, merchant=command.merchant, action="order.asked_again", target=command.order,
                summary=f"Asked again: {command.words}",
            )  # fmt: skip
    except IntegrityError as error:
        raise CannotAsk("Something else is under way for this order.") from error


def give_up(*, command: ChannelCommand, actor: User | None) -> None:
    """A person has seen that it was not done, and leaves it: nobody is reminded any more."""
    incidents.resolve(
        merchant_id=command.merchant_id, kind=incidents.Kind.COMMAND, key=f"order:{command.order_id}",
        how="left as it is", actor=actor,
    )  # fmt: skip


def _to_json(action: OrderAction) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, Decimal):
            return str(value)
        if isinstance(value, Mapping):
            return {name: plain(one) for name, one in value.items()}
        return [plain(one) for one in value] if isinstance(value, list | tuple) else value

    return dict(plain(asdict(action)))


def _from_json(kind: str, kept: Mapping[str, Any]) -> OrderAction:
    if kind == OrderActionKind.CANCEL:
        return CancelOrder(**kept)
    if kind == OrderActionKind.MOVE:
        moves = [
            LineMove(one["line_external_id"], Decimal(one["quantity"]), Decimal(one["already_there"]))
            for one in kept["lines"]
        ]
        return MoveUnits(**{**kept, "lines": moves})
    if kind == OrderActionKind.REFUND:
        backs = [BackLine(**{**one, "quantity": Decimal(one["quantity"])}) for one in kept["lines"]]
        parts = [MoneyPart(**{**one, "amount": Decimal(one["amount"])}) for one in kept["parts"]]
        return GiveBack(**{**kept, "lines": backs, "parts": parts, "amount": Decimal(kept["amount"])})
    changes = [
        LineChange(
            one["line_external_id"], Decimal(one["from_quantity"]), Decimal(one["to_quantity"]), one["location_id"]
        )
        for one in kept["changes"]
    ]
    added = [
        AddedLine(
            one["listing_external_id"], Decimal(one["quantity"]), one["location_id"],
            Decimal(one.get("already_there", 0)),
        )
        for one in kept["added"]
    ]  # fmt: skip
    return EditOrder(**{**kept, "changes": changes, "added": added})

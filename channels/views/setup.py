"""Making a connection live and keeping it so: its places, what would change there, a person's yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from channels import approvals, connections
from channels.forms import CONFIRM_WORD, ApproveForm, PlacesForm, ReasonForm, ReconnectForm
from channels.models import Connection
from channels.ports import ConnectorError
from channels.views.connection import connection_of, page_context
from channels.views.paging import part_of
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, shop_view

ROWS_A_PAGE = 200
ZEROS_BY_CLICK = 5
LEFT_OUT = {"not_counted", "unknown_there", "not_told"}  # flags of cells that approving does not write


@shop_view(roles=MAY_MANAGE)
def places(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Say which of our locations each of the channel's places is."""
    connection = connection_of(request, connection_id)
    form = PlacesForm(request.POST or None, connection=connection)
    if request.method == "POST" and form.is_valid():
        steps = form.steps()
        with transaction.atomic():
            for place, location in steps:
                connections.map_location(channel_location=place, location=location, actor=request.actor)
        if steps:
            messages.success(request, "Saved. Stock at these places is kept from now on.")
        return redirect("channel_places", shop=request.merchant.slug, connection_id=connection.pk)
    status = 422 if request.method == "POST" else 200
    return render(request, "channels/places.html", page_context(request, connection, form=form), status=status)


@dataclass(frozen=True)
class Table:
    """What would change, as a person reads it. `left_out`: never written, because a number is missing on a side."""

    changes: Sequence[approvals.PreviewLine]
    left_out: Sequence[approvals.PreviewLine]
    digest: str

    @property
    def zeros(self) -> list[approvals.PreviewLine]:
        """What would not be sellable there any more."""
        return [line for line in self.changes if "drop_to_zero" in line.flags]

    @property
    def flagged(self) -> list[approvals.PreviewLine]:
        """What is worth a look."""
        return [line for line in self.changes if line.flags]

    @property
    def needs_word(self) -> bool:
        """Whether so much would go to zero that a click is not enough: more than 5, or a fifth of all changes."""
        zeros = len(self.zeros)
        return zeros > ZEROS_BY_CLICK or zeros * 5 > len(self.changes)


def _table(connection: Connection) -> Table:
    lines = approvals.preview(connection=connection)
    is_left_out = [bool(LEFT_OUT & set(line.flags)) for line in lines]
    return Table(
        changes=[line for line, out in zip(lines, is_left_out, strict=True) if not out],
        left_out=[line for line, out in zip(lines, is_left_out, strict=True) if out],
        digest=approvals.preview_digest(lines),
    )


@shop_view(roles=MAY_MANAGE)
@require_safe
def preview(request: ShopRequest, connection_id: int) -> HttpResponse:
    """The table of what would change at the channel, worst first, and the button that lets it happen."""
    connection = connection_of(request, connection_id)
    return _preview_page(request, connection, table=_table(connection))


def _preview_page(
    request: ShopRequest, connection: Connection, *, table: Table, form: ApproveForm | None = None
) -> HttpResponse:
    choices = {"": table.changes, "zero": table.zeros, "flagged": table.flagged, "left": table.left_out}
    show = request.GET.get("show", "")
    show = show if show in choices else ""
    here = reverse("channel_preview", args=[request.merchant.slug, connection.pk])  # a refused yes shows it elsewhere
    part = part_of(choices[show], request=request, size=ROWS_A_PAGE, path=here)
    context = page_context(
        request,
        connection,
        table=table,
        counts={name: len(lines) for name, lines in choices.items()},
        all_count=len(table.changes),
        show=show,
        part=part,
        form=form or ApproveForm(needs_word=table.needs_word),
        word=CONFIRM_WORD,
        is_asked=_is_asked(connection),
    )
    context["same"] = max(context["line"].queues.cells - len(table.changes) - len(table.left_out), 0)
    return render(request, "channels/preview.html", context, status=422 if form else 200)


def _is_asked(connection: Connection) -> bool:
    """Whether a yes is waited for: the first one, or one to cells that came later."""
    if connection.approved_at is None:
        return connection.state == Connection.State.PAUSED
    may_be_approved = connection.state in (Connection.State.PAUSED, Connection.State.LIVE)
    return may_be_approved and approvals.awaiting_yes(connection).exists()


@shop_view(roles=MAY_MANAGE)
@require_POST
def approve(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Yes to the table as it was shown; where it has changed since, it is shown again."""
    connection = connection_of(request, connection_id)
    table = _table(connection)
    form = ApproveForm(request.POST, needs_word=table.needs_word)
    if not form.is_valid():
        return _preview_page(request, connection, table=table, form=form)
    try:
        approvals.approve(connection=connection, actor=request.actor, digest=form.cleaned_data["digest"])
    except approvals.PreviewChanged:
        messages.warning(request, "Stock moved while you were reading. Look at the new table, then say yes.")
        return redirect("channel_preview", shop=request.merchant.slug, connection_id=connection.pk)
    except connections.NotAllowed as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{connection.label} is live. The first numbers are on their way.")
    return _to_connection(request, connection)


def _to_connection(request: ShopRequest, connection: Connection) -> HttpResponse:
    return redirect("channel", shop=request.merchant.slug, connection_id=connection.pk)


@shop_view(roles=MAY_MANAGE)
@require_POST
def pause(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Stop telling the channel numbers; what it tells us still counts."""
    connection = connection_of(request, connection_id)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say why, so that others know. Nothing has changed.")
        return _to_connection(request, connection)
    try:
        connections.pause(connection=connection, actor=request.actor, reason=form.cleaned_data["reason"])
    except connections.NotAllowed as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{connection.label} is paused. Its own sales still count.")
    return _to_connection(request, connection)


@shop_view(roles=MAY_MANAGE)
@require_POST
def resume(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Tell the channel numbers again."""
    connection = connection_of(request, connection_id)
    try:
        connections.resume(connection=connection, actor=request.actor)
    except connections.NotAllowed as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"{connection.label} is live again.")
    return _to_connection(request, connection)


@shop_view(roles=MAY_MANAGE)
@require_POST
def reconnect(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Take a new key for the same account; what waited meanwhile is applied, what is due is sent."""
    connection = connection_of(request, connection_id)
    form = ReconnectForm(request.POST, connection=connection)
    if connection.state != Connection.State.RECONNECT:
        messages.info(request, f"{connection.label} lets us in already.")
    elif not form.is_valid():
        messages.error(request, f"Paste the new {form.words}. Nothing has changed.")
    else:
        connections.reconnect(connection=connection, secrets=form.secrets(), actor=request.actor)
        messages.success(request, f"{connection.label} is asked again at once; what it told us meanwhile is applied.")
    return _to_connection(request, connection)


@shop_view(roles=MAY_MANAGE)
@require_POST
def put_back(request: ShopRequest, connection_id: int) -> HttpResponse:
    """Pause, and tell the channel the numbers it showed before the last yes."""
    connection = connection_of(request, connection_id)
    try:
        told = approvals.put_back(connection=connection, actor=request.actor)
    except connections.NotAllowed as refused:
        messages.error(request, str(refused))
    except ConnectorError as failed:
        messages.error(request, f"{connection.label} did not answer: {failed}. It is paused; try again in a minute.")
    else:
        numbers = "1 number is" if told == 1 else f"{told} numbers are"
        messages.success(request, f"{connection.label} is paused and {numbers} being put back.")
    return _to_connection(request, connection)

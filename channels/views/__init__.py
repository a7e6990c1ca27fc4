"""Pages about channels: Today and the pulse, the list of channels, a connection's page and its buttons."""

from channels.views.collisions import collision, collision_list, decide_collision, undo_collision
from channels.views.connection import channel, channels, listings, messages, writes
from channels.views.decisions import (
    decide_quarantine,
    discard_message,
    exclude_listing,
    link_listing,
    replay_message,
    resolve_drift,
    retry_cell,
)
from channels.views.drift import decide_drift, decide_stop, drift, guard_stop, set_guard, undo_decision, undo_gap
from channels.views.fleet import fleet
from channels.views.incidents import (
    acknowledge_incident,
    incident,
    incident_list,
    note_on_incident,
    snooze_incident,
)
from channels.views.order_items import order_items_page
from channels.views.orders import call_back_command, cancel_order, move_order, retry_command
from channels.views.refunds import refund_order
from channels.views.rules import rule_delete, rule_edit, rule_list, rule_new, rule_undo, selling
from channels.views.setup import approve, pause, places, preview, put_back, reconnect, resume
from channels.views.today import pulse, today

__all__ = [
    "acknowledge_incident",
    "approve",
    "call_back_command",
    "cancel_order",
    "channel",
    "channels",
    "collision",
    "collision_list",
    "decide_collision",
    "decide_drift",
    "decide_quarantine",
    "decide_stop",
    "discard_message",
    "drift",
    "exclude_listing",
    "fleet",
    "guard_stop",
    "incident",
    "incident_list",
    "link_listing",
    "listings",
    "messages",
    "move_order",
    "note_on_incident",
    "order_items_page",
    "pause",
    "places",
    "preview",
    "pulse",
    "put_back",
    "reconnect",
    "refund_order",
    "replay_message",
    "resolve_drift",
    "resume",
    "retry_cell",
    "retry_command",
    "rule_delete",
    "rule_edit",
    "rule_list",
    "rule_new",
    "rule_undo",
    "selling",
    "set_guard",
    "snooze_incident",
    "today",
    "undo_collision",
    "undo_decision",
    "undo_gap",
    "writes",
]

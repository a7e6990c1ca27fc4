from django.urls import URLPattern, path

from channels import payload_views, views, webhooks

urlpatterns: list[URLPattern] = [
    path("webhooks/<slug:channel>/<str:token>", webhooks.receive, name="webhook"),
    path("fleet/", views.fleet, name="fleet"),
    path("<slug:shop>/", views.today, name="today"),
    path("<slug:shop>/pulse/", views.pulse, name="pulse"),
    path("<slug:shop>/events/<int:event_id>/", payload_views.event, name="event"),
    path("<slug:shop>/incidents/", views.incident_list, name="incidents"),
    path("<slug:shop>/incidents/<int:incident_id>/", views.incident, name="incident"),
    path(
        "<slug:shop>/incidents/<int:incident_id>/acknowledge/", views.acknowledge_incident, name="acknowledge_incident"
    ),
    path("<slug:shop>/incidents/<int:incident_id>/snooze/", views.snooze_incident, name="snooze_incident"),
    path("<slug:shop>/incidents/<int:incident_id>/note/", views.note_on_incident, name="note_on_incident"),
    path("<slug:shop>/channels/", views.channels, name="channels"),
    path("<slug:shop>/channels/<int:connection_id>/", views.channel, name="channel"),
    path("<slug:shop>/rules/", views.rule_list, name="rules"),
    path("<slug:shop>/rules/new/", views.rule_new, name="rule_new"),
    path("<slug:shop>/rules/<int:rule_id>/", views.rule_edit, name="rule"),
    path("<slug:shop>/rules/<int:rule_id>/delete/", views.rule_delete, name="delete_rule"),
    path("<slug:shop>/rules/changes/<int:change_id>/undo/", views.rule_undo, name="undo_rule"),
    path("<slug:shop>/channels/<int:connection_id>/selling/", views.selling, name="channel_selling"),
    path("<slug:shop>/channels/<int:connection_id>/messages/", views.messages, name="channel_messages"),
    path(
        "<slug:shop>/channels/<int:connection_id>/messages/quarantine/",
        views.decide_quarantine,
        name="decide_quarantine",
    ),
    path("<slug:shop>/channels/<int:connection_id>/writes/", views.writes, name="channel_writes"),
    path("<slug:shop>/channels/<int:connection_id>/listings/", views.listings, name="channel_listings"),
    path("<slug:shop>/channels/<int:connection_id>/places/", views.places, name="channel_places"),
    path("<slug:shop>/channels/<int:connection_id>/preview/", views.preview, name="channel_preview"),
    path("<slug:shop>/channels/<int:connection_id>/approve/", views.approve, name="approve_channel"),
    path("<slug:shop>/channels/<int:connection_id>/pause/", views.pause, name="pause_channel"),
    path("<slug:shop>/channels/<int:connection_id>/resume/", views.resume, name="resume_channel"),
    path("<slug:shop>/channels/<int:connection_id>/reconnect/", views.reconnect, name="reconnect_channel"),
    path("<slug:shop>/channels/<int:connection_id>/put-back/", views.put_back, name="put_back_channel"),
    path("<slug:shop>/channels/<int:connection_id>/drift/", views.drift, name="channel_drift"),
    path("<slug:shop>/channels/<int:connection_id>/drift/decide/", views.decide_drift, name="decide_drift"),
    path("<slug:shop>/channels/<int:connection_id>/drift/guard/", views.set_guard, name="set_guard"),
    path("<slug:shop>/channels/<int:connection_id>/drift/<int:gap_id>/undo/", views.undo_gap, name="undo_gap"),
    path("<slug:shop>/channels/<int:connection_id>/stops/<int:stop_id>/", views.guard_stop, name="guard_stop"),
    path("<slug:shop>/channels/<int:connection_id>/stops/<int:stop_id>/decide/", views.decide_stop, name="decide_stop"),
    path(
        "<slug:shop>/channels/<int:connection_id>/listings/<int:listing_id>/link/",
        views.link_listing,
        name="link_listing",
    ),
    path(
        "<slug:shop>/channels/<int:connection_id>/listings/<int:listing_id>/exclude/",
        views.exclude_listing,
        name="exclude_listing",
    ),
    path(
        "<slug:shop>/channels/<int:connection_id>/messages/<int:event_id>/replay/",
        views.replay_message,
        name="replay_message",
    ),
    path(
        "<slug:shop>/channels/<int:connection_id>/messages/<int:event_id>/discard/",
        views.discard_message,
        name="discard_message",
    ),
    path(
        "<slug:shop>/channels/<int:connection_id>/cells/<int:cell_id>/resolve/",
        views.resolve_drift,
        name="resolve_drift",
    ),
    path(
        "<slug:shop>/channels/<int:connection_id>/cells/<int:cell_id>/retry/",
        views.retry_cell,
        name="retry_cell",
    ),
]

from django.urls import URLPattern, path

from channels.own import views

urlpatterns: list[URLPattern] = [
    path("api/docs", views.docs, name="api_docs"),
    path("<slug:shop>/api/", views.access, name="api_access"),
    path("<slug:shop>/api/sites/", views.open_site, name="open_site"),
    path("<slug:shop>/api/<int:connection_id>/tokens/", views.make_token, name="make_token"),
    path("<slug:shop>/api/tokens/<int:token_id>/revoke/", views.revoke_token, name="revoke_token"),
    path("<slug:shop>/api/<int:connection_id>/endpoints/", views.add_endpoint, name="add_endpoint"),
    path("<slug:shop>/api/endpoints/<int:endpoint_id>/", views.endpoint, name="api_endpoint"),
    path("<slug:shop>/api/endpoints/<int:endpoint_id>/change/", views.change_endpoint, name="change_endpoint"),
    path("<slug:shop>/api/endpoints/<int:endpoint_id>/secret/", views.new_secret, name="new_secret"),
    path("<slug:shop>/api/endpoints/<int:endpoint_id>/ping/", views.ping_endpoint, name="ping_endpoint"),
    path("<slug:shop>/api/endpoints/<int:endpoint_id>/switch/", views.switch_endpoint, name="switch_endpoint"),
    path("<slug:shop>/api/endpoints/<int:endpoint_id>/remove/", views.remove_endpoint, name="remove_endpoint"),
    path("<slug:shop>/api/deliveries/<int:delivery_id>/", views.delivery, name="api_delivery"),
    path("<slug:shop>/api/deliveries/<int:delivery_id>/replay/", views.replay_delivery, name="replay_delivery"),
    path("<slug:shop>/holds/", views.holds, name="holds"),
    path("<slug:shop>/holds/<int:hold_id>/release/", views.release_hold, name="release_hold"),
]

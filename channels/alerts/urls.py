from django.urls import URLPattern, path

from channels.alerts import views

urlpatterns: list[URLPattern] = [
    path("<slug:shop>/alerts/", views.alerts, name="alerts"),
    path("<slug:shop>/alerts/webhooks/", views.add_webhook, name="add_alert_webhook"),
    path("<slug:shop>/alerts/<int:route_id>/", views.change_route, name="change_alert_route"),
    path("<slug:shop>/alerts/<int:route_id>/test/", views.test_route, name="test_alert_route"),
    path("<slug:shop>/alerts/<int:route_id>/remove/", views.remove_webhook, name="remove_alert_webhook"),
]

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "channels.alerts"
    label = "alerts"

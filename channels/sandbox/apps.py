from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "channels.sandbox"
    label = "sandbox"

from django.apps import AppConfig


class SquareSandboxConfig(AppConfig):
    name = "channels.sandbox.square"
    label = "sandbox_square"
    verbose_name = "Sandbox: Square"

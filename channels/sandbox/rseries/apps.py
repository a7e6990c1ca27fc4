from django.apps import AppConfig


class RSeriesSandboxConfig(AppConfig):
    name = "channels.sandbox.rseries"
    label = "sandbox_rseries"
    verbose_name = "Sandbox: Lightspeed R-Series"

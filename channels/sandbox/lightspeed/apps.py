from django.apps import AppConfig


class LightspeedSandboxConfig(AppConfig):
    name = "channels.sandbox.lightspeed"
    label = "sandbox_lightspeed"
    verbose_name = "Sandbox: Lightspeed"

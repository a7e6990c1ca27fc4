from django.apps import AppConfig


class ChannelsConfig(AppConfig):
    name = "channels"

    def ready(self) -> None:
        """What channels believe reaches the stock pages through a hook, for inventory knows no channel."""
        from channels import beliefs
        from inventory import explain

        explain.provide_channels(beliefs)

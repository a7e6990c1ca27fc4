from django.apps import AppConfig


class ChannelsConfig(AppConfig):
    name = "channels"

    def ready(self) -> None:
        """Stock reaches channels through one hook, and what they believe reaches the stock pages through another."""
        from channels import beliefs, publisher
        from inventory import changes, explain

        changes.subscribe(publisher.on_stock_changed)
        explain.provide_channels(beliefs)

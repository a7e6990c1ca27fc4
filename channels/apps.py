from django.apps import AppConfig


class ChannelsConfig(AppConfig):
    name = "channels"

    def ready(self) -> None:
        """Stock reaches channels through one hook: subscribe to it."""
        from channels import publisher
        from inventory import changes

        changes.subscribe(publisher.on_stock_changed)

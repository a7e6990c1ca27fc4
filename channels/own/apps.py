from django.apps import AppConfig


class OwnConfig(AppConfig):
    name = "channels.own"
    label = "own"
    verbose_name = "Own site"

    def ready(self) -> None:
        """What the connector sends is kept by our log; the connector itself knows no rows."""
        from channels.connectors.own import connector
        from channels.own import deliveries

        connector.keep_log(deliveries)

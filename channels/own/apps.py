from django.apps import AppConfig


class OwnConfig(AppConfig):
    name = "channels.own"
    label = "own"
    verbose_name = "Own site"

    def ready(self) -> None:
        """What the connector sends is kept by our log, what is asked of orders is done here: they are ours."""
        from channels import commands, registry
        from channels.connectors.own import connector
        from channels.own import acting, deliveries

        connector.keep_log(deliveries)
        commands.carried_out_here(registry.OWN, acting.carry_out)

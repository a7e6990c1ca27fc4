from django.apps import AppConfig


class WooCommerceSandboxConfig(AppConfig):
    name = "channels.sandbox.woocommerce"
    label = "sandbox_woocommerce"
    verbose_name = "Sandbox: WooCommerce"

    def ready(self) -> None:
        from channels.sandbox import deliveries
        from channels.sandbox.woocommerce import events

        deliveries.settled.connect(events.count_failures, dispatch_uid="woocommerce.count_failures")

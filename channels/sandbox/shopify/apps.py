from django.apps import AppConfig


class ShopifySandboxConfig(AppConfig):
    name = "channels.sandbox.shopify"
    label = "sandbox_shopify"
    verbose_name = "Sandbox: Shopify"

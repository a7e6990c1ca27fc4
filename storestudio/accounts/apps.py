from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "storestudio.accounts"
    label = "accounts"

from django.apps import AppConfig
from django.core import checks


class AccountsConfig(AppConfig):
    name = "storestudio.accounts"
    label = "accounts"

    def ready(self) -> None:
        """`migrate` asks first whether an older release left the database halfway."""
        from storestudio.accounts.checks import check_not_halfway

        checks.register(check_not_halfway, checks.Tags.database)

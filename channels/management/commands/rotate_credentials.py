from typing import Any

from django.core.management.base import BaseCommand, CommandError

from channels import credentials
from channels.alerts import routes


class Command(BaseCommand):
    help = "Encrypt all stored credentials under the newest key of CREDENTIAL_KEYS; afterwards older keys may go."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it as often as you like, also after one that was cut short: rows under the newest key are left alone."""
        try:
            rotated, addresses = credentials.rotate(), routes.rotate()
        except credentials.UnknownKey as error:
            raise CommandError(
                f"A secret is encrypted under key “{error}”, which CREDENTIAL_KEYS lacks: add it and run again."
            ) from error
        self.stdout.write(
            f"{rotated} connections encrypted anew, {addresses} webhooks of alerts; all are under the newest key."
        )

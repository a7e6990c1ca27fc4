from typing import Any

from django.core.management.base import BaseCommand, CommandError

from channels import credentials


class Command(BaseCommand):
    help = "Encrypt all stored credentials under the newest key of CREDENTIAL_KEYS; afterwards older keys may go."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it as often as you like, also after one that was cut short: rows under the newest key are left alone."""
        try:
            rotated = credentials.rotate()
        except credentials.UnknownKey as error:
            raise CommandError(
                f"A connection is encrypted under key “{error}”, which CREDENTIAL_KEYS lacks: add it and run again."
            ) from error
        self.stdout.write(f"{rotated} connections encrypted anew; all are under the newest key.")

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels.sandbox.trading import settling
from storestudio.accounts.models import Merchant

LOOK_EVERY_S = 1.0
TELL_EVERY_S = 5.0


class Command(BaseCommand):
    help = "Wait until a shop's trading has come to rest, then prove that till, web shop and ledger agree."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which shop, and how long to wait."""
        parser.add_argument("--shop", default="harbour-and-pine", help="slug of the shop")
        parser.add_argument("--timeout", type=float, default=180.0, help="seconds to wait for it to come to rest")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 1 where anything does not agree once all is at rest, or the time is up."""
        merchant = Merchant.objects.filter(slug=options["shop"]).first()
        if merchant is None:
            raise CommandError(f"There is no shop {options['shop']}.")
        started = time.monotonic()
        wrong = self._wait(merchant, until=started + options["timeout"])
        for line in settling.figures(merchant):
            self.stdout.write(line)
        for line in wrong[: settling.SHOWN_MAX]:
            self.stderr.write(line)
        if wrong:
            raise CommandError(f"{len(wrong)} things do not agree.")
        cells = sum(row.cells.count() for row in settling.connections_of(merchant))
        self.stdout.write(
            self.style.SUCCESS(
                f"At rest after {time.monotonic() - started:.1f} s: all {cells} cells of its channels, as the vendors "
                "show them, equal the rules; the ledger adds up; every unit is explained."
            )
        )

    def _wait(self, merchant: Merchant, *, until: float) -> list[str]:
        """What is wrong once nothing is under way. A lost webhook is wrong until polling finds it: so look again."""
        told_at = 0.0
        while True:
            waiting = settling.waiting(merchant)
            wrong = settling.breaches(merchant) if waiting.nothing else [f"Not at rest: {waiting}"]
            if not wrong:
                return []
            if time.monotonic() >= until:
                return wrong if waiting.nothing else wrong + settling.breaches(merchant)
            if time.monotonic() - told_at > TELL_EVERY_S:
                told_at = time.monotonic()
                self.stdout.write(str(waiting) if not waiting.nothing else f"at rest, but {len(wrong)} things differ")
            time.sleep(LOOK_EVERY_S)

import sys
from typing import Any

from django.core.management.base import BaseCommand

from inventory import verify


class Command(BaseCommand):
    help = "Prove that the sum of movements is the level, for every cell; exit 1 where it is not."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each breach, then the count."""
        verdict = verify.verify()
        for breach in verdict.breaches:
            self.stdout.write(
                f"cell {breach.level_id} (variant {breach.variant_id}, location {breach.location_id}): {breach.wrong}"
            )
        self.stdout.write(f"{verdict.cells} cells, {len(verdict.breaches)} wrong")
        if verdict.breaches:
            sys.exit(1)

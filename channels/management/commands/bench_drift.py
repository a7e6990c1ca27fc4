"""`./dev bench drift`: 200 disagreements of ten causes planted at the stand-ins, found and named in one sweep."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from storestudio.accounts.models import Merchant, User

RIGHTLY_MIN = 0.95


class Command(BaseCommand):
    help = (
        "Plant disagreements at both stand-ins as the world would cause them; print the confusion table of one sweep."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which ones, and how many."""
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--each", type=int, default=20, help="disagreements of each of the ten causes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 1 where one is not found, fewer than 95 in 100 are named rightly, or anything is healed wrongly."""
        if not settings.SANDBOX:
            raise CommandError("The disagreements are planted at the sandbox: set SANDBOX=true.")
        from channels.sandbox import serving

        with serving.served():
            self._run(options)

    def _run(self, options: dict[str, Any]) -> None:
        from channels.sandbox.trading.disagreements import World

        stamp = time.time_ns()
        merchant = Merchant.objects.create(name="Drift bench", slug=f"drift-bench-{stamp}")
        actor = User.objects.create_user(f"drift-bench-{stamp}@example.com")
        world = World(seed=options["seed"], each=options["each"], merchant=merchant, actor=actor)
        world.plant()
        started = time.monotonic()
        world.sweep()
        score = world.score()
        self.stdout.write(f"seed {options['seed']}, one sweep of both channels in {time.monotonic() - started:.1f} s\n")
        for line in score.table():
            self.stdout.write(line)
        for line in score.wrong_heals:
            self.stderr.write(line)
        if score.found < score.planted or score.rightly < RIGHTLY_MIN * score.planted or score.wrong_heals:
            raise CommandError("Not all were found, named rightly, and healed rightly or not at all.")

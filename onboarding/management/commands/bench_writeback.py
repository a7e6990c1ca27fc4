"""`./dev bench writeback`: cleaned fields of thousands of variants to both stand-ins over real HTTP, and back again."""

from __future__ import annotations

import resource
import time
from argparse import ArgumentParser
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import F, Value
from django.db.models.functions import Replace, Upper
from django.utils.timezone import now as utc_now

from channels.models import Connection, Listing
from inventory.models import Variant
from onboarding.models import CatalogWrite, CatalogWriteLine
from onboarding.writeback import deciding, drafting, sending
from storestudio.accounts.models import Merchant, User

PLACES = ("High Street", "Stock room")
SIZES = ("XS", "S", "M", "L", "XL")
PLUS = [20_000, 1000]  # Shopify's largest plan: bucket, points a second
SMALLEST = [2000, 100]
REST_S = 0.05
Made = TypeVar("Made")


class Command(BaseCommand):
    help = "Write a cleaned SKU of every variant to both stand-ins, then put back what was there: seconds, memory."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many, and how much Shopify lets through."""
        parser.add_argument("--variants", type=int, default=5000)
        parser.add_argument("--smallest-plan", action="store_true", help="Shopify's smallest ration in place of Plus")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit code 1 where a line is not written, or what was put back is not what was there."""
        if not settings.SANDBOX:
            raise CommandError("It is written to the sandbox: set SANDBOX=true.")
        from channels.sandbox import serving
        from channels.sandbox.models import Switch

        plan = SMALLEST if options["smallest_plan"] else PLUS
        Switch.objects.update_or_create(name="shopify.bucket", defaults={"value": plan})
        with serving.served():
            self._run(options["variants"])

    def _run(self, count: int) -> None:
        from channels.sandbox import bringup

        stamp = time.time_ns()
        merchant = Merchant.objects.create(name="Write-back bench", slug=f"writeback-bench-{stamp}")
        actor = User.objects.create_user(f"writeback-bench-{stamp}@example.com")
        pair = bringup.bring_up(
            merchant=merchant, actor=actor, goods=_goods(count), places=PLACES,
            domain=f"writeback-{stamp}.myshopify.com", say=self.stdout.write,
        )  # fmt: skip
        self.stdout.write(f"{count} variants, their SKUs cleaned on our side")
        Variant.objects.filter(merchant=merchant).update(sku=Upper(Replace(F("sku"), Value(" "), Value("-"))))
        for connection in (pair.till, pair.web):
            before = _skus(connection)
            write = self._step(f"{connection.label}: draft", count, partial(_draft, connection, actor))
            self._send(f"{connection.label}: written", write, actor)
            back = deciding.undo(write_id=write.pk, actor=actor)
            self._send(f"{connection.label}: put back", back, actor)
            if _skus(connection) != before:
                raise CommandError(f"{connection.label}: what was put back is not what was there.")

    def _send(self, label: str, write: CatalogWrite, actor: User) -> None:
        write = deciding.approve(write_id=write.pk, actor=actor, word=deciding.WORD, shown=deciding.digest(write))
        count = write.lines.count()
        self._step(label, count, partial(_work, write))
        done = write.lines.filter(outcome=CatalogWriteLine.Outcome.APPLIED).count()
        if done != count:
            raise CommandError(f"{label}: {done} of {count} lines were written. {write.error}")

    def _step(self, label: str, count: int, rule: Callable[[], Made]) -> Made:
        begun = time.monotonic()
        made = rule()
        took_s = time.monotonic() - begun
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        self.stdout.write(f"{label:26} {took_s:7.2f} s {count / took_s:8.0f} lines/s   peak {peak_mb:5.0f} MB")
        return made


def _goods(count: int) -> list[Any]:
    """Shirts in five sizes, their SKUs written with blanks and in small letters."""
    from channels.sandbox.goods import Goods, GoodsVariant

    return [
        Goods(
            f"shirt-{number}", f"Linen Shirt No {number}",
            [
                GoodsVariant(f"lin {number:05d} {size}".lower(), Decimal(39), (size,), counts=dict.fromkeys(PLACES, 5))
                for size in SIZES[: count - number * len(SIZES)]
            ],
            options=("Size",),
        )
        for number in range(-(-count // len(SIZES)))
    ]  # fmt: skip


def _skus(connection: Connection) -> list[tuple[str, str]]:
    return list(Listing.objects.filter(connection=connection).order_by("pk").values_list("external_id", "sku"))


def _draft(connection: Connection, actor: User) -> CatalogWrite:
    return drafting.draft(connection_id=connection.pk, actor=actor)


def _work(write: CatalogWrite) -> None:
    """As workers do it, one after the other: what the channel rations is waited for."""
    while write.state == CatalogWrite.State.SENDING:
        if write.pk not in sending.due() or not sending.work(write_id=write.pk):
            time.sleep(REST_S)
        write.refresh_from_db()
        if write.approved_at and utc_now() - write.approved_at > timedelta(hours=1):
            raise CommandError(f"Not done within an hour. {write.error}")

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from channels.sandbox import demo_goods
from onboarding import demo
from onboarding.findings import decisions
from storestudio.accounts.models import Merchant


class Command(BaseCommand):
    help = "Give the demo shop the untidy stock list of an old till, and look for faults in its catalog. Once."

    def handle(self, *args: Any, **options: Any) -> None:
        """The demo shop must be there: `manage.py demo`."""
        if not settings.SANDBOX:
            raise CommandError("The demo trades at the sandbox: set SANDBOX=true.")
        merchant = Merchant.objects.filter(slug=demo_goods.SLUG).first()
        if merchant is None:
            raise CommandError("There is no demo shop yet: run manage.py demo first.")
        if demo.plant(merchant=merchant):
            self.stdout.write(f"{decisions.queue(merchant).count()} findings wait in {merchant.name}.")
        else:
            self.stdout.write(f"{demo.TITLE} was taken over before.")

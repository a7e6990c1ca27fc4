import time
from typing import Any

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from storestudio.accounts.models import Membership, Merchant, User

PASSWORD = "lockstep-demo"  # noqa: S105  the demo's own, said aloud
WAIT_S = 30.0
DOMAIN = "demo.storestudio.example"
PEOPLE = (
    ("owner", "Robin Hale", Membership.Role.OWNER),
    ("manager", "Sam Osei", Membership.Role.MANAGER),
    ("associate", "Kit Moreno", Membership.Role.ASSOCIATE),
    ("staff", "Alex Lindqvist", Membership.Role.ONBOARDING),
)


class Command(BaseCommand):
    help = "Load the demo shop: people, two locations, a till and a web shop at the sandbox, linked and live. Once."

    def handle(self, *args: Any, **options: Any) -> None:
        """Nothing happens to a demo shop that is there already; one cut short is begun anew under another address."""
        if not settings.SANDBOX:
            raise CommandError("The demo trades at the sandbox: set SANDBOX=true.")
        from channels.sandbox import bringup, demo_goods

        people = _people()
        merchant = Merchant.objects.filter(slug=demo_goods.SLUG).first()
        if merchant is not None:
            self.stdout.write(f"{merchant.name} is there already.")
            return
        _wait_for_sandbox()
        with transaction.atomic():
            _other_shop()
            merchant = Merchant.objects.create(name=demo_goods.NAME, slug=f"{demo_goods.SLUG}-in-the-making")
            for user, role in people:
                Membership.objects.create(user=user, merchant=merchant, role=role)
        try:
            bringup.bring_up(
                merchant=merchant, actor=people[0][0], goods=demo_goods.goods(), places=demo_goods.PLACES,
                domain=f"{demo_goods.SLUG}-{merchant.pk}.myshopify.com", say=self.stdout.write,
            )  # fmt: skip
        except BaseException:
            # Left under a name that says so: the next run begins a new one.
            Merchant.objects.filter(pk=merchant.pk).update(
                name=f"{demo_goods.NAME} (cut short)", slug=f"cut-short-{merchant.pk}"
            )
            raise
        Merchant.objects.filter(pk=merchant.pk).update(slug=demo_goods.SLUG)


def _people() -> list[tuple[User, str]]:
    found: list[tuple[User, str]] = []
    for name, full_name, role in PEOPLE:
        user = User.objects.filter(email=f"{name}@{DOMAIN}").first()
        found.append((user or User.objects.create_user(f"{name}@{DOMAIN}", PASSWORD, name=full_name), role))
    if not User.objects.filter(email=f"admin@{DOMAIN}").exists():
        User.objects.create_superuser(f"admin@{DOMAIN}", PASSWORD, name="Noor Admin")
    return found


def _other_shop() -> None:
    """A second shop with an owner of its own, so that the walls between shops can be seen."""
    merchant, _ = Merchant.objects.get_or_create(slug="lantern-books", defaults={"name": "Lantern Books"})
    email = f"owner@lantern.{DOMAIN}"
    user = User.objects.filter(email=email).first() or User.objects.create_user(email, PASSWORD, name="Jo Lantern")
    Membership.objects.get_or_create(user=user, merchant=merchant, defaults={"role": Membership.Role.OWNER})


def _wait_for_sandbox() -> None:
    end = time.monotonic() + WAIT_S
    while True:
        try:
            requests.get(f"{settings.SANDBOX_URL}/healthz", timeout=5).raise_for_status()
            return
        except requests.RequestException as error:
            if time.monotonic() > end:
                raise CommandError(f"The sandbox does not answer at {settings.SANDBOX_URL}: {error}") from error
        time.sleep(0.2)

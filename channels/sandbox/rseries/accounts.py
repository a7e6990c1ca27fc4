"""Open and revoke a sandbox account: what the demo and the tests start from."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from channels.sandbox.rseries.models import Account, Employee, Item, ItemMatrix, ItemShop, Shop, Token

ACCESS_LIFE = timedelta(hours=1)


@transaction.atomic
def create_account(
    *, name: str, shops: Sequence[str], currency: str = "GBP", time_zone: str = "Europe/London"
) -> Account:
    """An account with shops, an owner with a client of their own, and an app let in by an employee made for it."""
    account = Account.objects.create(
        name=name, currency=currency, registers=len(shops), client_id="sandbox-" + secrets.token_urlsafe(16),
        client_secret="sandbox-" + secrets.token_urlsafe(32),
    )  # fmt: skip
    now = timezone.now()
    for title in shops:
        Shop.objects.create(account=account, name=title, time_zone=time_zone, create_time=now, time_stamp=now)
    owner = Employee.objects.create(account=account, name="Owner")
    Token.objects.create(account=account, employee=owner, kind=Token.Kind.OWNER, value=_secret())
    issue(account=account, employee=Employee.objects.create(account=account, name="StoreStudio"), now=now)
    return account


def issue(*, account: Account, employee: Employee, now: datetime, replaces: Token | None = None) -> tuple[Token, Token]:
    """A new pair. The one before it ends when the new access token is first used, as the vendor has it."""
    given = {"account": account, "employee": employee, "replaces": replaces}
    access = Token.objects.create(**given, kind=Token.Kind.ACCESS, value=_secret(), expires_at=now + ACCESS_LIFE)
    refresh = Token.objects.create(**given, kind=Token.Kind.REFRESH, value=_secret())
    return access, refresh


def value_of(account: Account, kind: str) -> str:
    """The newest living token of a kind; "" without one."""
    row = account.tokens.filter(kind=kind, ended_at=None).last()
    return row.value if row else ""


def revoke(*, account: Account) -> None:
    """The owner removes the app: its tokens are dead."""
    living = Token.objects.filter(account=account, ended_at=None).exclude(kind=Token.Kind.OWNER)
    living.update(ended_at=timezone.now())


def _secret() -> str:
    return "rs_" + secrets.token_urlsafe(40)


@dataclass(frozen=True)
class ItemRow:
    """An item to load; `quantities` by shop."""

    sku: str
    price: Decimal
    values: Sequence[str] = ()
    barcode: str = ""
    quantities: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """Items of one name; more than one, or with options, they are a matrix. At most three options."""

    title: str
    items: Sequence[ItemRow]
    options: Sequence[str] = ()
    category: str = ""


@transaction.atomic
def load(account: Account, families: Sequence[Family]) -> list[Item]:
    """A whole catalog in a few statements, as if it had been there for long: the log does not tell of it."""
    now = timezone.now()
    items, levels = [], []
    for family in families:
        matrix = None
        if family.options:
            matrix = ItemMatrix.objects.create(
                account=account, description=family.title[:255], attribute_names=list(family.options)[:3],
                create_time=now, time_stamp=now,
            )  # fmt: skip
        items += [(_item(account, family, matrix, row, now=now), row) for row in family.items]
    made = Item.objects.bulk_create([item for item, _ in items], batch_size=1000)
    for item, (_, row) in zip(made, items, strict=True):
        shown = {"account": account, "item": item, "time_stamp": now}
        levels += [ItemShop(**shown, shop_id=shop, qoh=units) for shop, units in row.quantities.items()]
        levels.append(ItemShop(**shown, shop=None, qoh=sum(row.quantities.values())))
    ItemShop.objects.bulk_create(levels, batch_size=1000)
    return made


def _item(account: Account, family: Family, matrix: ItemMatrix | None, row: ItemRow, *, now: datetime) -> Item:
    is_upc = len(row.barcode) == 12
    return Item(
        account=account, matrix=matrix, description=" ".join((family.title, *row.values))[:255], custom_sku=row.sku,
        upc=row.barcode if is_upc else "", ean="" if is_upc else row.barcode, attributes=list(row.values)[:3],
        category=family.category, price=row.price, create_time=now, time_stamp=now,
    )  # fmt: skip

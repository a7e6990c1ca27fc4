"""Open and revoke a sandbox account: what the demo and the tests start from."""

import itertools
import secrets
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from channels.sandbox.lightspeed.models import Level, Outlet, Product, Register, Retailer, Token, VariantAttribute
from channels.sandbox.lightspeed.values import locked, next_version

SCOPES = (
    "outlets:read", "products:read", "products:write", "inventory:read", "inventory:write", "consignments:read",
    "consignments:write:inventory_count", "sales:read", "sales:write", "users:read", "webhooks",
)  # fmt: skip
ACCESS_LIFE = timedelta(hours=24)


@transaction.atomic
def create_retailer(
    *,
    domain_prefix: str,
    name: str,
    outlets: Sequence[str],
    currency: str = "GBP",
    time_zone: str = "Europe/London",
    scopes: Iterable[str] = SCOPES,
) -> Retailer:
    """A retailer with outlets of one register each, an app that is let in, and a personal token of its owner."""
    retailer = Retailer.objects.create(
        domain_prefix=domain_prefix, name=name, currency=currency,
        client_id="sandbox-" + secrets.token_urlsafe(16), client_secret="sandbox-" + secrets.token_urlsafe(32),
    )  # fmt: skip
    now = timezone.now()
    for title in outlets:
        add_outlet(retailer=retailer, name=title, time_zone=time_zone, now=now)
    Token.objects.create(retailer=retailer, kind=Token.Kind.PERSONAL, value=_secret())
    issue(retailer=retailer, scopes=list(scopes), now=now)
    return retailer


def add_outlet(*, retailer: Retailer, name: str, time_zone: str, now: datetime) -> Outlet:
    """An outlet with a till."""
    outlet = Outlet.objects.create(
        retailer=retailer, name=name, time_zone=time_zone, version=next_version(retailer),
        created_at=now, updated_at=now,
    )  # fmt: skip
    Register.objects.create(
        retailer=retailer, outlet=outlet, name=f"Till of {name}", version=next_version(retailer),
        created_at=now, updated_at=now,
    )  # fmt: skip
    return outlet


def issue(*, retailer: Retailer, scopes: list[str], now: datetime) -> tuple[Token, Token]:
    """A new pair; with it the pair before it is dead, as the vendor's rotation has it."""
    Token.objects.filter(retailer=retailer, ended_at=None).exclude(kind=Token.Kind.PERSONAL).update(ended_at=now)
    access = Token.objects.create(
        retailer=retailer, kind=Token.Kind.ACCESS, value=_secret(), scopes=scopes, expires_at=now + ACCESS_LIFE
    )
    refresh = Token.objects.create(retailer=retailer, kind=Token.Kind.REFRESH, value=_secret(), scopes=scopes)
    return access, refresh


def value_of(retailer: Retailer, kind: str) -> str:
    """The newest living token of a kind; "" without one."""
    row = retailer.tokens.filter(kind=kind, ended_at=None).last()
    return row.value if row else ""


@transaction.atomic
def revoke(*, retailer: Retailer) -> None:
    """The retailer removes the app: its tokens are dead and its webhooks gone."""
    locked(retailer)
    living = Token.objects.filter(retailer=retailer, ended_at=None).exclude(kind=Token.Kind.PERSONAL)
    living.update(ended_at=timezone.now())
    retailer.webhooks.all().delete()


def _secret() -> str:
    return "lsxs_" + secrets.token_urlsafe(40)


@dataclass(frozen=True)
class VariantRow:
    """A product to load; `quantities` by outlet id, `codes` beside the SKU as (type, code)."""

    sku: str
    price: Decimal
    option_values: Sequence[str] = ()
    codes: Sequence[tuple[str, str]] = ()
    quantities: Mapping[uuid.UUID, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class FamilyRow:
    """Products that share a name and the names of their options."""

    handle: str
    name: str
    variants: Sequence[VariantRow]
    options: Sequence[str] = ()
    category: str = ""


@transaction.atomic
def load(retailer: Retailer, families: Sequence[FamilyRow]) -> None:
    """A whole catalog in a few statements, as the vendor's own importer would make it. Nothing is sent about it."""
    mine, now = locked(retailer), timezone.now()
    numbers = itertools.count(mine.version + 1)
    attributes = {
        name: VariantAttribute(
            id=uuid.uuid4(), retailer=mine, name=name, version=next(numbers), created_at=now, updated_at=now
        )
        for name in dict.fromkeys(name for family in families for name in family.options)
    }
    products, levels = [], []
    for family in families:
        family_id, parent = uuid.uuid4(), None
        for row in family.variants:
            product = _product(mine, family, row, attributes, version=next(numbers), now=now)
            product.family_id, product.variant_parent_id = family_id, parent
            parent = parent or product.pk
            products.append(product)
            levels += [
                Level(retailer=mine, product=product, outlet_id=outlet, quantity=quantity, version=next(numbers),
                      created_at=now, updated_at=now)
                for outlet, quantity in row.quantities.items()
            ]  # fmt: skip
    VariantAttribute.objects.bulk_create(attributes.values())
    Product.objects.bulk_create(products, batch_size=1000)
    Level.objects.bulk_create(levels, batch_size=1000)
    Retailer.objects.filter(pk=mine.pk).update(version=next(numbers))


def _product(
    retailer: Retailer,
    family: FamilyRow,
    row: VariantRow,
    attributes: Mapping[str, VariantAttribute],
    *,
    version: int,
    now: datetime,
) -> Product:
    codes = [("CUSTOM", row.sku), *row.codes] if row.sku else list(row.codes)
    return Product(
        id=uuid.uuid4(), retailer=retailer, handle=family.handle[:255], name=family.name[:255], sku=row.sku,
        category=family.category, price=row.price, version=version, created_at=now, updated_at=now,
        product_codes=[{"id": str(uuid.uuid4()), "type": kind, "code": code} for kind, code in codes],
        variant_options=[
            {"id": str(attributes[name].pk), "name": name, "value": value}
            for name, value in zip(family.options, row.option_values, strict=True)
        ],
    )  # fmt: skip

"""The shop that every schedule begins with: one account at each channel of the registry, linked, counted, live.

It is brought up once, the way a real one is, and put back for every schedule: see `Shop.put_back`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import psycopg

from channels import approvals, connections, linking
from channels.models import ChannelLocation, Connection
from inventory.models import Location, Variant
from storestudio.accounts.models import Merchant, User
from tests.contract.adapters import Adapter
from tests.contract.adapters import Shop as VendorShop
from tests.simulation import checks
from tests.simulation.databases import CLOCK, Parties, parameters
from tests.simulation.hands import HANDS
from tests.simulation.transport import VENDORS

PLACES = ("Front", "Back")
SWITCHES = {
    "shopify.bucket": [20000, 1000],  # schedules are not about cost points
    "woocommerce.failures_before_disabled": 1,  # they are too short for five
}


@dataclass(frozen=True)
class Counter:
    """One channel of the shop: our connection, the account at the vendor, and the hands that trade there."""

    channel: str
    connection_id: int
    shop: VendorShop
    adapter: Adapter


@dataclass(frozen=True)
class Shop:
    """Ids of what the schedules play with. `cells`: (variant id, location id), STOCK_AT_START of each."""

    merchant_id: int
    owner_id: int
    counters: tuple[Counter, ...]
    variant_ids: tuple[int, ...]
    location_ids: tuple[int, ...]


def bring_up(parties: Parties, channels: Sequence[str]) -> Shop:
    """Open, connect, import, link, count and approve; every webhook of it is delivered by the caller."""
    with parties.working("studio"):
        merchant = Merchant.objects.create(name="Corner", slug="corner")
        owner = User.objects.create_user("owner@corner.example")
        for name in PLACES:
            Location.objects.create(merchant=merchant, name=name)
    counters = [_open(parties, merchant, owner, channel) for channel in channels]
    with parties.working("studio"):
        first = Connection.objects.get(pk=counters[0].connection_id)
        connections.adopt_counts(first, actor=owner)
        for counter in counters:
            _go_live(Connection.objects.get(pk=counter.connection_id), owner)
        return Shop(
            merchant_id=merchant.pk,
            owner_id=owner.pk,
            counters=tuple(counters),
            variant_ids=tuple(Variant.objects.of(merchant).order_by("sku").values_list("pk", flat=True)),
            location_ids=tuple(Location.objects.of(merchant).order_by("-name").values_list("pk", flat=True)),
        )


def _open(parties: Parties, merchant: Merchant, owner: User, channel: str) -> Counter:
    adapter: Adapter = import_module(f"tests.contract.adapters.{channel}").ADAPTER
    with parties.working("customer"):
        shop = adapter.open_shop(server_url=VENDORS, webhook_url="")
        secrets = HANDS[channel].own_secrets(shop=shop)
    with parties.working("studio"):
        connection = connections.open_connection(
            merchant=merchant,
            channel=channel,
            label=channel.capitalize(),
            account_id=shop.account.account_id,
            base_url=shop.account.base_url,
            secrets=secrets,
            actor=owner,
        )
        connections.refresh_locations(connection)
        for place in ChannelLocation.objects.filter(connection=connection).order_by("pk"):
            # A shop that knows one stock tells that of the first place.
            ours = Location.objects.get(merchant=merchant, name=place.name if place.name in PLACES else PLACES[0])
            connections.map_location(channel_location=place, location=ours, actor=owner)
        connections.import_catalog(connection)
        linking.adopt_catalog(connection, actor=owner)
    return Counter(channel, connection.pk, shop, adapter)


def _go_live(connection: Connection, owner: User) -> None:
    connections.subscribe(connection)
    linking.ensure_cells(connection)
    connections.read_all_counts(connection)
    lines = approvals.preview(connection=connection)
    approvals.approve(connection=connection, actor=owner, digest=approvals.preview_digest(lines))


# Puts every table back to what it held when this was made, and every sequence: the next schedule begins as the first.
# Rows are deleted and copied, not truncated: for some hundred rows in a hundred tables that is a tenth of the time.
_PUT_BACK = """
CREATE OR REPLACE FUNCTION simulation.put_back_{name}() RETURNS void LANGUAGE plpgsql
SET session_replication_role = replica AS $$
BEGIN
{statements}
END $$;
"""
_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND c.relname NOT IN ('django_migrations', 'django_content_type', 'auth_permission') ORDER BY 1
"""
_COLUMNS = """
SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""
_SEQUENCES = (
    "SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"
)


def remember(parties: Parties, name: str) -> None:
    """Keep the database as it is now, to be put back by this name."""
    with psycopg.connect(**parameters(parties.settings, parties.settings["NAME"]), autocommit=True) as link:
        link.execute(f"CREATE SCHEMA fixture_{name}")
        tables = [row[0] for row in link.execute(_TABLES).fetchall()]
        statements = [f'DELETE FROM public."{table}";' for table in tables]
        for table in tables:
            (columns,) = link.execute(_COLUMNS, [f'public."{table}"']).fetchone()
            if link.execute(f'SELECT EXISTS (SELECT FROM public."{table}")').fetchone()[0]:
                link.execute(f'CREATE TABLE fixture_{name}."{table}" AS SELECT {columns} FROM public."{table}"')
                statements.append(f'INSERT INTO public."{table}" ({columns}) SELECT * FROM fixture_{name}."{table}";')
        for sequence, value in link.execute(_SEQUENCES).fetchall():
            statements.append(f"PERFORM setval('{sequence}', {value or 1}, {'true' if value else 'false'});")
        link.execute(_PUT_BACK.format(name=name, statements="\n".join(statements)))


def prepare(parties: Parties) -> None:
    """Give a database of the product's schema what a simulation needs: its clock, and the ledger's months."""
    with psycopg.connect(**parameters(parties.settings, parties.settings["NAME"]), autocommit=True) as link:
        link.execute(CLOCK + checks.FUNCTION)
        link.execute("SELECT inventory_add_movement_months('2030-01-01', 2)")

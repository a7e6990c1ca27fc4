import json
import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels import connections, linking, registry
from channels.models import Connection
from channels.ports import Account, ConnectorError
from storestudio.accounts.models import Merchant, User


class Command(BaseCommand):
    help = "Bring a shop's channel in: open it, read it, take its catalog or counts over. Writes no number there."

    def add_arguments(self, parser: CommandParser) -> None:
        """One subcommand a step; the rest (places, the table, the yes) is a person's work on the pages."""
        steps = parser.add_subparsers(dest="step", required=True)
        opening = steps.add_parser("open", help="open a connection with the secrets given as JSON on standard input")
        opening.add_argument("--shop", required=True, help="slug of the shop")
        opening.add_argument("--channel", required=True, choices=sorted(registry.CHANNELS))
        opening.add_argument("--account-id", required=True, help="the account's id or domain at the channel")
        opening.add_argument("--base-url", required=True, help="where its API is served")
        opening.add_argument("--label", help="what people here call it")
        reading = steps.add_parser("read", help="read places, catalog and counts again")
        reading.add_argument("connection", type=int, help="its number, as `open` prints it")
        reading.add_argument("--adopt-catalog", action="store_true", help="make products of what matches nothing here")
        reading.add_argument("--adopt-counts", action="store_true", help="open the stock with this channel's counts")
        for step in (opening, reading):
            step.add_argument("--as", dest="actor", required=True, help="email of who does this, for the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the step; a channel's refusal ends it with the channel's words."""
        actor = User.objects.filter(email__iexact=options["actor"]).first()
        if actor is None:
            raise CommandError(f"Nobody has the address {options['actor']}.")
        step: Callable[..., None] = getattr(self, options["step"])
        try:
            step(actor, options)
        except ConnectorError as error:
            raise CommandError(f"The channel said no: {error}") from error

    def open(self, actor: User, options: dict[str, Any]) -> None:
        """Open only what lets us in: the secrets are tried before they are kept."""
        merchant = Merchant.objects.filter(slug=options["shop"]).first()
        if merchant is None:
            raise CommandError(f"There is no shop {options['shop']}.")
        account_id, base_url, channel = options["account_id"], options["base_url"].rstrip("/"), options["channel"]
        known = Connection.objects.of(merchant).filter(channel=channel, account_id=account_id)
        if known.exclude(state=Connection.State.CLOSED).exists():
            raise CommandError(f"{account_id} is connected already.")
        secrets = _secrets()
        account = Account(account_id=account_id, base_url=base_url, credentials=secrets, webhook_url="")
        registry.connect(channel, account=account).list_locations()
        connection = connections.open_connection(
            merchant=merchant, channel=channel, label=options["label"] or registry.CHANNELS[channel].label,
            account_id=account_id, base_url=base_url, secrets=secrets, actor=actor,
        )  # fmt: skip
        self.stdout.write(f"Connection {connection.pk}, {connection.label}, is open and paused.")
        connections.subscribe(connection)
        self._read(connection)
        self.stdout.write(f"Next: say which place is which at /{merchant.slug}/channels/, then `connect read`.")

    def read(self, actor: User, options: dict[str, Any]) -> None:
        """Read all again, and take over what was asked for."""
        connection = Connection.objects.filter(pk=options["connection"]).first()
        if connection is None or connection.state == Connection.State.CLOSED:
            raise CommandError(f"There is no connection {options['connection']}.")
        self._read(connection)
        if options["adopt_catalog"]:
            made = linking.adopt_catalog(connection, actor=actor)
            self.stdout.write(f"{made} variants made from its listings.")
        if options["adopt_counts"]:
            if not connection.locations.filter(location__isnull=False).exists():
                raise CommandError("None of its places is mapped to a location: its counts belong nowhere yet.")
            opened = connections.adopt_counts(connection, actor=actor)
            self.stdout.write(f"{opened} cells opened with its counts.")
        told = connections.read_all_counts(connection)
        self.stdout.write(f"{told} numbers read.")

    def _read(self, connection: Connection) -> None:
        places = connections.refresh_locations(connection)
        seen = connections.import_catalog(connection)
        linked = connection.listings.filter(link="linked", deleted_at=None).count()
        self.stdout.write(f"{places} places, {seen} listings, {linked} linked by SKU or GTIN.")


def _secrets() -> dict[str, Any]:
    """From standard input, so that they show in no list of processes."""
    try:
        secrets = json.load(sys.stdin)
    except ValueError as error:
        raise CommandError(f"Standard input holds no JSON: {error}") from error
    if not isinstance(secrets, dict) or not secrets:
        raise CommandError('Give the secrets as a JSON object, such as {"access_token": "…"}.')
    return secrets

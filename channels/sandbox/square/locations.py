"""Locations and the merchant."""

from channels.sandbox.square import events
from channels.sandbox.square.errors import SquareError, missing, not_found
from channels.sandbox.square.http import Call, endpoint
from channels.sandbox.square.models import Account, Location
from channels.sandbox.square.values import Json, stamp

TAKES = {
    "location": "object",
    "location.name": "text",
    "location.status": "text",
    "location.timezone": "text",
}
WRITABLE = ("address", "business_name", "description", "phone_number", "website_url", "business_hours")


def print_location(location: Location, *, account: Account) -> Json:
    body: Json = location.data | {
        "id": location.location_id,
        "name": location.name,
        "status": location.status,
        "timezone": location.timezone,
        "capabilities": ["CREDIT_CARD_PROCESSING", "AUTOMATIC_TRANSFERS"],
        "created_at": stamp(location.created_at),
        "merchant_id": account.merchant_id,
        "country": account.country,
        "language_code": account.language,
        "currency": account.currency,
        "type": "PHYSICAL",
    }
    return body


def find(*, account: Account, location_id: object, field: str = "location_id") -> Location:
    """A location of this seller by id, or the main one by its alias. Raises SquareError (404)."""
    if not location_id:
        raise missing(field)
    mine = Location.objects.filter(account=account)
    row = mine.filter(is_main=True).first() if location_id == "main" else mine.filter(pk=location_id).first()
    if row is None:
        raise not_found(f"Location `{location_id}` not found.", field)
    return row


@endpoint(operation="locations.list", scopes=("MERCHANT_PROFILE_READ",))
def list_locations(*, call: Call) -> Json:
    """All of them, inactive ones too, by name; not paged."""
    rows = Location.objects.filter(account=call.account).order_by("name", "pk")
    return {"locations": [print_location(row, account=call.account) for row in rows]}


@endpoint(operation="locations.get", scopes=("MERCHANT_PROFILE_READ",))
def get_location(*, call: Call, location_id: str) -> Json:
    row = find(account=call.account, location_id=location_id)
    return {"location": print_location(row, account=call.account)}


@endpoint(operation="locations.update", scopes=("MERCHANT_PROFILE_WRITE",), takes=TAKES)
def update_location(*, call: Call, location_id: str) -> Json:
    """Name, status, timezone and the descriptive fields; the others are Square's to set."""
    row = find(account=call.account, location_id=location_id)
    given = call.body.get("location")
    if not isinstance(given, dict):
        raise missing("location")
    if given.get("status") not in (None, "ACTIVE", "INACTIVE"):
        raise SquareError(code="INVALID_ENUM_VALUE", detail="Not a status.", field="location.status")
    row.name = given.get("name") or row.name
    row.status = given.get("status") or row.status
    row.timezone = given.get("timezone") or row.timezone
    row.data |= {name: given[name] for name in WRITABLE if name in given}
    row.save()
    events.emit(
        account=call.account,
        type_="location.updated",
        data={"type": "Location", "id": row.location_id},
        location_id=row.location_id,
    )
    return {"location": print_location(row, account=call.account)}


def print_merchant(account: Account) -> Json:
    main = Location.objects.filter(account=account, is_main=True).first()
    return {
        "id": account.merchant_id,
        "business_name": account.name,
        "country": account.country,
        "language_code": account.language,
        "currency": account.currency,
        "status": "ACTIVE",
        "main_location_id": main.location_id if main else None,
        "created_at": stamp(account.created_at),
    }


@endpoint(operation="merchants.list", scopes=("MERCHANT_PROFILE_READ",))
def list_merchants(*, call: Call) -> Json:
    return {"merchant": [print_merchant(call.account)]}


@endpoint(operation="merchants.get", scopes=("MERCHANT_PROFILE_READ",))
def get_merchant(*, call: Call, merchant_id: str) -> Json:
    if merchant_id not in ("me", call.account.merchant_id):
        raise not_found(f"Merchant `{merchant_id}` not found.")
    return {"merchant": print_merchant(call.account)}

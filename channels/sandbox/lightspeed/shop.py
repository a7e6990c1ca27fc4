"""What a retailer has: outlets, registers, taxes, payment types, names of options."""

from channels.sandbox.lightspeed.errors import LightspeedError
from channels.sandbox.lightspeed.http import Call, endpoint, find, page
from channels.sandbox.lightspeed.models import Outlet, Register, VariantAttribute
from channels.sandbox.lightspeed.values import Json, locked, next_version, stamp


def print_outlet(outlet: Outlet) -> Json:
    """An outlet."""
    return {
        "id": str(outlet.pk),
        "name": outlet.name,
        "currency": outlet.retailer.currency,
        "currency_symbol": "£",
        "display_prices": "inclusive",
        "time_zone": outlet.time_zone,
        "attributes": [],
        "deleted_at": stamp(outlet.deleted_at),
        "version": outlet.version,
    }


@endpoint(operation="outlets.list", scope="outlets:read")
def list_outlets(*, call: Call) -> Json:
    """A feed."""
    return page(call, Outlet.objects.select_related("retailer"), print_outlet)


@endpoint(operation="outlets.get", scope="outlets:read")
def get_outlet(*, call: Call, outlet_id: str) -> Json:
    """One."""
    return {"data": print_outlet(find(call, Outlet, outlet_id))}


@endpoint(operation="registers.list")
def list_registers(*, call: Call) -> Json:
    """A feed."""
    return page(
        call,
        Register.objects.all(),
        lambda row: {
            "id": str(row.pk), "name": row.name, "outlet_id": str(row.outlet_id), "is_open": True,
            "deleted_at": stamp(row.deleted_at), "version": row.version,
        },
    )  # fmt: skip


@endpoint(operation="retailer.get")
def retailer(*, call: Call) -> Json:
    """Who this is."""
    mine = call.retailer
    return {
        "data": {
            "id": str(mine.id), "name": mine.name, "domain_prefix": mine.domain_prefix, "currency": mine.currency,
        }
    }  # fmt: skip


@endpoint(operation="user.get")
def user(*, call: Call) -> Json:
    """Who asks."""
    return {"data": {"id": str(call.retailer.user_id), "username": "owner", "display_name": "Owner"}}


@endpoint(operation="taxes.list")
def list_taxes(*, call: Call) -> Json:
    """The one there is: none."""
    return {"data": [{"id": str(call.retailer.tax_id), "name": "No tax", "rates": [{"rate": 0}], "is_default": True}]}


@endpoint(operation="payment_types.list")
def list_payment_types(*, call: Call) -> Json:
    """Cash."""
    return {"data": [{"id": str(call.retailer.payment_type_id), "name": "Cash"}]}


def print_attribute(row: VariantAttribute) -> Json:
    """The name of an option."""
    return {"id": str(row.pk), "name": row.name, "deleted_at": stamp(row.deleted_at)}


@endpoint(operation="variant_attributes.list", scope="products:read")
def list_attributes(*, call: Call) -> Json:
    """A feed."""
    return page(call, VariantAttribute.objects.all(), print_attribute)


@endpoint(operation="variant_attributes.create", scope="products:write")
def create_attribute(*, call: Call) -> Json:
    """A name for options; every product may use it."""
    name = str(call.body.get("name") or "")
    if not name:
        raise LightspeedError(422, "name is needed.")
    retailer = locked(call.retailer)
    row = VariantAttribute.objects.create(
        retailer=retailer, name=name, version=next_version(retailer), created_at=call.now, updated_at=call.now
    )
    return {"data": print_attribute(row)}

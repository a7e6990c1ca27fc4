"""Which granted scopes open a root field. https://shopify.dev/docs/api/usage/access-scopes"""

from __future__ import annotations

from collections.abc import Sequence

_PRODUCTS = ("read_products",)
_PLACES = ("read_locations", "read_inventory")
_ORDERS = ("read_orders",)
_TO_FULFIL = (
    "read_merchant_managed_fulfillment_orders", "read_assigned_fulfillment_orders",
    "read_third_party_fulfillment_orders",
)  # fmt: skip
_FULFIL = tuple(scope.replace("read_", "write_") for scope in _TO_FULFIL)

# Any one of the scopes is enough. Fields that are not named are open to every app of the shop.
NEEDED: dict[str, Sequence[str]] = {
    "product": _PRODUCTS, "products": _PRODUCTS, "productsCount": _PRODUCTS, "productVariant": _PRODUCTS,
    "productVariants": _PRODUCTS, "inventoryItem": ("read_inventory", "read_products"),
    "inventoryItems": ("read_inventory", "read_products"), "inventoryLevel": ("read_inventory",),
    "inventoryProperties": ("read_inventory",), "location": _PLACES, "locations": _PLACES, "order": _ORDERS,
    "orders": _ORDERS, "ordersCount": _ORDERS, "refund": _ORDERS, "draftOrder": ("read_draft_orders",),
    "fulfillment": (*_ORDERS, *_TO_FULFIL), "fulfillmentOrder": _TO_FULFIL, "fulfillmentOrders": _TO_FULFIL,
    "draftOrderComplete": ("write_draft_orders",), "draftOrderCreate": ("write_draft_orders",),
    "fulfillmentCancel": _FULFIL, "fulfillmentCreate": _FULFIL, "fulfillmentOrderMove": (_FULFIL[0], _FULFIL[2]),
    "fulfillmentOrderLineItemsPreparedForPickup": _FULFIL[:1], "fulfillmentOrdersReroute": _FULFIL,
    "inventoryActivate": ("write_inventory",), "inventoryAdjustQuantities": ("write_inventory",),
    "inventoryBulkToggleActivation": ("write_inventory",), "inventoryItemUpdate": ("write_inventory",),
    "inventoryMoveQuantities": ("write_inventory",), "inventorySetQuantities": ("write_inventory",),
    "locationAdd": ("write_locations",), "locationDeactivate": ("write_locations",),
    "locationLocalPickupEnable": ("write_locations", "write_shipping"), "orderCancel": ("write_orders",),
    "orderCreate": ("write_orders",), "refundCreate": ("write_orders",), "orderEditAddVariant": ("write_order_edits",),
    "orderEditBegin": ("write_order_edits",), "orderEditCommit": ("write_order_edits",),
    "orderEditSetQuantity": ("write_order_edits",), "productCreate": ("write_products",),
    "productDelete": ("write_products",), "productOptionsCreate": ("write_products",),
    "productOptionUpdate": ("write_products",), "productSet": ("write_products",),
    "productUpdate": ("write_products",), "productVariantsBulkCreate": ("write_products",),
    "productVariantsBulkDelete": ("write_products",), "productVariantsBulkUpdate": ("write_products",),
}  # fmt: skip


def lacking(field: str, granted: Sequence[str]) -> str | None:
    """The scope to ask for where the merchant granted none that opens the field. Writing implies reading."""
    needed = NEEDED.get(field, ())
    opens = {*needed, *(scope.replace("read_", "write_", 1) for scope in needed)}
    return None if not needed or opens & set(granted) else needed[0]

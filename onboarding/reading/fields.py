"""The fields a column can be mapped to."""

from __future__ import annotations

LABELS: dict[str, str] = {
    "product_title": "Product title",
    "variant_title": "Variant title",
    "product_key": "Product group",
    "vendor": "Vendor",
    "category": "Category",
    "tags": "Tags",
    "option1_name": "Option 1 name",
    "option1_value": "Option 1 value",
    "option2_name": "Option 2 name",
    "option2_value": "Option 2 value",
    "option3_name": "Option 3 name",
    "option3_value": "Option 3 value",
    "sku": "SKU",
    "gtin": "Barcode",
    "price": "Price",
    "cost": "Cost",
    "compare_at_price": "Compare-at price",
    "quantity": "Quantity on hand",
    "is_tracked": "Stock is tracked",
    "sells_past_zero": "Sells when out of stock",
    "status": "Status",
    "location": "Location",
    "image_url": "Image URL",
    "weight": "Weight",
    "weight_unit": "Weight unit",
    "external_id": "Variant id",
    "external_product_id": "Product id",
}
OPTION_SLOTS = (1, 2, 3)
MONEY = ("price", "cost", "compare_at_price")
IGNORED = ""  # what a column that is not read is mapped to
QUANTITY_AT = "quantity:"  # followed by the place: "quantity:Main Street"
# As long as the catalog can keep it (inventory/models.py).
CHARS_MAX = {"product_title": 300, "variant_title": 300, "vendor": 120, "category": 120, "sku": 120, "image_url": 500}


def is_field(name: str) -> bool:
    return name in LABELS or (name.startswith(QUANTITY_AT) and len(name) > len(QUANTITY_AT))

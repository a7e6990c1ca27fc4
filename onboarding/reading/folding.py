"""Rows of one product put together: each variant's row gets what the file says once, on the product's first row.

Works on texts by field, before any is parsed, so that rows can be passed over quickly. A blank text says nothing.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping

from onboarding.reading.rows import Problem, Severity

Texts = dict[str, str]
_KEPT_PRODUCTS = 2_000  # products whose first row is remembered; rows of a product normally follow each other
PARENTS_MAX = 100_000  # WooCommerce names the parent, which may stand anywhere in the file
_PRODUCT_FIELDS = ("product_title", "vendor", "category", "tags", "status", "image_url")
_NAMES = ("option1_name", "option2_name", "option3_name")
_VALUES = ("option1_value", "option2_value", "option3_value")
_SAYS_VARIANT = (*_VALUES, "sku", "gtin", "price", "quantity", "_tracker", "_policy")
_ID_PARENT = re.compile(r"id:\s*(\d+)", re.IGNORECASE)


class Folding:
    """Plain tables: a row with the group of a row above it and no title has that row's title, vendor and so on."""

    def __init__(self) -> None:
        self.folded: Counter[str] = Counter()  # rows that are no variant of their own, by what they are
        self._products: OrderedDict[str, Texts] = OrderedDict()

    def prepare(self, rows: Iterable[Texts]) -> None:
        """See all rows once beforehand, where `needs_preparing`."""

    needs_preparing = False

    def fold(self, texts: Texts, problems: list[Problem]) -> Texts | None:
        """The row's texts completed, or None when the row is no variant."""
        return self._inherited(texts)

    def _inherited(self, texts: Texts) -> Texts:
        key = texts.get("product_key", "").strip()
        if not key:
            return texts
        first = self._products.get(key)
        if texts.get("product_title", "").strip() or first is None:
            self._products[key] = {name: texts[name] for name in (*_PRODUCT_FIELDS, *_NAMES) if texts.get(name)}
            if first is not None:
                _fill(texts, first, _NAMES)
            elif len(self._products) > _KEPT_PRODUCTS:
                self._products.popitem(last=False)
            return texts
        _fill(texts, first, (*_PRODUCT_FIELDS, *_NAMES))
        return texts


def _fill(texts: Texts, first: Mapping[str, str], names: Iterable[str]) -> None:
    for name in names:
        if name in first and not texts.get(name):
            texts[name] = first[name]


class ShopifyFolding(Folding):
    """Product fields and option names only in the first row of a handle; more rows with an image only."""

    def fold(self, texts: Texts, problems: list[Problem]) -> Texts | None:
        if not texts.get("product_title", "").strip() and not any(texts.get(name) for name in _SAYS_VARIANT):
            self.folded["rows with another image"] += 1
            return None
        if not texts.get("product_key", "").strip():
            problems.append(Problem("product_key", Severity.WARNING, "No handle: taken for a product of its own."))
        if not texts.get("category") and texts.get("_category"):
            texts["category"] = texts["_category"].rsplit(">", 1)[-1]
        image = texts.get("_variant_image", "")
        texts = self._inherited(texts)
        if image:
            texts["image_url"] = image
        self._policy(texts)
        if texts.get("option1_value") == "Default Title":
            texts["option1_value"] = texts["option1_name"] = ""
            texts["_single"] = "yes"
        return texts

    def _policy(self, texts: Texts) -> None:
        """Tracker: a name means somebody counts, empty nobody. Policy: continue sells past zero, deny does not."""
        if "_tracker" in texts:
            texts["is_tracked"] = "yes" if texts["_tracker"].strip() else "no"
        policy = texts.get("_policy", "").strip().casefold()
        if policy:
            texts["sells_past_zero"] = {"continue": "yes", "deny": "no"}.get(policy, policy)


class ShopifyStockFolding(Folding):
    """Counts at places. A new number, where one was typed, is what counts; option names stand in the first row."""

    def fold(self, texts: Texts, problems: list[Problem]) -> Texts | None:
        texts = self._inherited(texts)
        if not texts.get("quantity", "").strip():
            texts["quantity"] = texts.get("_current", "")
        if texts.get("option1_value") == "Default Title":
            texts["option1_value"] = texts["option1_name"] = ""
            texts["_single"] = "yes"
        return texts


class SquareFolding(Folding):
    """One row per variation; items are told by their handle, in older files by name only."""

    def fold(self, texts: Texts, problems: list[Problem]) -> Texts | None:
        texts["product_key"] = texts.get("_handle", "").strip() or texts.get("product_title", "").strip()
        if not texts.get("category") and texts.get("_categories"):
            texts["category"] = texts["_categories"]
        if texts.get("variant_title", "").strip().casefold() in ("regular", "normal"):
            texts["variant_title"] = ""
            texts["_single"] = "yes"
        archived = texts.get("_archived", "").strip().casefold()
        if archived:
            texts["status"] = "archived" if archived in ("y", "yes", "true", "1") else "active"
        for name in [name for name in texts if name.startswith("_new:")]:
            if texts[name].strip():
                texts["quantity:" + name.removeprefix("_new:")] = texts[name]
        if texts.get("_stockable", "").strip().casefold() in ("n", "no", "false", "0"):
            texts["is_tracked"] = "no"
        elif any(name.startswith("quantity:") and texts[name].strip() for name in texts):
            texts["is_tracked"] = "yes"  # Square writes a count only where it keeps one
        return texts


class LightspeedFolding(Folding):
    """Variants share a handle; a composite lists its parts in further rows, which hold no stock of their own."""

    def fold(self, texts: Texts, problems: list[Problem]) -> Texts | None:
        is_composite = bool(texts.get("_composite", "").strip())
        if is_composite and not texts.get("product_title", "").strip() and not texts.get("sku", "").strip():
            self.folded["parts of composites"] += 1
            return None
        texts = self._inherited(texts)
        active = texts.get("_active", "").strip().casefold()
        if active:
            texts["status"] = "active" if active in ("1", "y", "yes", "true") else "archived"
        if is_composite:
            texts["is_tracked"] = "no"
            for name in [name for name in texts if name.startswith("quantity")]:
                texts[name] = ""
            problems.append(Problem("", Severity.WARNING, "A composite: its parts hold the stock, it has none itself."))
        return texts


class WooFolding(Folding):
    """Variations name their parent by SKU or "id:17"; the variable parent itself is not sold."""

    needs_preparing = True

    def __init__(self) -> None:
        super().__init__()
        self._parents: dict[str, Texts] = {}

    def prepare(self, rows: Iterable[Texts]) -> None:
        for texts in rows:
            if not _is_type(texts, "variable") or len(self._parents) >= PARENTS_MAX * 2:
                continue
            parent = {name: texts[name] for name in (*_PRODUCT_FIELDS, "_published", "quantity") if texts.get(name)}
            parent["external_product_id"] = texts.get("external_id", "").strip()
            for key in (f"id:{parent['external_product_id']}", texts.get("sku", "").strip().casefold()):
                if key not in ("", "id:"):
                    self._parents[key] = parent

    def fold(self, texts: Texts, problems: list[Problem]) -> Texts | None:
        if _is_type(texts, "variable"):
            self.folded["parents of variations"] += 1
            return None
        if _is_type(texts, "grouped"):
            self.folded["groups of other products"] += 1
            return None
        _woo_price(texts, problems)
        _woo_stock(texts)
        if _is_type(texts, "variation"):
            self._of_parent(texts, problems)
        else:
            key = texts.get("external_id", "").strip() or texts.get("sku", "").strip()
            texts["product_key"] = texts["external_product_id"] = key
            texts["_single"] = "yes"
        published = texts.get("_published", "").strip()
        if published:
            texts["status"] = "active" if published == "1" else "draft"
        for name, separator in (("image_url", ","), ("category", ","), ("vendor", ",")):
            if separator in texts.get(name, ""):
                texts[name] = texts[name].split(separator)[0]
        if ">" in texts.get("category", ""):
            texts["category"] = texts["category"].rsplit(">", 1)[-1]
        return texts

    def _of_parent(self, texts: Texts, problems: list[Problem]) -> None:
        reference = texts.get("_parent", "").strip()
        match = _ID_PARENT.fullmatch(reference)
        parent = self._parents.get(f"id:{match[1]}" if match else reference.casefold())
        own_title = texts.get("product_title", "")
        if parent is None:
            message = f"Its parent “{reference}” is not in the file." if reference else "A variation without a parent."
            problems.append(Problem("product_key", Severity.ERROR, message))
        else:
            texts["product_title"] = parent.get("product_title", own_title)
            texts["external_product_id"] = parent["external_product_id"]
            texts["product_key"] = parent["external_product_id"] or reference
            _fill(texts, parent, ("vendor", "category", "tags", "image_url"))
            if parent.get("_published") not in (None, "1"):
                texts["_published"] = parent["_published"]
        _woo_options(texts, problems)


def _is_type(texts: Texts, kind: str) -> bool:
    """ "variation, virtual" is a variation."""
    return kind in (part.strip().casefold() for part in texts.get("_type", "").split(","))


def _woo_price(texts: Texts, problems: list[Problem]) -> None:
    regular, sale = texts.get("_regular", ""), texts.get("_sale", "")
    if sale.strip() and (texts.get("_sale_from", "").strip() or texts.get("_sale_to", "").strip()):
        problems.append(Problem("price", Severity.WARNING, f"The dated sale price {sale} was left out."))
        sale = ""
    texts["price"] = sale if sale.strip() else regular
    if sale.strip():
        texts["compare_at_price"] = regular


def _woo_stock(texts: Texts) -> None:
    """Core leaves Stock empty exactly where it does not manage stock, and writes "parent" where the parent has it."""
    manage = texts.get("_manage", "").strip()
    stock = texts.get("quantity", "").strip()
    if manage:
        texts["is_tracked"] = manage
    elif stock:
        texts["is_tracked"] = "yes"
    elif "quantity" in texts and texts.get("external_id", "").strip():
        texts["is_tracked"] = "no"
    if texts.get("sells_past_zero", "").strip().casefold() == "notify":
        texts["sells_past_zero"] = "yes"


def _woo_options(texts: Texts, problems: list[Problem]) -> None:
    slot = 0
    for place in range(1, 13):
        name = texts.get(f"_attribute{place}_name", "").strip()
        value = texts.get(f"_attribute{place}_value", "").strip()
        if not name:
            continue
        if not value:
            problems.append(Problem("", Severity.WARNING, f"The variation stands for any “{name}”."))
            continue
        slot += 1
        if slot > 3:
            problems.append(Problem("", Severity.WARNING, f"A fourth option, “{name}”, was left out."))
            continue
        texts[f"option{slot}_name"], texts[f"option{slot}_value"] = name, value


FOLDINGS: dict[str, type[Folding]] = {
    "plain": Folding,
    "shopify": ShopifyFolding,
    "shopify_stock": ShopifyStockFolding,
    "square": SquareFolding,
    "lightspeed": LightspeedFolding,
    "woocommerce": WooFolding,
}

"""How catalog objects are written and printed: temporary ids, versions, nested variations, soft deletion."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import OperationalError
from django.db.models import Count, Q

from channels.sandbox import faults
from channels.sandbox.square import errors
from channels.sandbox.square.errors import SquareError, invalid, missing, not_found
from channels.sandbox.square.models import Account, CatalogObject, InventoryCount
from channels.sandbox.square.values import Json, stamp, upper_id

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VARIATIONS_MAX = 250
HEAD = ("type", "id", "version", "updated_at", "created_at", "is_deleted")
READ_ONLY_OVERRIDES = ("sold_out", "sold_out_valid_until")
TYPES = (
    "ITEM", "IMAGE", "CATEGORY", "ITEM_VARIATION", "TAX", "DISCOUNT", "MODIFIER_LIST", "MODIFIER",
    "PRICING_RULE", "PRODUCT_SET", "TIME_PERIOD", "MEASUREMENT_UNIT", "ITEM_OPTION", "ITEM_OPTION_VAL",
    "CUSTOM_ATTRIBUTE_DEFINITION", "AVAILABILITY_PERIOD",
)  # fmt: skip


@dataclass
class Draft:
    """One object to be written, its nested variations taken out."""

    object_id: str
    type: str
    version: int | None
    data: Json
    field: str
    item_id: str = ""
    keeps: list[str] | None = None  # of an ITEM that lists its variations: the ids it keeps


def lock_catalog(account: Account) -> Account:
    """One catalog write at a time for a seller; a concurrent one gets 429. Holds the account row's lock."""
    try:
        return Account.objects.select_for_update(nowait=True, no_key=True).get(pk=account.pk)
    except OperationalError as error:
        raise errors.rate_limited() from error


def next_version(account: Account, *, now: datetime) -> tuple[int, datetime]:
    """The version every object of this write gets: the time in milliseconds, always rising for a seller."""
    clock = (now - EPOCH) // timedelta(milliseconds=1)
    version = max(clock, account.catalog_version + 1)
    account.catalog_version = version
    account.save(update_fields=["catalog_version"])
    return version, version_time(version)


def version_time(version: int) -> datetime:
    return EPOCH + timedelta(milliseconds=version)


def new_ids(objects: Iterable[Any]) -> dict[str, str]:
    """A Square id for every temporary `#` id that an object in here, nested ones too, goes by."""
    ids: dict[str, str] = {}

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            name = value.get("id")
            if isinstance(name, str) and name.startswith("#") and "type" in value:
                ids.setdefault(name, upper_id())
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    for entry in objects:
        walk(entry)
    return ids


def replace_ids(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: replace_ids(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [replace_ids(inner, ids) for inner in value]
    return ids.get(value, value) if isinstance(value, str) and value.startswith("#") else value


def upsert(*, account: Account, objects: list[Any], now: datetime) -> tuple[list[str], dict[str, str], datetime]:
    """Write objects, all or none; returns their ids in order, the ids given to new ones, and the time of it.

    An object is replaced whole. An ITEM that lists variations loses those it does not list; one without a
    list keeps what it has. The caller holds `lock_catalog`. Raises SquareError.
    """
    for n, entry in enumerate(objects):
        check_shape(entry, field=f"objects[{n}]")
    ids = new_ids(objects)
    drafts = [d for n, entry in enumerate(objects) for d in flatten(replace_ids(entry, ids), field=f"objects[{n}]")]
    rows = {row.object_id: row for row in CatalogObject.objects.filter(
        account=account, object_id__in={draft.object_id for draft in drafts}, is_deleted=False
    )}  # fmt: skip
    fresh = set(ids.values())
    if len({draft.object_id for draft in drafts}) < len(drafts):
        raise invalid("objects", "An object may be given only once.")
    for draft in drafts:
        check_version(draft, row=rows.get(draft.object_id), is_new=draft.object_id in fresh)
    check_variations(account=account, drafts=drafts)
    version, updated_at = next_version(account, now=now)
    written = [make_row(account=account, draft=draft, version=version, updated_at=updated_at) for draft in drafts]
    CatalogObject.objects.bulk_create(
        written,
        update_conflicts=True,
        unique_fields=["object_id"],
        update_fields=["item_id", "name", "sku", "upc", "version", "updated_at", "data"],
        batch_size=1000,
    )
    drop_unlisted(account=account, drafts=drafts, version=version, updated_at=updated_at)
    touch_items(account=account, drafts=drafts, version=version, updated_at=updated_at)
    return [str(ids.get(entry["id"], entry["id"])) for entry in objects], ids, updated_at


def check_shape(entry: Any, *, field: str) -> None:
    if not isinstance(entry, dict):
        raise SquareError(code="EXPECTED_OBJECT", detail="Expected a catalog object.", field=field)
    if entry.get("type") not in TYPES:
        detail = f"`{entry.get('type')}` is not a catalog object type."
        raise SquareError(code="INVALID_ENUM_VALUE", detail=detail, field=f"{field}.type")
    if not isinstance(entry.get("id"), str) or not entry["id"]:
        raise missing(f"{field}.id")
    if entry.get("is_deleted"):
        raise invalid(f"{field}.is_deleted", "Objects are deleted by DeleteCatalogObject.")
    part = entry.get(data_key(entry["type"]))
    if entry["type"] in ("ITEM", "ITEM_VARIATION") and not isinstance(part, dict):
        raise missing(f"{field}.{data_key(entry['type'])}")


def data_key(type_: str) -> str:
    return f"{type_.lower()}_data"


def flatten(entry: Json, *, field: str) -> list[Draft]:
    """An object as a draft; an ITEM's variations as drafts after it."""
    body = {name: value for name, value in entry.items() if name not in HEAD}
    body.setdefault("present_at_all_locations", True)
    draft = Draft(entry["id"], entry["type"], entry.get("version"), body, field)
    if draft.type == "ITEM_VARIATION":
        clean_variation(draft)
    if draft.type != "ITEM":
        return [draft]
    body["item_data"] = dict(body["item_data"])
    variations = body["item_data"].pop("variations", None)
    if not body["item_data"].get("name") and not body["item_data"].get("abbreviation"):
        raise missing(f"{field}.item_data.name")
    if variations is None:
        return [draft]
    if not isinstance(variations, list):
        raise SquareError(code="EXPECTED_ARRAY", detail="Expected an array.", field=f"{field}.item_data.variations")
    inner = []
    for n, variation in enumerate(variations):
        place = f"{field}.item_data.variations[{n}]"
        check_shape(variation, field=place)
        data = dict(variation["item_variation_data"])
        data.setdefault("item_id", draft.object_id)
        data.setdefault("ordinal", n)
        inner += flatten(variation | {"item_variation_data": data}, field=place)
    draft.keeps = [nested.object_id for nested in inner]
    return [draft, *inner]


def clean_variation(draft: Draft) -> None:
    """Check a variation's fields and drop what is Square's to say."""
    data = dict(draft.data["item_variation_data"])
    draft.data["item_variation_data"] = data
    draft.item_id = str(data.get("item_id") or "")
    field = f"{draft.field}.item_variation_data"
    if not draft.item_id:
        raise missing(f"{field}.item_id")
    upc = data.get("upc")
    if upc and not (isinstance(upc, str) and upc.isdecimal() and 12 <= len(upc) <= 14):
        raise invalid(f"{field}.upc", "The UPC must be 12 to 14 digits.")
    data.setdefault("name", "Regular")
    for name in ("name", "sku"):
        if len(str(data.get(name) or "")) > 255:
            raise SquareError(code="VALUE_TOO_LONG", detail="At most 255 characters.", field=f"{field}.{name}")
    price = data.get("price_money")
    if price is not None and (not isinstance(price, dict) or not isinstance(price.get("amount"), int)):
        raise invalid(f"{field}.price_money", "Expected an amount in minor units and a currency.")
    data.setdefault("pricing_type", "FIXED_PRICING" if price else "VARIABLE_PRICING")
    data.setdefault("sellable", True)
    data.setdefault("stockable", True)
    if data.get("location_overrides"):
        data["location_overrides"] = [
            {name: value for name, value in override.items() if name not in READ_ONLY_OVERRIDES}
            for override in data["location_overrides"]
        ]


def check_version(draft: Draft, *, row: CatalogObject | None, is_new: bool) -> None:
    """A known id needs its current version; an unknown one must be a `#` id."""
    if is_new:
        return
    if row is None:
        raise not_found(f"Catalog object with ID `{draft.object_id}` not found.", f"{draft.field}.id")
    if row.type != draft.type:
        raise invalid(f"{draft.field}.type", f"The object is of type {row.type}.")
    if draft.version != row.version:
        raise errors.version_mismatch(f"{draft.field}.version", given=draft.version, current=row.version)


def check_variations(*, account: Account, drafts: list[Draft]) -> None:
    """Every variation has a living ITEM, and no ITEM more than 250 of them."""
    items = {draft.object_id for draft in drafts if draft.type == "ITEM"}
    of_item: dict[str, set[str]] = defaultdict(set)
    for draft in drafts:
        if draft.type == "ITEM_VARIATION":
            of_item[draft.item_id].add(draft.object_id)
    outside = set(of_item) - items
    known = CatalogObject.objects.filter(account=account, object_id__in=outside, type="ITEM", is_deleted=False)
    lacking = outside - set(known.values_list("object_id", flat=True))
    if lacking:
        detail = f"Item `{min(lacking)}` of an item variation not found."
        raise invalid("item_variation_data.item_id", detail)
    rest = CatalogObject.objects.filter(account=account, item_id__in=outside, is_deleted=False)
    rest = rest.exclude(object_id__in={draft.object_id for draft in drafts})
    counts = dict(rest.values_list("item_id").annotate(n=Count("pk")))
    for item_id, inner in of_item.items():
        if len(inner) + counts.get(item_id, 0) > VARIATIONS_MAX:
            detail = f"An item takes at most {VARIATIONS_MAX} variations."
            raise SquareError(code="ARRAY_LENGTH_TOO_LONG", detail=detail, field="item_data.variations")


def make_row(*, account: Account, draft: Draft, version: int, updated_at: datetime) -> CatalogObject:
    part = draft.data.get(data_key(draft.type)) or {}
    return CatalogObject(
        object_id=draft.object_id,
        account=account,
        type=draft.type,
        item_id=draft.item_id,
        name=str(part.get("name") or "")[:512],
        sku=str(part.get("sku") or ""),
        upc=str(part.get("upc") or ""),
        version=version,
        updated_at=updated_at,
        data=draft.data,
    )


def drop_unlisted(*, account: Account, drafts: list[Draft], version: int, updated_at: datetime) -> None:
    listed = {draft.object_id: draft.keeps for draft in drafts if draft.keeps is not None}
    written = {draft.object_id for draft in drafts}
    CatalogObject.objects.filter(account=account, item_id__in=listed, is_deleted=False).exclude(
        object_id__in=written
    ).update(is_deleted=True, version=version, updated_at=updated_at)


def touch_items(*, account: Account, drafts: list[Draft], version: int, updated_at: datetime) -> None:
    """A variation written alone makes its ITEM newer too. Not established, hence a switch."""
    if faults.switch("square.variation_touches_item", True):
        parents = {draft.item_id for draft in drafts if draft.type == "ITEM_VARIATION"}
        CatalogObject.objects.filter(account=account, object_id__in=parents).exclude(version=version).update(
            version=version, updated_at=updated_at
        )


def delete(*, account: Account, object_ids: list[str], now: datetime) -> tuple[list[str], datetime]:
    """Mark objects deleted, an ITEM with its variations; returns the ids. Unknown ids are passed over."""
    gone = CatalogObject.objects.filter(account=account, is_deleted=False).filter(
        Q(object_id__in=object_ids) | Q(item_id__in=object_ids)
    )
    ids = list(gone.order_by("pk").values_list("object_id", flat=True))
    parents = set(gone.exclude(item_id="").values_list("item_id", flat=True)) - set(ids)
    version, updated_at = next_version(account, now=now)
    CatalogObject.objects.filter(account=account, object_id__in=ids).update(
        is_deleted=True, version=version, updated_at=updated_at
    )
    CatalogObject.objects.filter(account=account, object_id__in=parents).update(version=version, updated_at=updated_at)
    return ids, updated_at


def print_objects(*, account: Account, rows: list[CatalogObject]) -> list[Json]:
    """As the API shows them: ITEMs with their variations inside, `sold_out` where nothing is left."""
    items = {row.object_id: row.is_deleted for row in rows if row.type == "ITEM"}
    nested: dict[str, list[CatalogObject]] = defaultdict(list)
    variations = [row for row in rows if row.type == "ITEM_VARIATION"]
    if items:
        inner = CatalogObject.objects.filter(account=account, item_id__in=items, type="ITEM_VARIATION")
        for row in inner.order_by("pk"):
            if items[row.item_id] or not row.is_deleted:
                nested[row.item_id].append(row)
                variations.append(row)
    sold_out = sold_out_places(account=account, variations=variations)
    return [print_object(row, nested=nested, sold_out=sold_out) for row in rows]


def print_object(row: CatalogObject, *, nested: dict[str, list[CatalogObject]], sold_out: dict[str, list[str]]) -> Json:
    body: Json = {
        "type": row.type,
        "id": row.object_id,
        "updated_at": stamp(row.updated_at),
        "version": row.version,
        "is_deleted": row.is_deleted,
    } | row.data
    if row.type == "ITEM":
        inner = sorted(nested[row.object_id], key=lambda v: v.data["item_variation_data"].get("ordinal") or 0)
        printed = [print_object(variation, nested=nested, sold_out=sold_out) for variation in inner]
        body["item_data"] = row.data["item_data"] | {"variations": printed}
    elif row.object_id in sold_out:
        data = row.data["item_variation_data"]
        overrides = {entry["location_id"]: entry for entry in data.get("location_overrides") or []}
        for place in sold_out[row.object_id]:
            overrides[place] = overrides.get(place, {"location_id": place}) | {"sold_out": True}
        body["item_variation_data"] = data | {"location_overrides": list(overrides.values())}
    return body


def sold_out_places(*, account: Account, variations: list[CatalogObject]) -> dict[str, list[str]]:
    """Where each tracked variation stands at or below zero."""
    tracked = {row.object_id for row in variations if row.data.get("item_variation_data", {}).get("track_inventory")}
    places: dict[str, list[str]] = defaultdict(list)
    if tracked:
        counts = InventoryCount.objects.filter(
            account=account, catalog_object_id__in=tracked, state="IN_STOCK", quantity__lte=0
        )
        for object_id, location_id in counts.order_by("pk").values_list("catalog_object_id", "location_id"):
            places[object_id].append(location_id)
    return places

"""Options of variations. Their names and the values there may be belong to the product, whose attributes come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from channels.connectors.woocommerce import reading
from channels.connectors.woocommerce.client import Client
from channels.connectors.woocommerce.values import Json
from channels.ports import ListingWrite

NOT_ALL = "An option's name is shared by all variations of the product, and not all of them are in this batch."
OF_THE_SHOP = "This attribute belongs to the whole shop: rename it in WooCommerce, under Products, Attributes."


def wanted(write: ListingWrite) -> list[dict[str, Any]]:
    """A variation's attributes as they should be, in the order they have."""
    if write.put_back is not None:
        return [dict(one) for one in write.put_back.get("attributes") or []]
    names, values = write.after.option_names or {}, write.after.options or {}
    found = []
    for one in write.before.get("attributes") or []:
        name = names.get(one["name"], one["name"])
        found.append({"id": one.get("id", 0), "name": name, "option": values.get(name, one["option"])})
    return found


def prepare(client: Client, product_id: str, ours: Sequence[ListingWrite], *, all_of_it: Sequence[ListingWrite]) -> str:
    """Give the product the names and values that its variations are about to get; why not, in words, else "".

    Raises ConnectorError. Doing it again changes nothing.
    """
    changing = [one for one in ours if one.after.options is not None]
    if not changing:
        return ""
    product = next((row for row in reading.products(client, [product_id]) if str(row["id"]) == product_id), {})
    variations = {str(row["id"]): row for row in reading.variations_of(client, product_id)}
    mine = [one for one in all_of_it if one.external_id.partition("/")[0] == product_id]
    goals = {one.external_id.rpartition("/")[2]: wanted(one) for one in mine if one.after.options is not None}
    renames = {
        (str(old["name"]), str(new["name"])): old.get("id", 0)
        for one in changing
        for old, new in zip(one.before.get("attributes") or [], wanted(one), strict=False)
        if old["name"] != new["name"]
    }
    if any(renames.values()):
        return OF_THE_SHOP
    if renames and (not goals.keys() >= variations.keys() or len({old for old, _ in renames}) < len(renames)):
        return NOT_ALL
    before = product.get("attributes") or []
    after = _after(before, variations, goals, names=dict(renames.keys()))
    if after != before:
        client.update_product(product_id, {"attributes": after})
    return ""


def _after(
    before: Sequence[Json],
    variations: Mapping[str, Json],
    goals: Mapping[str, Sequence[Json]],
    *,
    names: Mapping[str, str],
) -> list[dict[str, Any]]:
    """The product's attributes: renamed, with every value its variations will have.

    A value that none will have any more is replaced in its place by the one that comes instead; values that no
    variation ever had stay.
    """
    result = []
    for attribute in before:
        name = str(attribute["name"])
        new_name = names.get(name, name)
        moves = []
        for number, row in variations.items():
            now = _value(row.get("attributes") or [], (name, new_name))
            goal = _value(goals[number], (new_name,)) if number in goals else now
            moves.append((now, goal))
        used = {goal for _, goal in moves}
        options = list(attribute.get("options") or [])
        for now, goal in moves:
            if goal and goal not in options:
                if now in options and now not in used:
                    options[options.index(now)] = goal
                else:
                    options.append(goal)
        result.append({**attribute, "name": new_name, "options": options})
    return result


def _value(attributes: Sequence[Json], names: Sequence[str]) -> str:
    return next((str(one.get("option") or "") for one in attributes if one.get("name") in names), "")

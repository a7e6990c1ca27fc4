"""An order's sums, in minor units: discounts, taxes, service charges, returns. Half is rounded to even."""

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from channels.sandbox.square.values import Json, money, uid

NO_MONEY = 0


def rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def cents(value: Any) -> int:
    """The amount of a money object; 0 where there is none."""
    return int(value["amount"]) if value else NO_MONEY


def share(amount: int, *, weights: list[int]) -> list[int]:
    """`amount` split by weight, to the last cent."""
    whole, parts, given, seen = sum(weights), [], 0, 0
    for weight in weights:
        seen += weight
        upto = rounded(Decimal(amount) * seen / whole) if whole else NO_MONEY
        parts.append(upto - given)
        given = upto
    return parts


def price(order: Json, *, currency: str) -> None:
    """Fill in every total of an order, in place."""
    lines: list[Json] = order.get("line_items") or []
    for line in lines:
        each = cents(line.get("base_price_money"))
        for modifier in line.get("modifiers") or []:
            each += cents(modifier.get("base_price_money"))
        gross = rounded(each * Decimal(line["quantity"]))
        line["variation_total_price_money"] = money(
            rounded(cents(line.get("base_price_money")) * Decimal(line["quantity"])), currency
        )
        line["gross_sales_money"] = money(gross, currency)
        line["_net"], line["_tax"], line["_off"] = gross, NO_MONEY, NO_MONEY
    spread(order, lines=lines, kind="discount", currency=currency, amount_of=discount_amount)
    spread(order, lines=lines, kind="tax", currency=currency, amount_of=tax_amount)
    for line in lines:
        net, tax, off = line.pop("_net"), line.pop("_tax"), line.pop("_off")
        line["total_tax_money"] = money(tax, currency)
        line["total_discount_money"] = money(off, currency)
        line["total_service_charge_money"] = money(0, currency)
        line["total_money"] = money(net, currency)
    charges = price_charges(order, lines=lines, currency=currency)
    sums = {
        "total_money": sum(cents(line["total_money"]) for line in lines) + charges,
        "total_tax_money": sum(cents(line["total_tax_money"]) for line in lines),
        "total_discount_money": sum(cents(line["total_discount_money"]) for line in lines),
        "total_tip_money": sum(cents(tender.get("tip_money")) for tender in order.get("tenders") or []),
        "total_service_charge_money": charges,
    }
    sums["total_money"] += sums["total_tip_money"]
    order |= {name: money(amount, currency) for name, amount in sums.items()}
    price_net(order, sums=sums, currency=currency)


def spread(
    order: Json,
    *,
    lines: list[Json],
    kind: str,
    currency: str,
    amount_of: Callable[[Json, list[Json]], list[int]],
) -> None:
    """Lay each discount or tax on its lines: all of them (scope ORDER), or those that name it."""
    plural, applied, name = f"{kind}es" if kind == "tax" else f"{kind}s", "", f"{kind}_uid"
    applied = f"applied_{plural}"
    for entry in order.get(plural) or []:
        entry.setdefault("uid", uid())
        named = [ln for ln in lines if entry["uid"] in {a.get(name) for a in ln.get(applied) or []}]
        is_for_all = entry.get("scope", "ORDER" if not named else "LINE_ITEM") == "ORDER"
        entry["scope"] = "ORDER" if is_for_all else "LINE_ITEM"
        hit = lines if is_for_all else named
        amounts = amount_of(entry, hit)
        for line, amount in zip(hit, amounts, strict=True):
            if kind == "discount":
                line["_net"] -= amount
                line["_off"] += amount
            else:
                line["_tax"] += amount
                line["_net"] += 0 if entry.get("type") == "INCLUSIVE" else amount
            note = next((a for a in line.get(applied) or [] if a.get(name) == entry["uid"]), None)
            if note is None:
                note = {"uid": uid(), name: entry["uid"]}
                line.setdefault(applied, []).append(note)
            note["applied_money"] = money(amount, currency)
        entry["applied_money"] = money(sum(amounts), currency)


def discount_amount(entry: Json, lines: list[Json]) -> list[int]:
    nets = [line["_net"] for line in lines]
    if entry.get("percentage"):
        return [rounded(Decimal(net) * Decimal(entry["percentage"]) / 100) for net in nets]
    return share(min(cents(entry.get("amount_money")), sum(nets)), weights=nets)


def tax_amount(entry: Json, lines: list[Json]) -> list[int]:
    rate = Decimal(entry.get("percentage") or 0) / 100
    if entry.get("type") == "INCLUSIVE":
        return [rounded(line["_net"] - line["_net"] / (1 + rate)) for line in lines]
    return [rounded((line["_net"] - line["_tax"]) * rate) for line in lines]


def price_charges(order: Json, *, lines: list[Json], currency: str) -> int:
    """Service charges on the subtotal; taxes on them are not worked out."""
    subtotal = sum(cents(line["total_money"]) - cents(line["total_tax_money"]) for line in lines)
    whole = NO_MONEY
    for charge in order.get("service_charges") or []:
        charge.setdefault("uid", uid())
        percentage = charge.get("percentage")
        amount = (
            rounded(Decimal(subtotal) * Decimal(percentage) / 100) if percentage else cents(charge.get("amount_money"))
        )
        charge["applied_money"] = charge["total_money"] = money(amount, currency)
        whole += amount
    return whole


def price_net(order: Json, *, sums: dict[str, int], currency: str) -> None:
    """What was returned, what is left, and what is still due."""
    names = ("total_money", "tax_money", "discount_money", "tip_money", "service_charge_money")
    back = dict.fromkeys(names, NO_MONEY)
    for entry in order.get("returns") or []:
        amounts = dict.fromkeys(names, NO_MONEY)
        for line in entry.get("return_line_items") or []:
            amounts["total_money"] += cents(line.get("total_money"))
            amounts["tax_money"] += cents(line.get("total_tax_money"))
            amounts["discount_money"] += cents(line.get("total_discount_money"))
        entry["return_amounts"] = {name: money(amount, currency) for name, amount in amounts.items()}
        for name, amount in amounts.items():
            back[name] += amount
    if order.get("returns"):
        order["return_amounts"] = {name: money(amount, currency) for name, amount in back.items()}
    sold = {name: sums[name if name == "total_money" else f"total_{name}"] for name in names}
    net = {name: sold[name] - back[name] for name in names}
    order["net_amounts"] = {name: money(amount, currency) for name, amount in net.items()}
    paid = sum(cents(tender.get("amount_money")) for tender in order.get("tenders") or [])
    order["net_amount_due_money"] = money(max(net["total_money"] - paid, NO_MONEY), currency)

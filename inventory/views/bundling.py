"""What a variant is made of: defined and ended by people, packs made up and taken apart. Each is looked at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.utils import OperationalError
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_http_methods, require_POST

from inventory import adjustments, bundle_queries, bundles, ledger, paging
from inventory.bundles import Composition, Part
from inventory.forms import BundleForm, LineForm, PackForm, counted_lines
from inventory.models import Variant
from inventory.views import scanning
from storestudio.accounts import numbers
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view

PARTS_MAX = 30
BUSY = "Someone else is changing this very item. Nothing was posted; try again."


def _variant(request: ShopRequest, variant_id: int) -> Variant:
    found: Variant = one_of(Variant.objects.select_related("product"), merchant=request.merchant, pk=variant_id)
    return found


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def bundle(request: ShopRequest, variant_id: int) -> HttpResponse:
    """Scan or search the parts; then what they make up, for a yes; then it is made of them from now on."""
    variant = _variant(request, variant_id)
    current = bundles.current(variant=variant)
    if request.method != "POST":
        kind = "pack" if current and current.is_stocked else "bundle"
        return _bundle_page(request, variant, current, BundleForm(initial={"kind": kind}), _current_lines(current))
    data = request.POST.copy()
    step = data.get("step", "add")
    if scanning.is_scan(step):
        scanned = scanning.scan(request, data, step, lines_max=PARTS_MAX)
        lines = scanning.unchecked(data, scanned.chosen)
        form = BundleForm(initial={"kind": data.get("kind", "bundle")})
        return _bundle_page(request, variant, current, form, lines, is_wrong=bool(scanned.error), **scanned.context())
    form = BundleForm(data)
    lines = counted_lines(data=data, variants=scanning.variants_of(request, data.getlist("variant")))
    if step == "edit":
        return _bundle_page(request, variant, current, form, lines)
    if not all([form.is_valid(), *(line.is_valid() for line in lines)]):
        return _bundle_page(request, variant, current, form, lines, is_wrong=True)
    parts = [Part(line.variant.pk, line.cleaned_data["quantity"]) for line in lines]
    return _defined(request, variant, current, form, lines, parts, is_sure=step == "post")


def _current_lines(current: Composition | None) -> list[LineForm]:
    if current is None:
        return []
    known = Variant.objects.select_related("product").in_bulk([part.variant_id for part in current.parts])
    return [
        LineForm(
            prefix=f"v{part.variant_id}",
            variant=known[part.variant_id],
            initial={"quantity": numbers.plain(part.quantity)},
        )
        for part in current.parts
    ]


def _defined(
    request: ShopRequest,
    variant: Variant,
    current: Composition | None,
    form: BundleForm,
    lines: Sequence[LineForm],
    parts: Sequence[Part],
    *,
    is_sure: bool,
) -> HttpResponse:
    is_stocked = form.cleaned_data["kind"] == "pack"
    try:
        if is_sure:
            bundles.define(variant=variant, parts=parts, is_stocked=is_stocked, actor=request.actor)
            word = "a pack" if is_stocked else "a bundle"
            messages.success(
                request, f"From now on this is {word} of {len(parts)} part{'s' if len(parts) > 1 else ''}."
            )
            return redirect("variant", request.merchant.slug, variant.pk)
        with transaction.atomic():  # what the rules refuse is refused here; nothing stays
            bundles.define(variant=variant, parts=parts, is_stocked=is_stocked, actor=request.actor)
            transaction.set_rollback(True)
    except bundles.CannotBundle as problem:
        form.add_error(None, str(problem))
    except OperationalError:
        form.add_error(None, BUSY)
    else:
        context = {"variant": variant, "form": form, "lines": lines, "is_new": current is None}
        context["makeup"] = bundle_queries.makeup(merchant=request.merchant, parts=parts, is_stocked=is_stocked)
        return render(request, "inventory/bundle_confirm.html", context)
    return _bundle_page(request, variant, current, form, lines, is_wrong=True)


def _bundle_page(
    request: ShopRequest,
    variant: Variant,
    current: Composition | None,
    form: BundleForm,
    lines: Sequence[LineForm],
    *,
    is_wrong: bool = False,
    **extra: Any,
) -> HttpResponse:
    wrong = [line for line in lines if is_wrong and line.errors]
    if wrong:
        wrong[0].focus_first_error()
    context = {
        "variant": variant, "current": current, "form": form, "lines": lines, "is_scanning": not wrong,
    } | extra  # fmt: skip
    return render(request, "inventory/bundle.html", context, status=422 if is_wrong else 200)


@shop_view(roles=MAY_MANAGE)
@require_POST
def bundle_end(request: ShopRequest, variant_id: int) -> HttpResponse:
    """Asked first: it is nothing but itself again; what was sold as a bundle stays so."""
    variant = _variant(request, variant_id)
    if request.POST.get("step") != "post":
        context = {"variant": variant, "makeup": bundle_queries.makeup_of(merchant=request.merchant, variant=variant)}
        return render(request, "inventory/bundle_end.html", context)
    if bundles.end(variant=variant, actor=request.actor):
        messages.success(request, "Ended. What was sold as a bundle stays so.")
    else:
        messages.info(request, "It had been ended already. Nothing changed.")
    return redirect("variant", request.merchant.slug, variant.pk)


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def pack(request: ShopRequest, variant_id: int) -> HttpResponse:
    """Make packs up from their parts, or take them apart: looked at first, posted once."""
    variant = _variant(request, variant_id)
    current = bundles.current(variant=variant)
    if current is None or not current.is_stocked:
        messages.error(request, "This is not a pack: it has no parts that are kept on the shelf made up.")
        return redirect("variant", request.merchant.slug, variant.pk)
    options: dict[str, Any] = {"merchant": request.merchant, "variant": variant}
    if request.method != "POST":
        form = PackForm(**options, initial={"location": paging.number(request.GET.get("location"))})
        return _pack_page(request, variant, current, form)
    form = PackForm(request.POST, **options)
    if request.POST.get("step") == "edit" or not form.is_valid():
        return _pack_page(request, variant, current, form)
    return _packed(request, variant, current, form)


def _packed(request: ShopRequest, variant: Variant, current: Composition, form: PackForm) -> HttpResponse:
    place = form.cleaned_data["location"]
    wanted: Mapping[str, Any] = {
        "variant": variant, "location": place, "quantity": form.pieces(), "key": str(form.cleaned_data["key"]),
        "actor": request.actor, "now": utc_now(),
    }  # fmt: skip
    try:
        if request.POST.get("step") == "post":
            with transaction.atomic():
                posted = bundles.pack(**wanted)
            if all(row.is_replay for row in posted):
                messages.info(request, "That was posted already. Nothing changed twice.")
            else:
                messages.success(request, f"Done. {place.name} now has {numbers.plain(posted[0].on_hand_after)} packs.")
            return redirect("variant", request.merchant.slug, variant.pk)
        known = Variant.objects.select_related("product").in_bulk([part.variant_id for part in current.parts])
        effects = adjustments.preview(
            merchant=request.merchant,
            variants=[variant, *(known[part.variant_id] for part in current.parts)],
            locations=[place],
            deed=lambda: bundles.pack(**wanted),
        )
    except ledger.IdempotencyConflict:
        form.add_error(None, "This form was used before for something else. Nothing was posted; start again.")
    except OperationalError:
        form.add_error(None, BUSY)
    else:
        short = [effect for effect in effects if effect.after.available < min(effect.before.available, Decimal(0))]
        context = {"variant": variant, "form": form, "effects": effects, "short": short, "again": _again(request.POST)}
        return render(request, "inventory/pack_confirm.html", context)
    return _pack_page(request, variant, current, form)


def _again(data: QueryDict) -> dict[str, str]:
    return {name: data.get(name, "") for name in ("key", "location", "how", "quantity")}


def _pack_page(request: ShopRequest, variant: Variant, current: Composition, form: PackForm) -> HttpResponse:
    is_wrong = form.is_bound and request.POST.get("step") != "edit"
    if is_wrong:
        form.focus_first_error()
    made = bundle_queries.makeup(merchant=request.merchant, parts=current.parts, is_stocked=True)
    context = {"variant": variant, "form": form, "makeup": made}
    return render(request, "inventory/pack.html", context, status=422 if is_wrong else 200)

"""Rules: the list, one rule's form, what it would change before it is saved, deleting and undoing; a channel's mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from channels import measuring, rules
from channels.forms import RuleForm, SellingForm
from channels.models import AvailabilityRule, Connection, RuleChange
from channels.views.connection import connection_of, page_context
from channels.views.paging import part_of
from inventory import paging
from inventory.models import Variant
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view

RULES_A_PAGE = 100
CHANGES_SHOWN = 10
ZEROS_BY_CLICK = 5
RULE_WORD = "apply"


@dataclass(frozen=True)
class RuleRow:
    """A rule as the list shows it."""

    rule: AvailabilityRule
    where: str
    says: list[str]
    state: str  # now, later or over


@shop_view()
@require_safe
def rule_list(request: ShopRequest) -> HttpResponse:
    """Every rule, the broadest first, and what was changed lately."""
    rows = rules.of(merchant=request.merchant)
    channel = paging.number(request.GET.get("channel"))
    search = request.GET.get("q", "").strip()
    if channel:
        rows = rows.filter(Q(connection=channel) | Q(first_connection=channel))
    if search:
        rows = rows.filter(
            Q(category__icontains=search) | Q(note__icontains=search) | Q(variant__sku__icontains=search)
            | Q(variant__product__title__icontains=search)
        )  # fmt: skip
    found = sorted(rows, key=_breadth)
    part = part_of(found, request=request, size=RULES_A_PAGE)
    changes = RuleChange.objects.of(request.merchant).select_related(
        "rule__variant__product",
        "rule__location",
        "rule__connection",
        "rule__first_connection",
        "rule__merchant",
        "actor",
    )
    connections = Connection.objects.of(request.merchant).exclude(state=Connection.State.CLOSED).order_by("pk")
    context = {
        "rows": [_row(rule) for rule in part.rows],
        "part": part,
        "count": len(found),
        "channel": channel,
        "connections": list(connections),
        "search": search,
        "changes": [_changed(change) for change in changes.order_by("-at", "-pk")[:CHANGES_SHOWN]],
    }
    return render(request, "channels/rules.html", context)


def _breadth(rule: AvailabilityRule) -> tuple[bool, bool, bool, bool, int]:
    return (
        rule.variant_id is not None, rule.connection_id is not None, rule.location_id is not None, rule.category != "",
        -rule.pk,
    )  # fmt: skip


def _row(rule: AvailabilityRule) -> RuleRow:
    now = utc_now()
    is_over = rule.ends_at is not None and rule.ends_at <= now
    is_later = rule.starts_at is not None and rule.starts_at > now
    state = "over" if is_over else "later" if is_later else "now"
    return RuleRow(rule=rule, where=rules.scope_words(rule), says=rules.says(rule), state=state)


def _changed(change: RuleChange) -> dict[str, Any]:
    what = "made" if change.before is None else "deleted" if change.after is None else "changed"
    return {"change": change, "what": what, "where": rules.scope_words(change.rule)}


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_new(request: ShopRequest) -> HttpResponse:
    """A rule of one’s own; `?variant=`, `?connection=`, `?category=` say what for."""
    initial: dict[str, Any] = {}
    if request.method != "POST":
        variant = Variant.objects.of(request.merchant).filter(pk=paging.number(request.GET.get("variant")) or 0).first()
        if variant is not None:
            initial = {"what": "variant", "sku": variant.sku or variant.gtin, "item": variant.pk}
        elif request.GET.get("category"):
            initial = {"what": "category", "category": request.GET["category"]}
        initial["connection"] = paging.number(request.GET.get("connection"))
    return _edit(request, rule=None, initial=initial)


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_edit(request: ShopRequest, rule_id: int) -> HttpResponse:
    """Change a rule."""
    return _edit(request, rule=_rule_of(request, rule_id), initial={})


def _rule_of(request: ShopRequest, rule_id: int) -> AvailabilityRule:
    rows: QuerySet[AvailabilityRule] = rules.of(merchant=request.merchant)
    return one_of(rows, merchant=request.merchant, pk=rule_id)


def _edit(request: ShopRequest, *, rule: AvailabilityRule | None, initial: dict[str, Any]) -> HttpResponse:
    """Form, then what would change for a yes, then saving."""
    step = request.POST.get("step", "")
    form = RuleForm(request.POST or None, merchant=request.merchant, rule=rule, initial=initial)
    is_wrong = request.method == "POST" and step != "edit" and not form.is_valid()
    if request.method != "POST" or step == "edit" or is_wrong:
        if is_wrong:
            form.focus_first_error()
        return render(request, "channels/rule.html", {"form": form, "rule": rule}, status=422 if is_wrong else 200)
    typed = form.rule()
    again = {name: value for name, value in request.POST.items() if name in form.fields}
    context = {"rule": rule, "form": form, "again": again, "verb": "Save this rule", "may_edit": True}
    answer = _confirm(request, typed, rules.preview_save(rule=typed), context)
    if answer is not None:
        return answer
    rules.save(rule=typed, actor=request.actor)
    messages.success(request, f"Saved. {rules.scope_words(typed)}: {', '.join(rules.says(typed))}.")
    return redirect("rules", shop=request.merchant.slug)


def _confirm(
    request: ShopRequest, rule: AvailabilityRule, preview: rules.Preview, context: dict[str, Any]
) -> HttpResponse | None:
    """The page that asks, or None once it was answered for what would change now."""
    seen = paging.number(request.POST.get("seen_zero"))
    needs_word = preview.to_zero > ZEROS_BY_CLICK
    is_sure = request.POST.get("step") == "save"
    error = ""
    if is_sure and seen is not None and preview.to_zero > seen:
        error = f"{preview.to_zero} would show 0 by now, no longer {seen}. Look again before you say yes."
    elif is_sure and needs_word and request.POST.get("confirm", "").strip().lower() != RULE_WORD:
        error = f"Type “{RULE_WORD}” to let so many show 0."
    if is_sure and not error:
        return None
    names = {tally.connection.pk: tally.connection.label for tally in preview.tallies}
    context |= {
        "preview": preview,
        "cap": rule.cap,
        "tills": [] if context.get("is_deleting") else rules.capped_tills(rule=rule, preview=preview),
        "effects": [(names.get(effect.connection_id, ""), effect) for effect in preview.effects],
        "where": rules.scope_words(rule),
        "says": rules.says(rule),
        "needs_word": needs_word,
        "word": RULE_WORD,
        "error": error,
    }
    return render(request, "channels/rule_confirm.html", context, status=422 if error else 200)


@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def rule_delete(request: ShopRequest, rule_id: int) -> HttpResponse:
    """What would change without the rule, then deleting it."""
    rule = _rule_of(request, rule_id)
    context = {"rule": rule, "again": {}, "verb": "Delete this rule", "is_deleting": True}
    answer = _confirm(request, rule, rules.preview_delete(rule=rule), context)
    if answer is not None:
        return answer
    where = rules.scope_words(rule)
    rules.delete(rule=rule, actor=request.actor)
    messages.success(request, f"Deleted: {where}. You can undo it below.")
    return redirect("rules", shop=request.merchant.slug)


@shop_view(roles=MAY_MANAGE)
@require_POST
def rule_undo(request: ShopRequest, change_id: int) -> HttpResponse:
    """Take back a change of a rule."""
    change = one_of(RuleChange.objects.all(), merchant=request.merchant, pk=change_id)
    try:
        rules.undo(change=change, actor=request.actor)
    except rules.CannotUndo as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, "Undone. The numbers are on their way.")
    return redirect("rules", shop=request.merchant.slug)


@shop_view()
@require_http_methods(["GET", "HEAD", "POST"])
def selling(request: ShopRequest, connection_id: int) -> HttpResponse:
    """How a channel takes part in one stock: the three modes with what each costs and risks, and one’s choice."""
    connection = connection_of(request, connection_id)
    if request.method == "POST":
        return _choose_mode(request, connection)
    now = utc_now()
    rule = _mode_rule(connection)
    latency_s = measuring.latencies(connection_ids=[connection.pk], now=now)[connection.pk]
    chosen = rule.mode if rule else AvailabilityRule.Mode.SHARED.value
    form = SellingForm(initial={"mode": chosen, "updates_every_s": str(connection.updates_every_s or "")})
    context = page_context(
        request, connection, form=form, chosen=chosen, latency_s=latency_s,
        costs=measuring.costs(connection_id=connection.pk, now=now),
        rule_count=connection.rules.filter(deleted_at=None).count(),
    )  # fmt: skip
    return render(request, "channels/selling.html", context)


def _mode_rule(connection: Connection) -> AvailabilityRule | None:
    """The rule that says the mode of the whole channel; the newest, as everywhere."""
    rows = rules.of(merchant=connection.merchant).filter(
        connection=connection, variant=None, category="", location=None, starts_at=None, ends_at=None
    )
    found: AvailabilityRule | None = rows.exclude(mode="").order_by("-pk").first()
    return found


def _choose_mode(request: ShopRequest, connection: Connection) -> HttpResponse:
    if not request.may_manage:
        raise PermissionDenied("Only an owner or a manager may choose.")
    form = SellingForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose one of the three ways. Nothing has changed.")
        return redirect("channel_selling", shop=request.merchant.slug, connection_id=connection.pk)
    every_s = form.cleaned_data["updates_every_s"]
    rule = _mode_rule(connection) or AvailabilityRule(merchant=request.merchant, connection=connection)
    rule.mode = form.cleaned_data["mode"]
    again = {"mode": rule.mode, "updates_every_s": every_s or ""}
    context = {"connection": connection, "again": again, "verb": f"Let {connection.label} sell so", "is_mode": True}
    preview = rules.preview_mode(rule=rule, updates_every_s=every_s)
    answer = _confirm(request, rule, preview, context)
    if answer is not None:
        return answer
    rules.save_mode(rule=rule, updates_every_s=every_s, actor=request.actor)
    messages.success(request, f"Saved: {connection.label} {rules.MODE_WORDS[AvailabilityRule.Mode(rule.mode)]}.")
    return redirect("channel_selling", shop=request.merchant.slug, connection_id=connection.pk)

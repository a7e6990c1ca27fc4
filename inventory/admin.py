"""Admin: goods and places to edit; stock, its ledger and orders to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from inventory import identifiers
from inventory.models import (
    Arrival,
    ArrivalLine,
    ArrivalStep,
    Bundle,
    BundleComponent,
    Location,
    Order,
    OrderHold,
    OrderLine,
    OrderReturn,
    Product,
    Reservation,
    ReservationLine,
    RoutingDecision,
    RoutingPolicy,
    StockLevel,
    StockMovement,
    StockMovementKey,
    Variant,
    VariantAlias,
    VariantMerge,
)
from storestudio.accounts.backoffice import (
    BigRows,
    ReadOnlyLines,
    ReadOnlyRows,
    Rows,
    link,
    link_to,
    linked,
    rows_of,
    units,
)


class Goods(Rows):
    """What a shop owns stays in its shop, and stock hangs on it: neither moved nor deleted here, only archived."""

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """The shop is chosen once."""
        return [*self.readonly_fields, "created_at", *(["merchant"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


class VariantLines(ReadOnlyLines):
    """The variants of a product."""

    model = Variant
    fields = ["sku", "title", "gtin", "price", "archived_at"]
    show_change_link = True


@admin.register(Product)
class ProductAdmin(Goods):
    """What customers call one thing."""

    list_display = ["title", linked("merchant"), "vendor", "category", "created_at", "archived_at"]
    list_filter = ["merchant", ("archived_at", admin.EmptyFieldListFilter)]
    list_select_related = ["merchant"]
    search_fields = ["title", "vendor", "variants__sku"]
    autocomplete_fields = ["merchant"]
    inlines = [VariantLines]


@admin.register(Variant)
class VariantAdmin(Goods):
    """What is stocked."""

    list_display = [
        "__str__", "full", linked("merchant"), "gtin", "price", "archived_at", "levels", "movements", "listed",
    ]  # fmt: skip
    list_filter = ["merchant", "is_whole_unit", ("archived_at", admin.EmptyFieldListFilter)]
    list_select_related = ["merchant", "product"]
    search_fields = ["sku", "=gtin", "title", "product__title"]
    autocomplete_fields = ["merchant", "product"]
    readonly_fields = ["sku_key"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """A variant stays with its product."""
        return [*super().get_readonly_fields(request, obj), *(["product"] if obj else [])]

    @admin.display(description="title", ordering="product__title")
    def full(self, variant: Variant) -> SafeString | str:
        """The whole name, to the product."""
        return link(variant.product, variant.full_title)

    @admin.display(description="")
    def levels(self, variant: Variant) -> SafeString:
        """Where it is."""
        return rows_of("inventory.stocklevel", f"variant__id__exact={variant.pk}", "stock")

    @admin.display(description="")
    def movements(self, variant: Variant) -> SafeString:
        """What moved it."""
        return rows_of("inventory.stockmovement", f"variant__id__exact={variant.pk}", "movements")

    @admin.display(description="")
    def listed(self, variant: Variant) -> SafeString:
        """Where it is listed."""
        return rows_of("channels.listing", f"variant__id__exact={variant.pk}", "listings")


@admin.register(VariantAlias)
class VariantAliasAdmin(ReadOnlyRows):
    """What variants were called before."""

    list_display = ["value", "kind", linked("variant"), linked("merchant"), "created_at"]
    list_filter = ["merchant", "kind"]
    list_select_related = ["variant", "merchant"]
    search_fields = ["value", "key", "variant__sku"]


@admin.register(VariantMerge)
class VariantMergeAdmin(ReadOnlyRows):
    """Which variants turned out to be one."""

    list_display = ["pk", linked("survivor"), linked("duplicate"), linked("merchant"), "merged_at", "parted_at"]
    list_filter = ["merchant", ("parted_at", admin.EmptyFieldListFilter)]
    list_select_related = ["survivor", "duplicate", "merchant"]
    search_fields = ["survivor__sku", "duplicate__sku"]


class BundleComponents(ReadOnlyLines):
    """What one piece is made of."""

    model = BundleComponent
    fields = ["variant", "quantity"]


@admin.register(Bundle)
class BundleAdmin(ReadOnlyRows):
    """What variants are and were made of; shops say so on the variant's page."""

    list_display = ["pk", linked("variant"), "is_stocked", linked("merchant"), "created_at", "ended_at"]
    list_filter = ["merchant", "is_stocked", ("ended_at", admin.EmptyFieldListFilter)]
    list_select_related = ["variant", "merchant"]
    search_fields = ["variant__sku"]
    inlines = [BundleComponents]


@admin.register(Location)
class LocationAdmin(Goods):
    """Places where goods are."""

    list_display = ["name", linked("merchant"), "timezone", "is_active", "is_warehouse", "rank", "created_at"]
    list_filter = ["is_active", "is_warehouse", "merchant"]
    list_select_related = ["merchant"]
    search_fields = ["name", "merchant__name"]
    autocomplete_fields = ["merchant"]


def by_variant(rows: QuerySet[Any], term: str, path: str = "variant") -> QuerySet[Any]:
    """The rows of variants of this SKU or GTIN, found by index first: the tables behind are long."""
    if not term:
        return rows
    key = identifiers.sku_key(term)
    found = Variant.objects.filter(sku_key=key) if key else Variant.objects.none()
    if gtin := identifiers.gtin(term):
        found = found | Variant.objects.filter(gtin=gtin)
    return rows.filter(**{f"{path}__in": list(found.values_list("pk", flat=True)[:1000])})


@admin.register(StockLevel)
class StockLevelAdmin(BigRows):
    """The running totals; the ledger alone writes them."""

    list_display = [
        "pk", linked("variant"), linked("location"), linked("merchant"), units("on_hand"), units("committed"),
        units("reserved"), units("unavailable"), units("available"), "last_seq", "movements",
    ]  # fmt: skip
    list_filter = ["merchant"]
    list_select_related = ["variant", "location", "merchant"]
    search_fields = ["variant__sku"]
    search_help_text = "A whole SKU or GTIN."

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By variant."""
        return by_variant(queryset, search_term), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Ways in from other rows."""
        return lookup in ("variant__id__exact", "location__id__exact") or super().lookup_allowed(lookup, value, request)

    @admin.display(description="")
    def movements(self, level: StockLevel) -> SafeString:
        """The cell's ledger."""
        return rows_of("inventory.stockmovement", f"level__id__exact={level.pk}", "ledger")


@admin.register(StockMovement)
class StockMovementAdmin(BigRows):
    """The ledger, append-only; the database refuses changes of it too."""

    list_display = [
        "recorded_at", "kind", linked("variant"), linked("location"), units("on_hand"), units("committed"),
        units("on_hand_after"), units("available_after"), "seq", "source", linked("order"), "event",
        linked("actor", "who"), "reason",
    ]  # fmt: skip
    list_filter = ["kind", "merchant"]
    list_select_related = ["variant", "location", "order", "actor"]
    search_fields = ["variant__sku"]
    search_help_text = "A whole SKU or GTIN."

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By variant."""
        return by_variant(queryset, search_term), False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Ways in from other rows."""
        ways = ("variant__id__exact", "level__id__exact", "order__id__exact")
        return lookup in ways or super().lookup_allowed(lookup, value, request)

    @admin.display(description="message")
    def event(self, movement: StockMovement) -> SafeString | str:
        """The message behind it."""
        return link_to("channels.inboundevent", movement.event_id, f"#{movement.event_id}")


@admin.register(StockMovementKey)
class StockMovementKeyAdmin(BigRows):
    """What makes a movement's key unique over all months."""

    list_display = ["pk", "recorded_at", "merchant_id", "source", "idempotency_key", "movement"]

    @admin.display(description="movement")
    def movement(self, key: StockMovementKey) -> SafeString | str:
        """The movement it stands for."""
        return link_to("inventory.stockmovement", key.movement_id, f"#{key.movement_id}")


class ArrivalLines(ReadOnlyLines):
    """What travels, and what became of it."""

    model = ArrivalLine
    fields = ["variant", "quantity", "received", "damaged", "missing", "returned", "remaining"]
    readonly_fields = ["remaining"]  # generated: Django makes no form field of it

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the variants."""
        return super().get_queryset(request).select_related("variant")


class ArrivalSteps(ReadOnlyLines):
    """What was done with it."""

    model = ArrivalStep
    fields = ["kind", "done_at", "done_by", "reason", "changes", "undone_at", "undone_by"]

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the people."""
        return super().get_queryset(request).select_related("done_by", "undone_by")


@admin.register(Arrival)
class ArrivalAdmin(ReadOnlyRows):
    """Transfers and deliveries; shops send and receive them on their own pages."""

    list_display = [
        "__str__", linked("merchant"), linked("origin"), "supplier", linked("destination"), "state", "expected_date",
        "created_at", "sent_at", "closed_at",
    ]  # fmt: skip
    list_filter = ["state", "merchant"]
    list_select_related = ["merchant", "origin", "destination"]
    search_fields = ["supplier", "note", "=lines__variant__sku_key"]
    date_hierarchy = "created_at"
    inlines = [ArrivalLines, ArrivalSteps]


@admin.register(ArrivalLine)
class ArrivalLineAdmin(BigRows):
    """Lines of transfers and deliveries."""

    list_display = [
        "pk", linked("arrival"), linked("variant"), units("quantity"), units("received"), units("damaged"),
        units("missing"), units("returned"), units("remaining"),
    ]  # fmt: skip
    list_select_related = ["arrival", "variant"]
    search_fields = ["variant__sku"]
    search_help_text = "A whole SKU or GTIN."

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By variant."""
        return by_variant(queryset, search_term), False


@admin.register(ArrivalStep)
class ArrivalStepAdmin(ReadOnlyRows):
    """What was done with transfers and deliveries, by whom."""

    list_display = [
        "pk", linked("arrival"), "kind", "done_at", linked("done_by"), "reason", "undone_at", linked("undone_by"),
    ]  # fmt: skip
    list_filter = ["kind", ("undone_at", admin.EmptyFieldListFilter)]
    list_select_related = ["arrival", "done_by", "undone_by"]
    paginator = BigRows.paginator


class ReservationLines(ReadOnlyLines):
    """What is held."""

    model = ReservationLine

    def get_queryset(self, request: HttpRequest) -> Any:
        """With what the lines name."""
        return super().get_queryset(request).select_related("variant", "location")


@admin.register(Reservation)
class ReservationAdmin(BigRows):
    """Timed holds."""

    list_display = [
        "public_id", "reference", linked("merchant"), "state", "created_at", "expires_at", "ended_at",
        linked("ended_by"), linked("order"),
    ]  # fmt: skip
    list_filter = ["state", "merchant"]
    list_select_related = ["merchant", "ended_by", "order"]
    search_fields = ["=public_id", "=idempotency_key", "=reference"]
    inlines = [ReservationLines]


class OrderLines(ReadOnlyLines):
    """What was ordered."""

    model = OrderLine
    fields = ["title", "sku", "variant", "quantity", "fulfilled", "restocked", "written_off"]
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the variants."""
        return super().get_queryset(request).select_related("variant")


@admin.register(Order)
class OrderAdmin(BigRows):
    """Orders as their channels last described them."""

    list_display = [
        "__str__", linked("merchant"), "channel", "state", "placed_at", "total", "currency", "revision", "movements",
    ]  # fmt: skip
    list_filter = ["state", "is_before_opening", "merchant"]
    list_select_related = ["merchant"]
    search_fields = ["=external_id", "=number"]
    inlines = [OrderLines]

    @admin.display(description="channel")
    def channel(self, order: Order) -> SafeString | str:
        """The connection that sold it."""
        return link_to("channels.connection", order.channel_id, f"#{order.channel_id}")

    @admin.display(description="")
    def movements(self, order: Order) -> SafeString:
        """What it moved."""
        return rows_of("inventory.stockmovement", f"order__id__exact={order.pk}", "movements")


class HoldLines(ReadOnlyLines):
    """Where a line holds stock."""

    model = OrderHold

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the places."""
        return super().get_queryset(request).select_related("location")


class ReturnLines(ReadOnlyLines):
    """What came back of a line."""

    model = OrderReturn

    def get_queryset(self, request: HttpRequest) -> Any:
        """With the places."""
        return super().get_queryset(request).select_related("location")


@admin.register(OrderLine)
class OrderLineAdmin(BigRows):
    """Lines of orders."""

    list_display = [
        "__str__", linked("order"), linked("variant"), units("quantity"), units("fulfilled"), units("restocked"),
        units("written_off"),
    ]  # fmt: skip
    list_select_related = ["order", "variant"]
    search_fields = ["variant__sku"]
    search_help_text = "A whole SKU or GTIN."
    inlines = [HoldLines, ReturnLines]

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """By variant."""
        return by_variant(queryset, search_term), False


@admin.register(OrderHold)
class OrderHoldAdmin(ReadOnlyRows):
    """What order lines hold where."""

    list_display = [
        "pk", linked("line"), linked("location"), units("committed"), units("fulfilled"), units("restocked"),
        units("later"), "promised_date",
    ]  # fmt: skip
    list_select_related = ["line", "location"]
    paginator = BigRows.paginator


@admin.register(OrderReturn)
class OrderReturnAdmin(ReadOnlyRows):
    """What documents gave back."""

    list_display = ["pk", linked("line"), "document", linked("location"), units("restocked"), units("written_off")]
    list_select_related = ["line", "location"]
    search_fields = ["=document"]
    paginator = BigRows.paginator


@admin.register(RoutingPolicy)
class RoutingPolicyAdmin(Rows):
    """How each shop chooses the place that ships."""

    list_display = ["pk", linked("merchant"), "rules", "places_max", "updated_at"]
    readonly_fields = ["updated_at"]
    list_select_related = ["merchant"]
    search_fields = ["merchant__name"]
    autocomplete_fields = ["merchant"]


@admin.register(RoutingDecision)
class RoutingDecisionAdmin(ReadOnlyRows):
    """Which places were chosen, and why."""

    list_display = ["reference", linked("merchant"), linked("order"), "decided_at", "rules", "takes"]
    list_filter = ["merchant"]
    list_select_related = ["merchant", "order"]
    search_fields = ["reference", "order__number"]
    date_hierarchy = "decided_at"

"""The stock table and its export."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_safe

from inventory import exporting, paging, queries
from storestudio.accounts import live
from storestudio.accounts.access import ShopRequest, shop_view, wants_partial

CHIPS = (
    ("", "All"),
    ("negative", "Oversold"),
    ("out", "Out of stock"),
    ("low", "Running low"),
    ("pending", "Being told"),
    ("drift", "Drift"),
    ("unlinked", "Not linked"),
)
SORTS = (
    ("title", "Title A–Z"),
    ("-title", "Title Z–A"),
    ("sku", "SKU A–Z"),
    ("-sku", "SKU Z–A"),
    ("available", "Least available"),
    ("-available", "Most available"),
)


@shop_view()
@require_safe
def stock(request: ShopRequest) -> HttpResponse:
    """The table: whole, as a part when a filter changes, or only its rows when it looks for news."""
    narrowed = queries.StockFilter.of(request.GET)
    if request.GET.get("part") == "chips":
        return live.answer(request, _chips(request, narrowed))
    found = queries.stock_page(
        merchant=request.merchant,
        narrowed=narrowed,
        cursor=paging.Cursor.of(request.GET),
    )
    context = {"stock": found, "filter": found.filter}
    rows = live.part(request, "inventory/_stock_rows.html", context)
    if request.GET.get("part") == "rows":
        return live.answer(request, rows)
    chips = [(name, label, "", 0) for name, label in CHIPS]
    context |= {"rows": rows, "chips": chips, "sorts": SORTS}
    return render(request, "inventory/_stock.html" if wants_partial(request) else "inventory/stock.html", context)


def _chips(request: ShopRequest, narrowed: queries.StockFilter) -> SafeString:
    """The chips with how many items each would show; asked for after the page, which need not wait for it."""
    counted = queries.counts(merchant=request.merchant, narrowed=narrowed)
    chips = [(name, label, _count_words(counted.get(name, 0)), counted.get(name, 0)) for name, label in CHIPS]
    return live.part(request, "inventory/_stock_chips.html", {"chips": chips, "filter": narrowed, "is_counted": True})


def _count_words(count: int) -> str:
    return f"{count - 1}+" if count >= queries.COUNTED_MAX else str(count or "")


@shop_view()
@require_safe
def stock_export(request: ShopRequest) -> StreamingHttpResponse:
    """The filtered stock as CSV, one line a variant and place, streamed."""
    lines: Iterator[str] = exporting.stock_csv(merchant=request.merchant, narrowed=queries.StockFilter.of(request.GET))
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"stock-{request.merchant.slug}-{utc_now():%Y-%m-%d-%H%M}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response

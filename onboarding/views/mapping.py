"""Mapping: every listing beside the variant it most likely is, one key a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from channels.models import Connection, Listing
from inventory import queries
from inventory.models import Variant
from inventory.paging import number
from onboarding import mapping as rules
from onboarding.mapping.looking import living, named
from onboarding.models import ChangeSet, Finding, MappingRun, Suggestion
from onboarding.views import desk, mapping_item, pace
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view, wants_partial
from storestudio.accounts.models import Merchant, User

State, Verdict, Link = Suggestion.State, Suggestion.Verdict, Listing.Link
MORE_ROWS = 10
SAMPLE = 6
FOUND_MAX = 12
SAID = {
    "accept": "Linked", "pick": "Linked", "choose": "Linked", "exclude": "Left out on purpose", "adopt": "New variant",
    "reject": "Not the same", "skip": "Skipped", "unskip": "Back in its place",
}  # fmt: skip


@dataclass(frozen=True)
class Narrowed:
    """Which part of the queue is looked at."""

    connection_id: int | None = None
    q: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Narrowed:
        """Read it from an address or a form; nonsense is everything."""
        return cls(number(query.get("channel")), " ".join(query.get("q", "").split())[:100])

    @property
    def query(self) -> str:
        """As part of an address, with its question mark."""
        said = {name: value for name, value in (("channel", self.connection_id), ("q", self.q)) if value}
        return f"?{urlencode(said)}" if said else ""


@dataclass(frozen=True)
class Row:
    """One line of the queue."""

    listing: Listing
    percent: str
    verdict: str
    is_skipped: bool


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_safe
def mapping(request: ShopRequest) -> HttpResponse:
    """The desk with the listing open whose answer teaches most; those that resemble nothing come last."""
    if wants_partial(request) and request.GET.get("part") == "rows":
        return HttpResponse(_more(request, Narrowed.of(request.GET), request.GET))
    if wants_partial(request) and request.GET.get("part") == "run":
        return HttpResponse(_run_html(request, was_waiting=True))
    return _desk(request, None)


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def map_listing(request: ShopRequest, listing_id: int) -> HttpResponse:
    """One listing: looked at, or decided."""
    listing = _listing_of(request, listing_id)
    if request.method == "POST":
        return _decide(request, listing)
    if listing.link != Link.UNLINKED:
        return _gone(request, listing)
    return HttpResponse(_item_html(request, listing)) if wants_partial(request) else _desk(request, listing)


def _listing_of(request: ShopRequest, listing_id: int) -> Listing:
    rows: QuerySet[Listing] = Listing.objects.select_related("connection", "variant__product")
    return one_of(rows, merchant=request.merchant, pk=listing_id)


def _decide(request: ShopRequest, listing: Listing) -> HttpResponse:
    """Do what the pressed button says; what came between is said, and nothing is changed then."""
    data = request.POST
    do = "pick" if "pick" in data else "choose" if "variant" in data else data.get("do", "accept")
    try:
        _act(request, listing, do=do)
    except rules.AlreadyDecided:
        listing = _listing_of(request, listing.pk)
        if listing.link != Link.UNLINKED:
            return _gone(request, listing)
        words = f"Its best match has changed meanwhile. Look again: {named(listing)}"
        return _back(request, listing, outcome="changed", words=words)
    except rules.BadProposal as refused:
        return _back(request, listing, outcome="refused", words=refused.words)
    words = f"{SAID[do]}: {named(listing)}"
    if not wants_partial(request):
        messages.success(request, words)
        return _to_queue(request)
    if do == "unskip":
        return _answer(request, outcome="undone", words=words, show=listing)
    if do == "reject" and mapping_item.best_of(listing) is not None:
        return _answer(request, outcome="again", words=f"{words}. The next best:", show=listing)
    return _answer(request, outcome="later" if do == "reject" else do, words=words)


def _act(request: ShopRequest, listing: Listing, *, do: str) -> None:
    """One call into a rule."""
    data, actor = request.POST, request.actor
    match do:
        case "accept":
            rules.accept(suggestion_id=_suggestion(listing, data.get("suggestion")), actor=actor)
        case "pick":
            rules.accept(suggestion_id=_suggestion(listing, data.get("pick")), actor=actor)
        case "reject":
            rules.reject(suggestion_id=_suggestion(listing, data.get("suggestion")), actor=actor)
        case "skip":
            rules.skip(suggestion_id=_suggestion(listing, data.get("suggestion")), actor=actor)
        case "unskip":
            rules.unskip(listing_id=listing.pk, actor=actor)
        case "choose":
            variant = one_of(Variant.objects.all(), merchant=request.merchant, pk=number(data.get("variant")) or 0)
            rules.choose(listing_id=listing.pk, variant_id=variant.pk, actor=actor)
        case "exclude":
            rules.exclude(listing_id=listing.pk, actor=actor, reason=data.get("reason", "")[:200])
        case "adopt":
            rules.adopt(listing_id=listing.pk, actor=actor)
        case _:
            raise SuspiciousOperation(f"Nobody can {do!r} a listing.")


def _suggestion(listing: Listing, said: str | None) -> int:
    """The suggestion that was looked at, if it is one of this listing's."""
    found = Suggestion.objects.filter(listing=listing, pk=number(said) or 0).values_list("pk", flat=True).first()
    if found is None:
        raise rules.BadProposal("", "That suggestion is not there any more.")
    return int(found)


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_POST
def undo_mapping(request: ShopRequest) -> HttpResponse:
    """Take the newest decision back and show its listing again."""
    theirs = _newest_of_others(request.merchant, request.actor)
    if theirs is not None and not request.POST.get("theirs"):
        by = theirs.actor.get_short_name() if theirs.actor else "somebody"
        words = f"The newest decision is {by}’s: {theirs.title}. Undo once more to take it back."
        if wants_partial(request):
            return _answer(request, outcome="theirs", words=words)
        messages.warning(request, words)
        return redirect(reverse("mapping", args=[request.merchant.slug]) + "?theirs=1")
    waiting = _waiting(request.merchant)
    taken_back = rules.undo_last(merchant=request.merchant, actor=request.actor)
    words = f"Taken back: {taken_back.title}" if taken_back else "There is no decision left to take back."
    if not wants_partial(request):
        messages.success(request, words)
        return _to_queue(request)
    if taken_back is None:
        return _answer(request, outcome="nothing", words=words)
    listing = _listing_behind(taken_back)
    if listing is None or _waiting(request.merchant) - waiting > 1:
        messages.success(request, words)
        there = reverse("mapping", args=[request.merchant.slug]) + Narrowed.of(request.POST).query
        return desk.answer(outcome="undone", words=words, parts=[], reload=there)
    return _answer(request, outcome="undone", words=words, show=listing)


def _newest_of_others(merchant: Merchant, actor: User) -> ChangeSet | None:
    """The newest decision, if somebody else made it: that is not taken back by a slip of a finger."""
    made = ChangeSet.objects.of(merchant).filter(kind=ChangeSet.Kind.MAPPING, undone_at=None)
    newest: ChangeSet | None = made.order_by("-created_at", "-pk").select_related("actor").first()
    return newest if newest is not None and newest.actor_id not in (None, actor.pk) else None


def _waiting(merchant: Merchant) -> int:
    return Listing.objects.of(merchant).filter(link=Link.UNLINKED, deleted_at=None).count()


def _listing_behind(changeset: ChangeSet) -> Listing | None:
    """The listing that a taken back decision was about."""
    linked = changeset.changes.filter(table="link").values_list("row_id", flat=True)
    waiting = Listing.objects.of(changeset.merchant).filter(link=Link.UNLINKED).select_related("connection")
    found: Listing | None = waiting.filter(pk__in=linked).first()
    return found or waiting.filter(suggestions__decided_at=None, suggestions__is_best=True).order_by("-pk").first()


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_safe
def choose_variant(request: ShopRequest, listing_id: int) -> HttpResponse:
    """Search the catalog for the variant that a listing is."""
    listing = _listing_of(request, listing_id)
    said = request.GET.get("find")
    q = listing.product_title if said is None else said
    found: Sequence[Variant] = []
    if q.strip():
        narrowed = queries.StockFilter(q=" ".join(q.split())[:100])
        rows = queries.variants(merchant=request.merchant, narrowed=narrowed).filter(archived_at=None)
        found = list(rows.select_related("product").order_by("product__title", "pk")[:FOUND_MAX])
    taken = set(
        Listing.objects.filter(connection=listing.connection_id, variant__in=found).values_list("variant", flat=True)
    )
    context = {
        "listing": listing,
        "name": named(listing),
        "q": q,
        "found": [(one, one.pk in taken) for one in found],
        "narrowed": Narrowed.of(request.GET),
    }
    part = wants_partial(request)
    return render(request, "onboarding/_desk_choose.html" if part else "onboarding/mapping_choose.html", context)


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_POST
def compare_listings(request: ShopRequest) -> HttpResponse:
    """Have the waiting listings compared with the catalog anew, by a worker."""
    for connection_id in sorted(_waiting_at(request.merchant)):
        rules.request_build(connection_id=connection_id)
    return _to_queue(request)


def _run_html(request: ShopRequest, *, was_waiting: bool = False) -> SafeString:
    """Whether listings are being compared, how far that is, when it was last done."""
    rows = list(MappingRun.objects.of(request.merchant).order_by("connection"))
    at_work = [one for one in rows if one.asked_at is not None or one.stage]
    built = [one.built_at for one in rows if one.built_at is not None]
    first = next((one for one in at_work if one.stage), None) or next(iter(at_work), None)
    run = desk.Run(
        is_waiting=bool(at_work),
        stage=first.stage if first else "",
        done=first.done if first else 0,
        total=first.total if first else 0,
        at=min(built) if built else None,
        error=next((one.error for one in rows if one.error), ""),
    )
    context = {
        "run": run,
        "was_waiting": was_waiting,
        "home": reverse("mapping", args=[request.merchant.slug]),
        "ask": reverse("compare_listings", args=[request.merchant.slug]),
        "words": "Comparing listings",
    }
    return _render(request, "run", context)


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def accept_mapping(request: ShopRequest) -> HttpResponse:
    """Link all that is certain, a channel at a time: first how many and which, then the yes."""
    narrowed = Narrowed.of(request.GET if request.method != "POST" else request.POST)
    certain = rules.queue(request.merchant, narrowed.connection_id).filter(verdict=Verdict.AUTO)
    if request.method == "POST":
        ids = certain.order_by().values_list("listing__connection", flat=True).distinct()
        linked = sum(rules.accept_auto(connection_id=pk, actor=request.actor) for pk in sorted(ids))
        messages.success(request, f"{linked} linked. U takes them back, a channel at a time.")
        return _to_queue(request)
    sample = certain.select_related("listing__connection", "variant__product").order_by("score", "pk")[:SAMPLE]
    context = {
        "count": certain.count(),
        "sample": [(named(one.listing), one.variant.full_title, desk.percent(one.score)) for one in sample],
        "narrowed": narrowed,
    }
    part = wants_partial(request)
    return render(request, "onboarding/_desk_certain.html" if part else "onboarding/mapping_certain.html", context)


# ---- the queue: listings with a suggestion first, then those that resemble nothing ----


def _suggested(merchant: Merchant, narrowed: Narrowed) -> QuerySet[Suggestion]:
    rows = rules.queue(merchant, narrowed.connection_id)
    for word in narrowed.q.split():
        rows = rows.filter(
            Q(listing__product_title__icontains=word) | Q(listing__title__icontains=word)
            | Q(listing__sku__icontains=word) | Q(listing__gtin__icontains=word)
        )  # fmt: skip
    return rows


def _alone(merchant: Merchant, narrowed: Narrowed) -> QuerySet[Listing]:
    rows = rules.unmatched(merchant, narrowed.connection_id)
    for word in narrowed.q.split():
        rows = rows.filter(
            Q(product_title__icontains=word) | Q(title__icontains=word) | Q(sku__icontains=word)
            | Q(gtin__icontains=word)
        )  # fmt: skip
    return rows


def _rows(merchant: Merchant, narrowed: Narrowed, *, last: Listing | None, size: int) -> tuple[list[Row], bool]:
    """So many rows after this listing, and whether there are more."""
    suggested, alone = _suggested(merchant, narrowed), _alone(merchant, narrowed)
    best = mapping_item.best_of(last) if last is not None else None
    found: list[Row] = []
    if last is None or best is not None:
        rows = (_after_suggestion(suggested, best) if best else suggested).select_related("listing__connection")
        found = [
            Row(one.listing, desk.percent(one.score), one.verdict, one.skipped_at is not None)
            for one in rows.defer("evidence")[: size + 1]
        ]
    if len(found) <= size:
        lone = _after_listing(alone, last) if last is not None and best is None else alone
        rest = lone.select_related("connection")[: size + 1 - len(found)]
        found += [Row(one, "", "", False) for one in rest]
    return found[:size], len(found) > size


def _after_suggestion(rows: QuerySet[Suggestion], last: Suggestion) -> QuerySet[Suggestion]:
    later = Q(information__lt=last.information) | Q(information=last.information, pk__gt=last.pk)
    if last.skipped_at is None:
        return rows.filter(Q(skipped_at__isnull=False) | Q(skipped_at=None) & later)
    return rows.filter(Q(skipped_at__gt=last.skipped_at) | Q(skipped_at=last.skipped_at) & later)


def _after_listing(rows: QuerySet[Listing], last: Listing) -> QuerySet[Listing]:
    same = Q(connection=last.connection_id)
    later = Q(product_title__gt=last.product_title) | Q(product_title=last.product_title, pk__gt=last.pk)
    return rows.filter(Q(connection__gt=last.connection_id) | same & later)


def _last(request: ShopRequest, said: str | None) -> Listing | None:
    key = number(said)
    return Listing.objects.of(request.merchant).filter(pk=key).first() if key is not None else None


# ---- the page and its parts ----


def _desk(request: ShopRequest, listing: Listing | None, *, words: str = "", status: int = 200) -> HttpResponse:
    narrowed = Narrowed.of(request.GET)
    last = _last(request, request.GET.get("after"))
    rows, has_more = _rows(request.merchant, narrowed, last=last, size=desk.ROWS_A_PAGE)
    if listing is None and rows:
        listing = rows[0].listing
    waiting = _waiting_at(request.merchant)
    context = {
        "narrowed": narrowed,
        "rows": _rows_html(request, rows, narrowed, current=listing),
        "has_more": has_more,
        "is_further": last is not None,
        "more_url": f"{narrowed.query or '?'}{'&' if narrowed.query else ''}after={rows[-1].listing.pk}"
        if has_more
        else "",
        "chips": _chips_html(request, narrowed, waiting),
        "bar": _bar_html(request, waiting),
        "item": _item_html(request, listing) if listing is not None else "",
        "words": words,
        "theirs": request.GET.get("theirs", ""),
        "run": _run_html(request),
        "empty": _empty_html(request, narrowed, waiting),
    }
    return render(request, "onboarding/mapping.html", context, status=status)


def _answer(
    request: ShopRequest, *, outcome: str, words: str, gone: Sequence[int] = (), show: Listing | None = None
) -> HttpResponse:
    """What a keystroke is answered with: the bar, the chips, the next rows, and the next listing, ready to be shown."""
    narrowed = Narrowed.of(request.POST)
    waiting = _waiting_at(request.merchant)
    parts = [
        desk.part("bar", _bar_html(request, waiting)),
        desk.part("chips", _chips_html(request, narrowed, waiting)),
        desk.part("empty", _empty_html(request, narrowed, waiting)),
    ]
    if request.POST.get("more"):
        parts.append(_more(request, narrowed, request.POST))
    wanted = _wanted(request)
    if wanted is not None:
        parts.append(desk.part("item", _item_html(request, wanted)))
    if show is not None:
        best = mapping_item.best_of(show)
        row = Row(show, desk.percent(best.score) if best else "", best.verdict if best else "", False)
        parts.append(desk.part("row", _rows_html(request, [row], narrowed)))
        parts.append(desk.part("show", _item_html(request, show)))
    return desk.answer(outcome=outcome, words=words, gone=gone, parts=parts)


def _more(request: ShopRequest, narrowed: Narrowed, data: QueryDict) -> SafeString:
    rows, has_more = _rows(request.merchant, narrowed, last=_last(request, data.get("last")), size=MORE_ROWS)
    return desk.part("rows", _rows_html(request, rows, narrowed), more=has_more)


def _wanted(request: ShopRequest) -> Listing | None:
    """The first of the listings that the page has not read ahead yet, and that still waits."""
    keys = [key for key in map(number, request.POST.get("want", "").split(",")[:5]) if key is not None]
    waiting = Listing.objects.of(request.merchant).filter(pk__in=keys, link=Link.UNLINKED, deleted_at=None)
    there = {one.pk: one for one in waiting.select_related("connection")} if keys else {}
    return next((there[key] for key in keys if key in there), None)


def _back(request: ShopRequest, listing: Listing, *, outcome: str, words: str) -> HttpResponse:
    """The listing again: a refusal, or news of it."""
    if not wants_partial(request):
        return _desk(request, listing, words=words, status=422)
    answer = _answer(request, outcome=outcome, words=words, show=listing)
    answer.status_code = 422
    return answer


def _gone(request: ShopRequest, listing: Listing) -> HttpResponse:
    """Somebody else, or another decision, was faster."""
    to = f" to {listing.variant.full_title}" if listing.variant is not None else ""
    words = f"{listing.get_link_display()}{to} already: {named(listing)}"
    if wants_partial(request):
        if request.method == "POST":
            return _answer(request, outcome="already", words=words, gone=[listing.pk])
        return desk.answer(outcome="already", words=words, gone=[listing.pk], parts=[])
    messages.info(request, words)
    return _to_queue(request)


def _to_queue(request: ShopRequest) -> HttpResponse:
    narrowed = Narrowed.of(request.POST if request.method == "POST" else request.GET)
    return redirect(reverse("mapping", args=[request.merchant.slug]) + narrowed.query)


def _render(request: ShopRequest, name: str, context: dict[str, Any]) -> SafeString:
    return render_to_string(f"onboarding/_desk_{name}.html", context | {"merchant": request.merchant}, request=request)


def _item_html(request: ShopRequest, listing: Listing) -> SafeString:
    narrowed = Narrowed.of(request.POST if request.method == "POST" else request.GET)
    item = mapping_item.item_of(listing, shop=request.merchant.slug)
    return _render(request, "listing", {"item": item, "narrowed": narrowed})


def _rows_html(
    request: ShopRequest, rows: Sequence[Row], narrowed: Narrowed, current: Listing | None = None
) -> SafeString:
    lines = [(row, named(row.listing)) for row in rows]
    return _render(request, "listing_rows", {"lines": lines, "narrowed": narrowed, "current": current})


def _waiting_at(merchant: Merchant) -> dict[int, int]:
    """Waiting listings by connection: one query for all that a keystroke's answer counts."""
    rows = living(merchant).filter(link=Link.UNLINKED).order_by()
    return dict(rows.values_list("connection").annotate(count=Count("pk")).values_list("connection", "count"))


def _chips_html(request: ShopRequest, narrowed: Narrowed, waiting: Mapping[int, int]) -> SafeString:
    ours = Connection.objects.of(request.merchant).filter(pk__in={*waiting, narrowed.connection_id or 0})
    channels = [(one, waiting.get(one.pk, 0)) for one in ours.order_by("label", "pk")]
    context = {"channels": channels, "total": sum(waiting.values()), "narrowed": narrowed}
    return _render(request, "listing_chips", context)


def _bar_html(request: ShopRequest, waiting: Mapping[int, int]) -> SafeString:
    return _render(request, "bar", {"pace": pace_of(request.merchant, sum(waiting.values())), "other": "findings"})


def pace_of(merchant: Merchant, left: int) -> pace.Pace:
    """How fast this shop's listings are being mapped."""
    zone, now = ZoneInfo(merchant.timezone), utc_now()
    made = ChangeSet.objects.of(merchant).filter(kind=ChangeSet.Kind.MAPPING, undone_at=None)
    start = pace.start_of_day(now=now, zone=zone)
    newest = list(made.order_by("-created_at").values_list("created_at", flat=True)[: pace.LOOKED_AT])
    today = sum(at >= start for at in newest)
    if today == pace.LOOKED_AT:
        today = made.filter(created_at__gte=start).count()
    other = Finding.objects.of(merchant).filter(state=Finding.State.OPEN).count()
    return pace.pace(decided=newest, today=today, left=left, now=now, zone=zone, other=other)


def _empty_html(request: ShopRequest, narrowed: Narrowed, waiting: Mapping[int, int]) -> SafeString:
    """What stands there when the queue, or what is looked at of it, is empty."""
    left = sum(waiting.values())
    made = None if left else rules.progress(request.merchant)
    return _render(request, "listing_empty", {"narrowed": narrowed, "left": left, "progress": made})

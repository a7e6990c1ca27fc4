"""Findings: the queue ranked by risk, one finding with its evidence, one key a decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.exceptions import SuspiciousOperation
from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.timezone import now as utc_now
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from channels.models import Listing
from inventory.paging import number
from onboarding.findings import bulk, decisions, looking
from onboarding.models import BulkAcceptance, Finding, FindingRun
from onboarding.views import desk, finding_item, pace
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view, wants_partial
from storestudio.accounts.models import Merchant

Kind, State = Finding.Kind, Finding.State
SAID = {"accept": "Accepted", "reject": "Left as it is", "skip": "Skipped", "unskip": "Back in its place"}
DECIDED = (State.ACCEPTED, State.REJECTED)
MORE_ROWS = 10
SAMPLE = 6
AT_ONCE_MAX = 40  # about a second; more are accepted by a worker
CONFIDENCES = (0.99, 0.95, 0.9, 0.8)
CONFIDENCE = 0.95
# The kinds in as few letters as a queue's row has room for.
SHORT = {
    Kind.DUPLICATE: "Twice", Kind.FAMILY: "Variants", Kind.OPTION: "Options", Kind.SKU_MISSING: "No SKU",
    Kind.SKU_REPEATED: "SKU twice", Kind.SKU_COLLIDES: "SKU clash", Kind.SKU_PATTERN: "SKU form",
    Kind.SKU_DAMAGED: "SKU damaged", Kind.GTIN: "Barcode", Kind.UNTRACKED: "Not tracked",
    Kind.OVERSELLING: "Oversells", Kind.PRICE: "Price", Kind.ARCHIVED: "Archived",
}  # fmt: skip


@dataclass(frozen=True)
class Narrowed:
    """Which part of the queue is looked at."""

    kind: str = ""
    q: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> Narrowed:
        """Read it from an address or a form; nonsense is everything."""
        kind = query.get("kind", "")
        return cls(kind if kind in Kind.values else "", " ".join(query.get("q", "").split())[:100])

    @property
    def query(self) -> str:
        """As part of an address, with its question mark."""
        said = {name: value for name, value in (("kind", self.kind), ("q", self.q)) if value}
        return f"?{urlencode(said)}" if said else ""


def _queue(merchant: Merchant, narrowed: Narrowed) -> QuerySet[Finding]:
    rows = decisions.queue(merchant, narrowed.kind)
    if narrowed.q:
        rows = rows.annotate(about=Cast("members", TextField()))
        for word in narrowed.q.split():
            rows = rows.filter(Q(title__icontains=word) | Q(about__icontains=word))
    return rows


def _after(rows: QuerySet[Finding], last: Finding) -> QuerySet[Finding]:
    """What comes after this one in the queue's order: keyset, so that far down costs what the top does."""
    later = Q(risk__lt=last.risk) | Q(risk=last.risk, pk__gt=last.pk)
    if last.skipped_at is None:
        return rows.filter(Q(skipped_at__isnull=False) | Q(skipped_at=None) & later)
    return rows.filter(Q(skipped_at__gt=last.skipped_at) | Q(skipped_at=last.skipped_at) & later)


def _page(rows: QuerySet[Finding], *, size: int) -> tuple[list[Finding], bool]:
    found = list(rows.defer("members", "evidence", "proposal")[: size + 1])
    return found[:size], len(found) > size


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_safe
def findings(request: ShopRequest) -> HttpResponse:
    """The desk with the riskiest finding open; `?after=` begins the queue further down."""
    if wants_partial(request) and request.GET.get("part") == "rows":
        return HttpResponse(_more(request, Narrowed.of(request.GET), request.GET))
    if wants_partial(request) and request.GET.get("part") == "run":
        return HttpResponse(_run_html(request, was_waiting=True))
    return _desk(request, None, edit=finding_item.Edit())


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def finding(request: ShopRequest, finding_id: int) -> HttpResponse:
    """One finding: looked at (with edits not yet decided in the address), or decided."""
    found = one_of(Finding.objects.select_related("merchant", "decided_by"), merchant=request.merchant, pk=finding_id)
    if request.method == "POST":
        return _decide(request, found)
    edit = finding_item.Edit.of(request.GET)
    if found.state != State.OPEN:
        return _gone(request, found)
    if not wants_partial(request):
        return _desk(request, found, edit=edit)
    if request.GET.get("part") == "effect":
        return HttpResponse(_render(request, "effect", {"item": _item(request, found, edit)}))
    return HttpResponse(_item_html(request, found, edit))


def _decide(request: ShopRequest, found: Finding) -> HttpResponse:
    """Do what the pressed button says; what came between is said, and nothing is changed then."""
    edit, do = finding_item.Edit.of(request.POST), request.POST.get("do", "accept")
    seen = request.POST.get("stamp")
    if found.state == State.OPEN and seen and seen != finding_item.stamp_of(found):
        words = f"It has changed meanwhile, and nothing was done. Look again: {found.title}"
        return _back(request, found, edit=finding_item.Edit(), outcome="changed", words=words)
    try:
        decided = _act(request, found, do=do, edit=edit)
    except decisions.AlreadyDecided:
        return _gone(request, found)
    except decisions.Question as asked:
        outlook = finding_item.asking(asked)
        return _back(request, found, edit=edit, outlook=outlook, outcome="question", words=outlook.question)
    except decisions.BadProposal as refused:
        outlook = finding_item.refusing(refused)
        return _back(request, found, edit=edit, outlook=outlook, outcome="refused", words=outlook.refusal)
    words = f"{SAID[do]}: {decided.title}"
    if wants_partial(request) and do == "unskip":
        return _answer(request, outcome="undone", words=words, show=decided)
    if wants_partial(request):
        return _answer(request, outcome=do, words=words, gone=_overtaken(decided) if do == "accept" else ())
    messages.success(request, words)
    return _to_queue(request)


def _act(request: ShopRequest, found: Finding, *, do: str, edit: finding_item.Edit) -> Finding:
    match do:
        case "reject":
            return decisions.reject(finding_id=found.pk, actor=request.actor)
        case "skip":
            return decisions.skip(finding_id=found.pk, actor=request.actor)
        case "unskip":
            return decisions.unskip(finding_id=found.pk, actor=request.actor)
        case "accept":
            return decisions.accept(
                finding_id=found.pk, actor=request.actor, proposal=edit.fields, excluded=edit.excluded,
                choice=edit.choice,
            )  # fmt: skip
    raise SuspiciousOperation(f"Nobody can {do!r} a finding.")


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_POST
def undo_finding(request: ShopRequest) -> HttpResponse:
    """Take the newest decision back and show its finding again."""
    theirs = _newest_of_others(request)
    if theirs is not None and not request.POST.get("theirs"):
        by = theirs.decided_by.get_short_name() if theirs.decided_by else "somebody"
        words = f"The newest decision is {by}’s: {theirs.title}. Undo once more to take it back."
        if wants_partial(request):
            return _answer(request, outcome="theirs", words=words)
        messages.warning(request, words)
        return redirect(reverse("findings", args=[request.merchant.slug]) + "?theirs=1")
    before = Finding.objects.of(request.merchant).filter(state__in=DECIDED).count()
    reopened = decisions.undo_last(merchant=request.merchant, actor=request.actor)
    words = f"Taken back: {reopened.title}" if reopened else "There is no decision left to take back."
    many = before - Finding.objects.of(request.merchant).filter(state__in=DECIDED).count()
    if many > 1 and wants_partial(request):
        messages.success(request, f"{many} decisions that were made together are taken back.")
        there = reverse("findings", args=[request.merchant.slug]) + Narrowed.of(request.POST).query
        return desk.answer(outcome="undone", words=words, parts=[], reload=there)
    if wants_partial(request):
        back = Finding.objects.select_related("merchant").get(pk=reopened.pk) if reopened else None
        return _answer(request, outcome="undone" if back else "nothing", words=words, show=back)
    messages.success(request, words)
    if reopened is None:
        return _to_queue(request)
    return redirect("finding", shop=request.merchant.slug, finding_id=reopened.pk)


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_POST
def look_for_findings(request: ShopRequest) -> HttpResponse:
    """Have the catalog looked through anew, by a worker."""
    looking.ask(request.merchant)
    return _to_queue(request)


def _run_html(request: ShopRequest, *, was_waiting: bool = False) -> SafeString:
    """Whether the catalog is being looked through, how far that is, when it was last done."""
    row = FindingRun.objects.of(request.merchant).first()
    run = desk.Run(is_waiting=False)
    if row is not None:
        run = desk.Run(row.asked_at is not None, row.stage, row.done, row.total, row.looked_at, row.error)
    words = "Looking through the catalog"
    accepting = BulkAcceptance.objects.of(request.merchant).filter(ended_at=None).first()
    if accepting is not None:
        words = "Accepting findings"
        run = desk.Run(True, f"{accepting.accepted} accepted", accepting.done, len(accepting.findings))
    context = {
        "run": run,
        "was_waiting": was_waiting,
        "home": reverse("findings", args=[request.merchant.slug]),
        "ask": reverse("look_for_findings", args=[request.merchant.slug]),
        "words": words,
    }
    return _render(request, "run", context)


def _newest_of_others(request: ShopRequest) -> Finding | None:
    """The newest decision, if somebody else made it: that is not taken back by a slip of a finger."""
    made = Finding.objects.of(request.merchant).filter(state__in=DECIDED, decided_at__isnull=False)
    newest: Finding | None = made.order_by("-decided_at", "-pk").select_related("decided_by").first()
    return newest if newest is not None and newest.decided_by_id not in (None, request.actor.pk) else None


@desk.timed
@shop_view(roles=MAY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
def accept_findings(request: ShopRequest) -> HttpResponse:
    """Accept all that are at least this sure: first how many and which, then the yes."""
    narrowed = Narrowed.of(request.GET if request.method != "POST" else request.POST)
    least = _confidence(request)
    sure = decisions.queue(request.merchant, narrowed.kind).filter(confidence__gte=least)
    if request.method == "POST":
        return _accept_all(request, sure, least, narrowed.kind)
    counts = _queue(request.merchant, Narrowed(narrowed.kind)).aggregate(
        **{f"at{place}": Count("pk", filter=Q(confidence__gte=one)) for place, one in enumerate(CONFIDENCES)}
    )
    sample = list(sure.order_by("confidence", "pk").defer("members", "evidence", "proposal")[:SAMPLE])
    context = {
        "levels": [(one, desk.percent(one), counts[f"at{place}"]) for place, one in enumerate(CONFIDENCES)],
        "least": least,
        "count": sure.count(),
        "sample": [(one, desk.percent(one.confidence)) for one in sample],
        "kind": narrowed.kind,
        "kind_words": Kind(narrowed.kind).label if narrowed.kind else "",
        "narrowed": narrowed,
    }
    return render(
        request, "onboarding/_desk_bulk.html" if wants_partial(request) else "onboarding/findings_bulk.html", context
    )


def _accept_all(request: ShopRequest, sure: QuerySet[Finding], least: float, kind: str) -> HttpResponse:
    """A few at once; many by a worker, with the progress beside the queue."""
    count = sure.count()
    asked: dict[str, Any] = {"merchant": request.merchant, "actor": request.actor, "confidence": least, "kind": kind}
    try:
        if count > AT_ONCE_MAX:
            bulk.wake(bulk.start(**asked).pk)
            words = f"{count} are being accepted; you can leave this page. U takes them back, and stops it."
        else:
            done, left = bulk.accept_above(**asked), sure.count()
            asks = f" {left} ask{'s' if left == 1 else ''} a question first." if left else ""
            words = f"{done} accepted.{asks} U takes them back, all at once."
    except bulk.Busy as busy:
        messages.warning(request, f"{busy} Nothing was added to them.")
    else:
        messages.success(request, words)
    return _to_queue(request)


def _confidence(request: ShopRequest) -> float:
    said = (request.POST if request.method == "POST" else request.GET).get("confidence", "")
    return next((one for one in CONFIDENCES if said == f"{one:g}"), CONFIDENCE)


def _desk(
    request: ShopRequest,
    found: Finding | None,
    *,
    edit: finding_item.Edit,
    outlook: finding_item.Outlook | None = None,
    words: str = "",
    status: int = 200,
) -> HttpResponse:
    """The whole page."""
    narrowed = Narrowed.of(request.GET)
    queue = _queue(request.merchant, narrowed)
    rows, has_more, is_further = _rows_from(request, queue)
    if found is None and rows:
        found = Finding.objects.select_related("merchant").get(pk=rows[0].pk)
    counts = _counts(request.merchant)
    context = {
        "narrowed": narrowed,
        "rows": _rows_html(request, rows, narrowed, current=found),
        "has_more": has_more,
        "is_further": is_further,
        "more_url": _more_url(narrowed, rows) if has_more else "",
        "chips": _chips_html(request, narrowed, counts),
        "bar": _bar_html(request, counts),
        "item": _item_html(request, found, edit, outlook) if found is not None else "",
        "words": words,
        "theirs": request.GET.get("theirs", ""),
        "run": _run_html(request),
        "empty": _empty_html(request, narrowed, counts),
    }
    return render(request, "onboarding/findings.html", context, status=status)


def _rows_from(request: ShopRequest, queue: QuerySet[Finding]) -> tuple[list[Finding], bool, bool]:
    last = _last(request, request.GET.get("after"))
    rows, has_more = _page(_after(queue, last) if last else queue, size=desk.ROWS_A_PAGE)
    return rows, has_more, last is not None


def _last(request: ShopRequest, said: str | None) -> Finding | None:
    key = number(said)
    return Finding.objects.of(request.merchant).filter(pk=key).first() if key is not None else None


def _more_url(narrowed: Narrowed, rows: Sequence[Finding]) -> str:
    return f"{narrowed.query or '?'}{'&' if narrowed.query else ''}after={rows[-1].pk}"


def _more(request: ShopRequest, narrowed: Narrowed, data: QueryDict) -> SafeString:
    """The next rows after the last one the page has, as the part `rows`; `data-more` says whether there are others."""
    last = _last(request, data.get("last"))
    rows = _queue(request.merchant, narrowed)
    found, has_more = _page(_after(rows, last) if last else rows, size=MORE_ROWS)
    return desk.part("rows", _rows_html(request, found, narrowed), more=has_more)


def _answer(
    request: ShopRequest,
    *,
    outcome: str,
    words: str,
    gone: Sequence[int] = (),
    show: Finding | None = None,
    shown: SafeString | None = None,
) -> HttpResponse:
    """What a keystroke is answered with: the bar, the chips, the next rows, and the next finding, ready to be shown."""
    narrowed = Narrowed.of(request.POST)
    counts = _counts(request.merchant)
    parts = [
        desk.part("bar", _bar_html(request, counts)),
        desk.part("chips", _chips_html(request, narrowed, counts)),
        desk.part("empty", _empty_html(request, narrowed, counts)),
    ]
    if request.POST.get("more"):
        parts.append(_more(request, narrowed, request.POST))
    wanted = _wanted(request)
    if wanted is not None:
        parts.append(desk.part("item", _item_html(request, wanted, finding_item.Edit())))
    if show is not None:
        parts.append(desk.part("row", _rows_html(request, [show], narrowed)))
        parts.append(desk.part("show", shown or _item_html(request, show, finding_item.Edit())))
    return desk.answer(outcome=outcome, words=words, gone=gone, parts=parts)


def _wanted(request: ShopRequest) -> Finding | None:
    """The first of the findings that the page has not read ahead yet, and that is still open."""
    keys = [key for key in map(number, request.POST.get("want", "").split(",")[:5]) if key is not None]
    open_ = Finding.objects.of(request.merchant).filter(pk__in=keys, state=State.OPEN).select_related("merchant")
    there = {one.pk: one for one in open_} if keys else {}
    return next((there[key] for key in keys if key in there), None)


def _back(
    request: ShopRequest,
    found: Finding,
    *,
    edit: finding_item.Edit,
    outcome: str,
    words: str,
    outlook: finding_item.Outlook | None = None,
) -> HttpResponse:
    """The finding again: a question, a refusal, or news of it."""
    if not wants_partial(request):
        return _desk(request, found, edit=edit, outlook=outlook, words=words, status=422)
    shown = _item_html(request, found, edit, outlook)
    answer = _answer(request, outcome=outcome, words=words, show=found, shown=shown)
    answer.status_code = 422
    return answer


def _gone(request: ShopRequest, found: Finding) -> HttpResponse:
    """Somebody else, or another decision, was faster."""
    found.refresh_from_db()
    by = f" by {found.decided_by.get_short_name()}" if found.decided_by else ""
    words = f"{found.get_state_display()}{by} already: {found.title}"
    if wants_partial(request):
        if request.method == "POST":
            return _answer(request, outcome="already", words=words, gone=[found.pk])
        return desk.answer(outcome="already", words=words, gone=[found.pk], parts=[])
    messages.info(request, words)
    return _to_queue(request)


def _to_queue(request: ShopRequest) -> HttpResponse:
    narrowed = Narrowed.of(request.POST if request.method == "POST" else request.GET)
    return redirect(reverse("findings", args=[request.merchant.slug]) + narrowed.query)


def _overtaken(decided: Finding) -> list[int]:
    return list(Finding.objects.filter(overtaken_by=decided).values_list("pk", flat=True))


def _counts(merchant: Merchant) -> dict[str, int]:
    """Open findings by kind."""
    rows = Finding.objects.of(merchant).filter(state=State.OPEN).order_by()
    return dict(rows.values_list("kind").annotate(count=Count("pk")).values_list("kind", "count"))


def _item(
    request: ShopRequest,
    found: Finding,
    edit: finding_item.Edit,
    outlook: finding_item.Outlook | None = None,
) -> finding_item.Item:
    return finding_item.item_of(found, shop=request.merchant.slug, edit=edit, outlook=outlook)


def _item_html(
    request: ShopRequest,
    found: Finding,
    edit: finding_item.Edit,
    outlook: finding_item.Outlook | None = None,
) -> SafeString:
    narrowed = Narrowed.of(request.POST if request.method == "POST" else request.GET)
    return _render(request, "finding", {"item": _item(request, found, edit, outlook), "narrowed": narrowed})


def _render(request: ShopRequest, name: str, context: dict[str, Any]) -> SafeString:
    return render_to_string(f"onboarding/_desk_{name}.html", context | {"merchant": request.merchant}, request=request)


def _rows_html(
    request: ShopRequest, rows: Sequence[Finding], narrowed: Narrowed, current: Finding | None = None
) -> SafeString:
    lines = [(one, SHORT.get(Kind(one.kind), one.kind), desk.whole(one.risk)) for one in rows]
    return _render(request, "finding_rows", {"lines": lines, "narrowed": narrowed, "current": current})


def _chips_html(request: ShopRequest, narrowed: Narrowed, counts: dict[str, int]) -> SafeString:
    kinds = [(kind, SHORT[Kind(kind)], Kind(kind).label, counts[kind]) for kind in Kind.values if counts.get(kind)]
    if narrowed.kind and narrowed.kind not in counts:
        kinds.append((narrowed.kind, SHORT[Kind(narrowed.kind)], Kind(narrowed.kind).label, 0))
    return _render(request, "finding_chips", {"kinds": kinds, "total": sum(counts.values()), "narrowed": narrowed})


def _bar_html(request: ShopRequest, counts: dict[str, int]) -> SafeString:
    return _render(request, "bar", {"pace": _pace(request.merchant, sum(counts.values())), "other": "still to map"})


def _pace(merchant: Merchant, left: int) -> pace.Pace:
    zone, now = ZoneInfo(merchant.timezone), utc_now()
    decided = Finding.objects.of(merchant).filter(state__in=DECIDED, decided_at__isnull=False).order_by("-decided_at")
    start = pace.start_of_day(now=now, zone=zone)
    newest = list(decided.values_list("decided_at", flat=True)[: pace.LOOKED_AT])
    today = sum(at >= start for at in newest)
    if today == pace.LOOKED_AT:
        today = decided.filter(decided_at__gte=start).count()
    other = Listing.objects.of(merchant).filter(link=Listing.Link.UNLINKED, deleted_at=None).count()
    return pace.pace(decided=newest, today=today, left=left, now=now, zone=zone, other=other)


def _empty_html(request: ShopRequest, narrowed: Narrowed, counts: dict[str, int]) -> SafeString:
    """What stands there when the queue, or what is looked at of it, is empty."""
    decided = Finding.objects.of(request.merchant).filter(state__in=DECIDED)
    left = sum(counts.values())
    done = decided.count() if not left else 0
    return _render(request, "finding_empty", {"narrowed": narrowed, "left": left, "done": done})

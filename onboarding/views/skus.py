"""The SKU designer: a pattern, what it makes of the shop's own SKUs, what may go wrong, one yes, one way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from inventory import paging
from onboarding.models import SkuPattern
from onboarding.skus import designing, renaming
from onboarding.skus.checks import LABELS, Kind, Row
from onboarding.skus.designing import Goods, Preview
from onboarding.skus.inferring import Inferred
from onboarding.skus.patterns import BadPattern
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, shop_view, wants_partial

ROWS_A_PAGE = 50
CHANGE, PROBLEMS, SAME, OUT = "change", "problems", "same", "out"
LEFT_OUT_MAX = 500  # ticked off by hand; more than that is another pattern
FIELDS = {
    "vendor": "{vendor:3}",
    "category": "{category:3}",
    "style": "{style:4}",
    "title": "{title}",
    "number": "{number:4}",
}


@dataclass(frozen=True)
class Asked:
    """What the form says: the pattern, what was ticked off, which rows are looked at."""

    pattern: str
    numbers: bool
    show: str
    page: int
    left_out: frozenset[int]

    @classmethod
    def of(cls, query: QueryDict, *, default: str) -> Asked:
        """Read the form; nonsense is as if it were not there."""
        is_typed = "pattern" in query
        pattern = query.get("pattern", default).strip()
        shown, taken = _ids(query.getlist("shown")), _ids(query.getlist("take"))
        left_out = (_ids(query.get("out", "").split(",")) - shown) | (shown - taken)
        show = query.get("show", CHANGE)
        page = query.get("page", "1")
        is_same_view = query.get("was", show) == show
        return cls(
            pattern=pattern,
            numbers="numbers" in query or not is_typed,
            show=show if show in {CHANGE, PROBLEMS, SAME, OUT, *Kind} else CHANGE,
            page=int(page) if is_same_view and page.isascii() and page.isdigit() and len(page) < 7 else 1,
            left_out=frozenset(sorted(left_out)[:LEFT_OUT_MAX]),
        )

    @property
    def out(self) -> str:
        """The variants ticked off, as the form carries them."""
        return ",".join(str(pk) for pk in sorted(self.left_out))

    @property
    def query(self) -> str:
        """The address of what is looked at."""
        said = {"pattern": self.pattern, "show": self.show, "page": self.page, "out": self.out}
        return urlencode(
            {name: value for name, value in said.items() if value} | ({"numbers": 1} if self.numbers else {})
        )


@dataclass(frozen=True)
class Tab:
    """One way to narrow the rows."""

    name: str
    label: str
    count: int
    is_problem: bool = False


@dataclass(frozen=True)
class Shown:
    """The rows of one page, and what is to be said about all of them."""

    rows: Sequence[Row]
    tabs: Sequence[Tab]
    page: int
    pages: int
    first: int
    total: int
    to_do: int
    blocked: int

    @property
    def last(self) -> int:
        """The place of the page's last row, counted from 1."""
        return self.first + len(self.rows)


def _ids(texts: Sequence[str]) -> set[int]:
    return {key for key in map(paging.number, texts) if key is not None}


@shop_view(roles=MAY_MANAGE)
@require_safe
def skus(request: ShopRequest) -> HttpResponse:
    """The designer; HTMX gets the preview alone, or what is wrong with the pattern."""
    ours = designing.goods(request.merchant)
    inferred = None
    part = wants_partial(request)
    if not part:
        inferred = designing.infer(request.merchant, of=ours)
    saved = SkuPattern.objects.of(request.merchant).first()
    asked = Asked.of(request.GET, default=_default(saved, inferred, ours))
    context: dict[str, object] = {"asked": asked, "said_by": saved}
    try:
        preview = designing.preview(request.merchant, asked.pattern, numbers=asked.numbers, of=ours)
    except BadPattern as wrong:
        context |= {"wrong": wrong, "wrong_at": _marked(asked.pattern, wrong.position)}
        if part:
            response = render(request, "onboarding/_sku_said.html", context, status=422)
            response["HX-Retarget"], response["HX-Reswap"] = "#pattern-said", "outerHTML"
            return response
    else:
        context |= {"shown": _shown(preview, asked)}
    if part:
        response = render(request, "onboarding/_sku_preview.html", context | {"is_part": True})
        response["HX-Replace-Url"] = f"{request.path}?{asked.query}"
        return response
    context |= {
        "inferred": inferred,
        "fields": _fields(ours, asked),
        "last": renaming.last(request.merchant),
        "rules": designing.rules_of(request.merchant),
        "count": len(ours.things),
    }
    return render(request, "onboarding/skus.html", context, status=422 if "wrong" in context else 200)


def _default(saved: SkuPattern | None, inferred: Inferred | None, ours: Goods) -> str:
    if saved is not None:
        return saved.pattern
    return inferred.pattern if inferred is not None else designing.proposal(ours)


def _marked(pattern: str, position: int) -> tuple[str, str, str]:
    """The pattern before, at and behind the place that is wrong."""
    end = position + 1
    while end < len(pattern) and (pattern[end].isalnum() or pattern[end] == "_"):
        end += 1
    return pattern[:position], pattern[position:end], pattern[end:]


def _fields(ours: Goods, asked: Asked) -> list[tuple[str, str, str]]:
    """Fields to put in: what to write, its name, and the address that appends it."""
    options = {name: f"{{{name}:3}}" if name == "color" else f"{{{name}}}" for name in ours.options}
    offered = FIELDS | dict(list(options.items())[: designing.OPTIONS_OFFERED])
    joint = "" if not asked.pattern or (not asked.pattern[-1].isalnum() and asked.pattern[-1] != "}") else "-"
    return [
        (text, name, "?" + urlencode({"pattern": asked.pattern + joint + text, "numbers": 1}))
        for name, text in offered.items()
    ]


def _shown(preview: Preview, asked: Asked) -> Shown:
    to_do = preview.to_do(left_out=asked.left_out)
    rows = [row for row in preview.rows if _is_wanted(row, asked)]
    pages = max(1, -(-len(rows) // ROWS_A_PAGE))
    page = min(max(asked.page, 1), pages)
    first = (page - 1) * ROWS_A_PAGE
    return Shown(
        rows=rows[first : first + ROWS_A_PAGE],
        tabs=_tabs(preview, asked),
        page=page,
        pages=pages,
        first=first,
        total=len(rows),
        to_do=len(to_do),
        blocked=sum(row.is_blocked for row in preview.rows),
    )


def _is_wanted(row: Row, asked: Asked) -> bool:
    if asked.show == CHANGE:
        return row.is_changed or row.is_blocked
    if asked.show == PROBLEMS:
        return bool(row.problems)
    if asked.show == SAME:
        return not row.is_changed
    if asked.show == OUT:
        return row.variant_id in asked.left_out
    return any(problem.kind == asked.show for problem in row.problems)


def _tabs(preview: Preview, asked: Asked) -> list[Tab]:
    def count(show: str) -> int:
        narrowed = Asked(asked.pattern, asked.numbers, show, 1, asked.left_out)
        return sum(_is_wanted(row, narrowed) for row in preview.rows)

    tabs = [Tab(CHANGE, "Would change", count(CHANGE)), Tab(SAME, "Stay as they are", count(SAME))]
    if asked.left_out or asked.show == OUT:
        tabs.append(Tab(OUT, "Left out by you", count(OUT)))
    if preview.problems or asked.show == PROBLEMS:
        tabs.append(Tab(PROBLEMS, "With something to know", count(PROBLEMS)))
    kinds = {**preview.problems, **({Kind(asked.show): count(asked.show)} if asked.show in set(Kind) else {})}
    return tabs + [Tab(kind, LABELS[kind], kinds[kind], is_problem=True) for kind in Kind if kind in kinds]


@shop_view(roles=MAY_MANAGE)
@require_POST
def apply_skus(request: ShopRequest) -> HttpResponse:
    """Rename what the preview showed; the number typed is how many the person saw."""
    asked = Asked.of(request.POST, default="")
    back = f"{reverse('skus', args=[request.merchant.slug])}?{asked.query}"
    typed = "".join(request.POST.get("confirm", "").split())
    if not (typed.isascii() and typed.isdigit() and len(typed) < 9):
        messages.error(request, "Type how many SKUs will change. Nothing was renamed.")
        return redirect(back)
    try:
        changeset = renaming.apply(
            merchant=request.merchant,
            pattern=asked.pattern,
            actor=request.actor,
            expected=int(typed),
            left_out=asked.left_out,
            numbers=asked.numbers,
        )
    except BadPattern as wrong:
        messages.error(request, wrong.words)
        return redirect(back)
    except renaming.CannotRename as refused:
        messages.error(request, f"{refused} Nothing was renamed.")
        return redirect(back)
    messages.success(request, f"{changeset.title}. The old ones still find their variants.")
    return redirect("skus", shop=request.merchant.slug)


@shop_view(roles=MAY_MANAGE)
@require_POST
def undo_skus(request: ShopRequest) -> HttpResponse:
    """Take a renaming back."""
    named = paging.number(request.POST.get("changeset")) or 0
    try:
        undone = renaming.undo(merchant=request.merchant, changeset_id=named, actor=request.actor)
    except renaming.CannotRename as refused:
        messages.error(request, str(refused))
    else:
        kept = (
            f" {undone.kept + undone.could_not} were edited since and stay." if undone.kept + undone.could_not else ""
        )
        messages.success(request, f"Taken back: the SKUs are what they were.{kept}")
    return redirect("skus", shop=request.merchant.slug)

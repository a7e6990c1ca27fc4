"""Imports: the list, a new one, its columns, its preview, its progress, its way back."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh

from inventory import paging
from inventory.models import Location
from onboarding.forms import ColumnsForm, PlacesOfFileForm, UploadForm
from onboarding.importing import deciding, exporting, showing, undoing, uploads
from onboarding.importing.working import AT_WORK
from onboarding.models import ImportBatch
from storestudio.accounts.access import MAY_MANAGE, ShopRequest, one_of, shop_view, wants_partial

State = ImportBatch.State
BATCHES_A_PAGE = 50


def _batch_of(request: ShopRequest, batch_id: int) -> ImportBatch:
    rows: QuerySet[ImportBatch] = ImportBatch.objects.select_related("connection", "changeset", "created_by")
    return one_of(rows, merchant=request.merchant, pk=batch_id)


def _to_batch(request: ShopRequest, batch: ImportBatch) -> HttpResponse:
    return redirect("import", shop=request.merchant.slug, batch_id=batch.pk)


@shop_view(roles=MAY_MANAGE)
@require_safe
def imports(request: ShopRequest) -> HttpResponse:
    """All imports of the shop, the newest first."""
    rows = ImportBatch.objects.of(request.merchant).select_related("created_by", "connection")
    before = paging.number(request.GET.get("before"))
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-pk")[: BATCHES_A_PAGE + 1])
    lines = [showing.line_of(batch) for batch in found[:BATCHES_A_PAGE]]
    context = {
        "lines": lines,
        "next_url": f"?before={lines[-1].batch.pk}" if len(found) > BATCHES_A_PAGE else "",
        "back_url": request.path if before is not None else "",
        "is_busy": any(line.batch.state in AT_WORK for line in lines),
    }
    part = wants_partial(request)
    return render(request, "onboarding/_import_list.html" if part else "onboarding/imports.html", context)


@shop_view(roles=MAY_MANAGE)
def new_import(request: ShopRequest) -> HttpResponse:
    """Choose a file, or a channel that is connected."""
    is_sent = request.method == "POST"
    form = UploadForm(*((request.POST, request.FILES) if is_sent else ()), merchant=request.merchant)
    if is_sent and form.is_valid():
        try:
            batch = _taken(request, form)
        except (uploads.CannotTake, deciding.NotAllowed) as refused:
            form.add_error(None, str(refused))
        else:
            return _to_batch(request, batch)
    status = 422 if is_sent else 200
    context = {"form": form, "limit_mb": uploads.BYTES_MAX >> 20, "endings": ",".join(uploads.ENDINGS)}
    return render(request, "onboarding/import_new.html", context, status=status)


def _taken(request: ShopRequest, form: UploadForm) -> ImportBatch:
    connection = form.cleaned_data["connection"]
    if connection is not None:
        return deciding.from_channel(merchant=request.merchant, connection=connection, actor=request.actor)
    file = form.cleaned_data["file"]
    return uploads.take(
        merchant=request.merchant,
        actor=request.actor,
        file_name=file.name,
        pieces=file.chunks(uploads.PIECE),
        name=form.cleaned_data["name"],
    )


@shop_view(roles=MAY_MANAGE)
@require_safe
def import_batch(request: ShopRequest, batch_id: int) -> HttpResponse:
    """One import, in whatever state it is: progress, preview, result."""
    batch = _batch_of(request, batch_id)
    if batch.state == State.MAPPING:
        columns = reverse("import_columns", args=[request.merchant.slug, batch.pk])
        # A plain redirect would be followed within the part, and the whole page would end up inside itself.
        return HttpResponseClientRedirect(columns) if wants_partial(request) else redirect(columns)
    if batch.state in AT_WORK:
        context = {"batch": batch, "progress": showing.progress_of(batch)}
        if wants_partial(request):
            return render(request, "onboarding/_import_progress.html", context)
        return render(request, "onboarding/import_progress.html", context)
    if wants_partial(request) and request.GET.get("progress"):
        return HttpResponseClientRefresh()  # it has just come to an end: the whole page shows what of it
    context = _page(request, batch)
    if wants_partial(request):
        return render(request, "onboarding/_import_rows.html", context)
    return render(request, "onboarding/import.html", context)


def _page(request: ShopRequest, batch: ImportBatch) -> dict[str, object]:
    places = {place.pk: place.name for place in Location.objects.of(request.merchant).order_by("name", "pk")}
    context: dict[str, object] = {
        "batch": batch,
        "counts": showing.counts_of(batch),
        "page": showing.page_of(batch, query=request.GET, places=places),
        "earlier": uploads.earlier(batch),
        "can_remap": batch.connection_id is None and batch.chunks.exists(),
    }
    if batch.state == State.STAGED:
        context |= {
            "guard": deciding.stock_guard(batch),
            "word": deciding.WORD,
            "rehearsal": showing.rehearsal_of(batch),
            "places_form": PlacesOfFileForm(batch=batch) if showing.has_stock(batch) else None,
        }
    if batch.state == State.UNDONE:
        context |= {"buckets": undoing.buckets(batch), "loose_ends": undoing.loose_ends(batch)}
    return context


@shop_view(roles=MAY_MANAGE)
def import_columns(request: ShopRequest, batch_id: int) -> HttpResponse:
    """Say what each column of the file is; guesses are filled in, with how sure they are."""
    batch = _batch_of(request, batch_id)
    if batch.state not in (State.MAPPING, State.STAGED, State.FAILED) or not batch.chunks.exists():
        return _to_batch(request, batch)
    form = ColumnsForm(*([request.POST] if request.method == "POST" else []), batch=batch)
    if request.method == "POST" and form.is_valid():
        try:
            deciding.name_columns(batch_id=batch.pk, columns=form.columns(), actor=request.actor)
        except deciding.NotAllowed as refused:
            form.add_error(None, str(refused))
        else:
            return _to_batch(request, batch)
    status = 422 if request.method == "POST" else 200
    return render(request, "onboarding/import_columns.html", {"batch": batch, "form": form}, status=status)


@shop_view(roles=MAY_MANAGE)
@require_POST
def approve_import(request: ShopRequest, batch_id: int) -> HttpResponse:
    """Yes to the preview, or carry on where it was stopped."""
    batch = _batch_of(request, batch_id)
    try:
        deciding.approve(batch_id=batch.pk, actor=request.actor, word=request.POST.get("confirm", ""))
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    return _to_batch(request, batch)


@shop_view(roles=MAY_MANAGE)
@require_POST
def cancel_import(request: ShopRequest, batch_id: int) -> HttpResponse:
    """Stop; what was applied stays until somebody undoes it."""
    batch = _batch_of(request, batch_id)
    try:
        deciding.cancel(batch_id=batch.pk, actor=request.actor)
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    return _to_batch(request, batch)


@shop_view(roles=MAY_MANAGE)
def undo_import(request: ShopRequest, batch_id: int) -> HttpResponse:
    """Ask once, then take the batch back."""
    batch = _batch_of(request, batch_id)
    if request.method != "POST":
        if batch.changeset is None or batch.state not in (State.APPLIED, State.CANCELLED):
            return _to_batch(request, batch)
        context = {"batch": batch, "changes": showing.changes_of(batch)}
        return render(request, "onboarding/import_undo.html", context)
    try:
        deciding.undo(batch_id=batch.pk, actor=request.actor)
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    return _to_batch(request, batch)


@shop_view(roles=MAY_MANAGE)
@require_POST
def look_again_import(request: ShopRequest, batch_id: int) -> HttpResponse:
    """Make the preview anew: from the staged rows, or from the file where it was not read to its end."""
    batch = _batch_of(request, batch_id)
    try:
        if batch.state == State.STAGED:
            deciding.look_again(batch_id=batch.pk)
        else:
            deciding.read_again(batch_id=batch.pk)
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    return _to_batch(request, batch)


@shop_view(roles=MAY_MANAGE)
@require_POST
def set_import_counts(request: ShopRequest, batch_id: int) -> HttpResponse:
    """Say whether the file's stock is to be set, and at which places of ours."""
    batch = _batch_of(request, batch_id)
    form = PlacesOfFileForm(request.POST, batch=batch)
    if not form.is_valid():
        messages.error(request, " ".join(str(words) for errors in form.errors.values() for words in errors))
        return _to_batch(request, batch)
    try:
        deciding.set_counts(
            batch_id=batch.pk, locations=form.locations(), sets_counts=form.sets_counts(), actor=request.actor
        )
    except deciding.NotAllowed as refused:
        messages.error(request, str(refused))
    return _to_batch(request, batch)


@shop_view(roles=MAY_MANAGE)
@require_safe
def import_errors(request: ShopRequest, batch_id: int) -> StreamingHttpResponse:
    """The rows in error as they came, with what is wrong beside each: to be mended and sent again."""
    batch = _batch_of(request, batch_id)
    response = StreamingHttpResponse(exporting.errors_csv(batch), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="import-{batch.pk}-errors.csv"'
    return response

"""A worker may die at any point: the next one takes up what is left, and the end is the same."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DataError
from django.utils.timezone import now as utc_now

from inventory.models import Product, Variant
from onboarding import journal, tasks
from onboarding.importing import applying, deciding, settling, staging, uploads, waking, working
from onboarding.models import Change, ImportBatch, StagedRow
from tests import factories
from tests.onboarding.imports_shop import COLUMNS, actions, applied, frozen, rows_of, run, staged, table, undone, upload

pytestmark = pytest.mark.django_db
ROWS = [
    {
        "Title": f"Shirt {n // 3}",
        "SKU": f"SH-{n}",
        "Price": "9",
        "Option 1 name": "Size",
        "Option 1 value": "SML"[n % 3],
        "Product group": f"shirt-{n // 3}",
    }
    for n in range(30)
]
STATE = ImportBatch.State


class Killed(BaseException):
    """What no code catches: the process is gone."""


@pytest.fixture
def shop():
    return factories.MerchantFactory()


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(staging, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(applying, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(journal, "UNDONE_AT_ONCE", 7)


def dying(monkeypatch, module, name, *, after):
    """Let the function work `after` times, then kill its process, once."""
    real, calls = getattr(module, name), []

    def killed(*args, **kwargs):
        calls.append(1)
        if len(calls) == after + 1:
            raise Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(module, name, killed)


def let_lease_run_out(batch):
    assert not working.work(batch_id=batch.pk), "the dead worker's lease still holds"
    ImportBatch.objects.filter(pk=batch.pk).update(lease_until=utc_now() - timedelta(seconds=1))
    assert batch.pk in working.due()


def goods(shop):
    """The catalog without keys and times."""
    rows = Variant.objects.filter(merchant=shop).order_by("sku_key")
    return [(v.sku, v.title, v.price, v.product.title, v.product.variants.count()) for v in rows]


PLACES = [
    (staging, "stage", 0),
    (staging, "stage", 2),
    (settling, "settle", 0),
    (applying, "rehearse", 2),
    (applying, "apply_rows", 6),
    (applying, "apply_rows", 8),
    (applying, "_mark", 7),
    (working, "_end", 2),
]


@pytest.mark.parametrize(("module", "name", "after"), PLACES)
def test_a_killed_worker_is_taken_up_where_it_stopped(shop, monkeypatch, module, name, after):
    twin = factories.MerchantFactory()
    applied(twin, table(ROWS))
    dying(monkeypatch, module, name, after=after)
    died = False
    batch = upload(shop, table(ROWS))
    for _ in range(8):
        try:
            run(batch)
        except Killed:
            died = True
            let_lease_run_out(batch)
            continue
        if batch.state == STATE.MAPPING:
            deciding.name_columns(batch_id=batch.pk, columns=COLUMNS, actor=None)
        elif batch.state == STATE.STAGED:
            deciding.approve(batch_id=batch.pk, actor=None)
        else:
            break
    assert died
    assert batch.state == STATE.APPLIED
    assert goods(shop) == goods(twin)
    assert Product.objects.filter(merchant=shop).count() == 10
    assert Change.objects.filter(changeset=batch.changeset, table="variant").count() == 30


@pytest.mark.parametrize("after", [0, 2, 5])
def test_a_worker_killed_while_undoing_is_taken_up(shop, monkeypatch, after):
    before = frozen(shop)
    batch = applied(shop, table(ROWS))
    dying(monkeypatch, journal, "_store", after=after)
    with pytest.raises(Killed):
        undone(batch)
    let_lease_run_out(batch)
    run(batch)
    assert batch.state == STATE.UNDONE
    assert frozen(shop) == before
    assert {row.undo for row in rows_of(batch).values()} == {Change.Undo.REVERSED}


def test_control_without_the_mark_a_taken_up_batch_does_its_rows_twice(shop, monkeypatch):
    """Marks and rows are written in one transaction: without the mark, the next worker meets the rows again."""
    batch = staged(shop, table(ROWS[:3]))
    deciding.approve(batch_id=batch.pk, actor=None)
    batch.refresh_from_db()
    monkeypatch.setattr(applying, "_mark", lambda rows, left: None)
    applying.apply_next(batch)
    assert applying.apply_next(batch) == 3


def test_two_workers_never_have_one_batch(shop):
    batch = staged(shop, table(ROWS))
    deciding.approve(batch_id=batch.pk, actor=None)
    ImportBatch.objects.filter(pk=batch.pk).update(lease_until=utc_now() + timedelta(seconds=30))
    assert not working.work(batch_id=batch.pk)
    assert batch.pk not in working.due()
    assert not Variant.objects.filter(merchant=shop).exists()
    ImportBatch.objects.filter(pk=batch.pk).update(lease_until=None)
    assert run(batch).state == STATE.APPLIED  # control


def test_a_slice_ends_and_the_next_one_goes_on(shop):
    batch = staged(shop, table(ROWS))
    deciding.approve(batch_id=batch.pk, actor=None)
    assert working.work(batch_id=batch.pk, slice_s=0)
    assert Variant.objects.filter(merchant=shop).count() == 7
    batch.refresh_from_db()
    assert (batch.rows_done, batch.work_total) == (7, 30)
    assert run(batch).state == STATE.APPLIED


def test_a_word_stops_it_between_two_chunks_and_it_can_carry_on_or_be_undone(shop):
    batch = staged(shop, table(ROWS))
    deciding.approve(batch_id=batch.pk, actor=None)
    working.work(batch_id=batch.pk, slice_s=0)
    deciding.cancel(batch_id=batch.pk, actor=None)
    assert run(batch).state == STATE.CANCELLED
    assert Variant.objects.filter(merchant=shop).count() == 7
    deciding.approve(batch_id=batch.pk, actor=None)
    assert run(batch).state == STATE.APPLIED
    assert Variant.objects.filter(merchant=shop).count() == 30
    undone(batch)
    assert not Variant.objects.filter(merchant=shop).exists()


def test_what_was_stopped_half_way_is_undone_half(shop):
    before = frozen(shop)
    batch = staged(shop, table(ROWS))
    deciding.approve(batch_id=batch.pk, actor=None)
    working.work(batch_id=batch.pk, slice_s=0)
    deciding.cancel(batch_id=batch.pk, actor=None)
    assert undone(run(batch)).state == STATE.UNDONE
    assert frozen(shop) == before


def test_reading_is_stopped_and_read_again(shop):
    batch = upload(shop, table(ROWS))
    batch.columns = {"Title": "product_title", "SKU": "sku"}
    batch.save()
    working.work(batch_id=batch.pk, slice_s=0)
    deciding.cancel(batch_id=batch.pk, actor=None)
    assert run(batch).state == STATE.CANCELLED
    with pytest.raises(deciding.NotAllowed):
        deciding.approve(batch_id=batch.pk, actor=None)
    deciding.read_again(batch_id=batch.pk)
    assert run(batch).state == STATE.STAGED
    assert batch.rows_total == 30


def test_a_row_that_the_database_refuses_is_set_aside_and_the_others_go_in(shop, monkeypatch):
    batch = staged(shop, table(ROWS))
    real = applying.apply_rows

    def refusing(*, rows, **said):
        if any(row.fields["sku"] == "SH-11" for row in rows):
            raise DataError("value out of range")
        return real(rows=rows, **said)

    monkeypatch.setattr(applying, "apply_rows", refusing)
    deciding.approve(batch_id=batch.pk, actor=None)
    assert run(batch).state == STATE.APPLIED
    assert Variant.objects.filter(merchant=shop).count() == 29
    (row,) = StagedRow.objects.filter(batch=batch, action=StagedRow.Action.ERROR)
    assert "value out of range" in row.problems[-1]["words"]


def test_the_file_is_let_go_once_it_is_applied_and_when_nobody_decides_for_a_month(shop):
    waiting = staged(shop, table(ROWS))
    assert not applied(shop, table([ROWS[0]])).chunks.exists()
    assert working.purge() == 0
    ImportBatch.objects.filter(pk=waiting.pk).update(changed_at=utc_now() - timedelta(days=31))
    assert working.purge() == 1
    assert set(actions(waiting).values()) == {"new"}


def test_a_file_in_pieces_reads_as_one(shop, monkeypatch):
    monkeypatch.setattr(uploads, "PIECE", 16)
    body = bytes(range(256)) * 3
    batch = uploads.take(merchant=shop, actor=None, file_name="a.csv", pieces=[body[:100], body[100:101], body[101:]])
    assert batch.chunks.count() == 48
    with uploads.opened(batch) as stream:
        assert stream.read() == body
        stream.seek(-5, 2)
        assert stream.read() == body[-5:]
        stream.seek(31)
        assert stream.read(3) == body[31:34]
        stream.seek(10_000)
        assert stream.read() == b""


def test_what_fails_again_and_again_is_given_up_with_its_reason_and_can_be_carried_on(shop, monkeypatch):
    batch = staged(shop, table(ROWS))
    deciding.approve(batch_id=batch.pk, actor=None)
    working.work(batch_id=batch.pk, slice_s=0)

    def broken(**_):
        raise ValueError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(applying, "apply_rows", broken)
        for tries in range(1, working.TRIES_MAX + 1):
            ImportBatch.objects.filter(pk=batch.pk).update(lease_until=None)
            with pytest.raises(ValueError, match="disk"):
                working.work(batch_id=batch.pk)
            batch.refresh_from_db()
            assert "the disk is full" in batch.error
            if tries < working.TRIES_MAX:
                assert (batch.state, batch.tries) == (STATE.APPLYING, tries)
                assert not working.work(batch_id=batch.pk), "it waits longer each time"
    assert batch.state == STATE.CANCELLED
    deciding.approve(batch_id=batch.pk, actor=None)
    batch = run(batch)
    assert (batch.state, batch.error) == (STATE.APPLIED, "")
    assert Variant.objects.filter(merchant=shop).count() == 30


def test_a_lost_message_is_made_up_for_by_the_sweep(shop, monkeypatch):
    sent = []
    monkeypatch.setattr(waking, "send", sent.append)
    batch = upload(shop, table(ROWS))
    tasks.sweep_imports()
    assert sent == [batch.pk]
    tasks.work_on_import(batch_id=batch.pk)
    batch.refresh_from_db()
    assert batch.state == STATE.MAPPING
    sent.clear()
    tasks.sweep_imports()
    assert not sent


def test_a_slice_that_leaves_work_asks_for_the_next_one(shop, monkeypatch):
    sent = []
    monkeypatch.setattr(waking, "send", sent.append)
    batch = staged(shop, table(ROWS))
    deciding.approve(batch_id=batch.pk, actor=None)
    monkeypatch.setattr(working.work, "__kwdefaults__", {"slice_s": 0.0})
    tasks.work_on_import(batch_id=batch.pk)
    assert sent == [batch.pk]
    assert run(batch).state == STATE.APPLIED
    tasks.work_on_import(batch_id=batch.pk)
    assert sent == [batch.pk]

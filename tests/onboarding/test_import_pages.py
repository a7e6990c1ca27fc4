"""The import pages: a file in, its columns, its preview, a yes, its way back; for those who may manage."""

from __future__ import annotations

import csv
import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from inventory.models import Variant
from onboarding.importing import uploads
from onboarding.models import ColumnMapping, ImportBatch, ImportChunk
from tests import factories
from tests.onboarding.imports_shop import COLUMNS, HEADERS, applied, run, staged, table, undone

pytestmark = pytest.mark.django_db
MUG = {"Title": "Mug", "SKU": "MUG-1", "Barcode": "4006381333931", "Price": "12.50"}
PLATE = {"Title": "=Plate", "SKU": "PLT-1", "Price": "none of it"}


@pytest.fixture
def member(client):
    membership = factories.MembershipFactory(role="onboarding")
    client.force_login(membership.user)
    return membership


def at(name, member, *more):
    return reverse(name, args=[member.merchant.slug, *more])


def send(client, member, body, name="goods.csv"):
    return client.post(at("new_import", member), {"file": SimpleUploadedFile(name, body)})


def test_a_file_goes_all_the_way_and_back(client, member):
    assert "Nothing imported yet" in client.get(at("imports", member)).content.decode()
    answer = send(client, member, table([MUG, PLATE]))
    batch = ImportBatch.objects.get()
    assert answer["Location"] == at("import", member, batch.pk)
    assert "Reading" in client.get(answer["Location"]).content.decode() or run(batch)
    run(batch)
    page = client.get(answer["Location"], follow=True).content.decode()
    assert "What are its columns?" in page
    places = {f"column-{place}": COLUMNS[header] for place, header in enumerate(HEADERS)}
    assert client.post(at("import_columns", member, batch.pk), places).status_code == 302
    assert run(batch).state == ImportBatch.State.STAGED
    page = client.get(at("import", member, batch.pk)).content.decode()
    assert "MUG-1" in page
    assert "1 variant is made; 1 in error is left out." in page
    assert "Row 3, Price" in client.get(at("import", member, batch.pk) + "?show=error").content.decode()
    client.post(at("approve_import", member, batch.pk))
    assert run(batch).state == ImportBatch.State.APPLIED
    assert Variant.objects.get().sku == "MUG-1"
    assert "Applied" in client.get(at("import", member, batch.pk)).content.decode()
    assert "Take this import back?" in client.get(at("undo_import", member, batch.pk)).content.decode()
    client.post(at("undo_import", member, batch.pk))
    assert run(batch).state == ImportBatch.State.UNDONE
    assert not Variant.objects.exists()
    assert "it had changed nothing" in client.get(at("import", member, batch.pk)).content.decode().lower()
    assert "goods.csv" in client.get(at("imports", member)).content.decode()


def test_what_a_column_is_is_remembered_for_the_shop_alone(client, member):
    strange = {"Zzqx": "Mug", "Blorp": "MUG-1"}
    batch = run(uploads.take(
        merchant=member.merchant, actor=member.user, file_name="a.csv", pieces=[table([strange], headers=list(strange))]
    ))  # fmt: skip
    client.post(at("import_columns", member, batch.pk), {"column-0": "product_title", "column-1": "sku"})
    assert run(batch).state == ImportBatch.State.STAGED, batch.error
    assert ColumnMapping.objects.get().merchant == member.merchant
    again = run(uploads.take(
        merchant=member.merchant, actor=member.user, file_name="b.csv", pieces=[table([strange], headers=list(strange))]
    ))  # fmt: skip
    assert "As you named it last time" in client.get(at("import_columns", member, again.pk)).content.decode()
    other = run(uploads.take(
        merchant=factories.MerchantFactory(), actor=None, file_name="c.csv",
        pieces=[table([strange], headers=list(strange))],
    ))  # fmt: skip
    client.force_login(factories.MembershipFactory(merchant=other.merchant).user)
    page = client.get(reverse("import_columns", args=[other.merchant.slug, other.pk])).content.decode()
    assert "As you named it last time" not in page


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [("goods.pdf", b"x", "no CSV or XLSX"), ("goods.csv", b"", "0 bytes")],
)
def test_what_cannot_be_taken_is_refused_in_words_and_nothing_is_kept(client, member, name, body, words):
    answer = send(client, member, body, name)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not ImportBatch.objects.exists()


def test_a_file_that_is_too_large_is_refused_and_nothing_is_kept(client, member, monkeypatch):
    monkeypatch.setattr(uploads, "BYTES_MAX", 1 << 20)
    answer = send(client, member, b"x" * ((1 << 20) + 1))
    assert "larger than 1 MB" in answer.content.decode()
    assert not ImportChunk.objects.exists()
    assert send(client, member, b"x" * (1 << 20)).status_code == 302  # control


def test_no_file_at_all_is_asked_for(client, member):
    assert "Choose a file first" in client.post(at("new_import", member), {}).content.decode()


def test_a_file_that_is_no_table_says_so_on_its_page(client, member):
    batch = run(uploads.take(merchant=member.merchant, actor=None, file_name="a.csv", pieces=[b"%PDF-1.7 whatever"]))
    assert batch.state == ImportBatch.State.FAILED
    assert "This is a PDF" in client.get(at("import", member, batch.pk)).content.decode()


def test_rows_in_error_come_as_csv_that_no_spreadsheet_runs(client, member):
    batch = staged(member.merchant, table([MUG, PLATE]))
    text = b"".join(client.get(at("import_errors", member, batch.pk)).streaming_content).decode("utf-8-sig")
    header, row = csv.reader(io.StringIO(text))
    assert header[:3] == ["Row", "What is wrong", "Title"]
    assert row[0] == "3"
    assert row[1].startswith("Row 3, Price:")
    assert row[2] == "'=Plate"


def test_rows_are_paged_and_searched(client, member):
    batch = staged(member.merchant, table([{"Title": f"Mug {n}", "SKU": f"MUG-{n:03}"} for n in range(120)]))
    page = client.get(at("import", member, batch.pk) + "?show=new").content.decode()
    assert "MUG-049" in page
    assert "MUG-050" not in page
    assert "MUG-050" in client.get(at("import", member, batch.pk) + "?show=new&after=51").content.decode()
    found = client.get(at("import", member, batch.pk) + "?show=new&q=mug-117").content.decode()
    assert "MUG-117" in found
    assert "MUG-116" not in found


def test_progress_is_polled_and_ends_in_a_fresh_page(client, member):
    batch = staged(member.merchant, table([MUG]))
    there = at("import", member, batch.pk) + "?progress=1"
    assert client.get(there, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    ImportBatch.objects.filter(pk=batch.pk).update(state="applying", phase="apply", rows_done=5, work_total=10)
    part = client.get(there, headers={"HX-Request": "true"}).content.decode()
    assert "50 %" in part
    assert "<html" not in part


def test_progress_that_ends_in_a_question_leads_the_whole_page_there(client, member):
    batch = staged(member.merchant, table([MUG]))
    ImportBatch.objects.filter(pk=batch.pk).update(state="mapping")
    there, columns = at("import", member, batch.pk), at("import_columns", member, batch.pk)

    assert client.get(there + "?progress=1", headers={"HX-Request": "true"}).headers["HX-Redirect"] == columns
    assert client.get(there).url == columns


def test_a_yes_that_is_not_asked_for_says_so(client, member):
    batch = applied(member.merchant, table([MUG]))
    page = client.post(at("approve_import", member, batch.pk), follow=True).content.decode()
    assert "It is not waiting for a yes." in page
    undone(batch)
    assert "can be undone" in client.post(at("undo_import", member, batch.pk), follow=True).content.decode()


def test_associates_do_not_import(client):
    membership = factories.MembershipFactory(role="associate")
    client.force_login(membership.user)
    assert client.get(at("imports", membership)).status_code == 403
    assert client.post(at("new_import", membership), {}).status_code == 403


def test_a_list_of_many_imports_takes_few_queries(client, member, django_assert_max_num_queries):
    factories.ImportBatchFactory.create_batch(30, merchant=member.merchant)
    client.get(at("imports", member))
    with django_assert_max_num_queries(14):
        client.get(at("imports", member))

"""The write-back pages: compare, look, leave out, say yes with the word, watch, put back."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils.timezone import now as utc_now

from onboarding.models import CatalogWrite, CatalogWriteLine
from onboarding.writeback import deciding
from storestudio.accounts.models import AuditEntry, Membership
from tests import factories

pytestmark = pytest.mark.django_db
State, Outcome = CatalogWrite.State, CatalogWriteLine.Outcome


@pytest.fixture
def merchant():
    return factories.MerchantFactory(slug="shop")


@pytest.fixture
def connection(merchant):
    return factories.ConnectionFactory(merchant=merchant, channel="shopify", label="Web", is_live=True)


@pytest.fixture
def page(client, merchant):
    """Signed in as a manager; page(name, id) opens, page.post(name, id, …) sends."""
    client.force_login(factories.MembershipFactory(merchant=merchant, role=Membership.Role.MANAGER).user)
    return client


def url(name, **kwargs):
    return reverse(name, kwargs={"shop": "shop", **kwargs})


def drafted(page, connection, count=2):
    for number in range(count):
        variant = factories.VariantFactory(merchant=connection.merchant, sku=f"NEW-{number}")
        factories.ListingFactory(
            connection=connection, variant=variant, sku=f"old {number}", is_tracked=number != 0, sells_past_zero=False
        )
    answer = page.post(url("draft_write_back"), {"connection": connection.pk})
    write = CatalogWrite.objects.get()
    assert answer["Location"] == url("write_back", write_id=write.pk)
    return write


def test_a_shop_without_channels_is_told_what_to_do(page):
    assert "No channel to write to" in page.get(url("write_backs")).content.decode()


def test_a_draft_shows_each_field_now_and_after_with_what_to_look_at(page, connection):
    write = drafted(page, connection)

    text = page.get(url("write_back", write_id=write.pk)).content.decode()

    for words in ("<del>old 0</del>", "<ins>NEW-0</ins>", "<del>Not counted</del>", "May show sold out",
                  "What would change at Web", "Waiting for a yes"):  # fmt: skip
        assert words in text
    assert "<ins>NEW-1</ins>" not in page.get(url("write_back", write_id=write.pk) + "?show=look").content.decode()


def test_where_nothing_differs_the_page_says_so(page, connection):
    answer = page.post(url("draft_write_back"), {"connection": connection.pk}, follow=True)

    assert "shows the cleaned fields already" in answer.content.decode()


def test_a_line_is_left_out_and_taken_in_again(page, connection):
    write = drafted(page, connection)
    line = write.lines.first()

    page.post(url("exclude_write_back", write_id=write.pk), {"line": line.pk, "take": "out"})
    assert deciding.included(write).count() == 1
    assert "Take in" in page.get(url("write_back", write_id=write.pk) + "?show=out").content.decode()
    page.post(url("exclude_write_back", write_id=write.pk), {"line": line.pk, "take": "in"})
    assert deciding.included(write).count() == 2


def test_a_yes_takes_the_word_and_shows_the_progress(page, connection):
    write = drafted(page, connection)
    send = url("approve_write_back", write_id=write.pk)

    page.post(send, {"confirm": "", "digest": deciding.digest(write)})
    write.refresh_from_db()
    assert write.state == State.DRAFT  # control: without the word

    answer = page.post(send, {"confirm": "approve", "digest": deciding.digest(write)}, follow=True)
    write.refresh_from_db()
    assert write.state == State.SENDING
    assert "0</b> of 2 listings" in answer.content.decode()
    assert AuditEntry.objects.filter(action="writeback.approved").exists()


def test_the_progress_turns_into_the_outcome_by_itself(page, connection):
    write = drafted(page, connection)
    CatalogWrite.objects.update(state=State.SENDING, approved_at=utc_now())
    asked = url("write_back", write_id=write.pk) + "?progress=1"

    assert b'id="progress"' in page.get(asked, headers={"HX-Request": "true"}).content
    CatalogWrite.objects.update(state=State.DONE, finished_at=utc_now())
    assert page.get(asked, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_what_holds_it_up_is_said(page, connection):
    write = drafted(page, connection)
    CatalogWrite.objects.update(state=State.SENDING, approved_at=utc_now())
    connection.state = "reconnect"
    connection.save()

    assert "reconnect it first" in page.get(url("write_back", write_id=write.pk)).content.decode()


def test_the_outcome_shows_what_is_there_instead_and_offers_the_way_back(page, connection):
    write = drafted(page, connection)
    applied, stale = write.lines.order_by("pk")
    CatalogWriteLine.objects.filter(pk=applied.pk).update(outcome=Outcome.APPLIED, own={"id": "x"})
    CatalogWriteLine.objects.filter(pk=stale.pk).update(outcome=Outcome.STALE, there={"sku": "BY-HAND"})
    CatalogWrite.objects.update(state=State.DONE, finished_at=utc_now(), approved_at=utc_now())

    text = page.get(url("write_back", write_id=write.pk)).content.decode()
    assert "there now: <b>BY-HAND</b>" in text
    answer = page.post(url("undo_write_back", write_id=write.pk), follow=True)

    assert "What would be put back at Web" in answer.content.decode()
    assert "<ins>old 0</ins>" in answer.content.decode()
    assert CatalogWrite.objects.get(undoes=write).state == State.DRAFT


def test_many_lines_take_no_more_statements_than_few(page, connection, django_assert_max_num_queries):
    write = drafted(page, connection, count=60)

    with django_assert_max_num_queries(30):
        page.get(url("write_back", write_id=write.pk))


def test_another_shops_channel_cannot_be_drafted(page, connection):
    other = factories.ConnectionFactory(channel="shopify")

    page.post(url("draft_write_back"), {"connection": other.pk})

    assert not CatalogWrite.objects.exists()


def test_an_associate_may_not_look_or_send(client, merchant, connection):
    client.force_login(factories.MembershipFactory(merchant=merchant, role=Membership.Role.ASSOCIATE).user)

    assert client.get(url("write_backs")).status_code == 403
    assert client.post(url("draft_write_back"), {"connection": connection.pk}).status_code == 403

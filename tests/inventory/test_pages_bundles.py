"""What variants are made of, as people define and see it; in the stock list a bundle is what its parts make up."""

import csv
import io
import re
import uuid
from decimal import Decimal

import pytest

from inventory import bundles, queries, verify
from inventory.bundles import Part
from inventory.models import Bundle, StockMovement
from storestudio.accounts.models import Membership
from tests import factories
from tests.inventory.pages_shop import Shop
from tests.inventory.test_pages_changes import hidden_fields
from tests.inventory.test_pages_stock import row_of, show, titles
from tests.inventory.test_pages_variant import text

pytestmark = pytest.mark.django_db


class GoodsShop(Shop):
    """Seven cups and nine saucers on the High Street, two cups in the store; a set of one cup and two saucers."""

    def __post_init__(self):
        super().__post_init__()
        self.cup = self.stock("Cup", units=7, sku="CUP-1", title="")
        self.saucer = self.stock("Saucer", units=9, sku="SAU-1", title="")
        self.post(self.cup, units=2, place=1)
        product = factories.ProductFactory(merchant=self.merchant, title="Set")
        self.set = factories.VariantFactory(merchant=self.merchant, product=product, sku="SET-1", title="")

    def make(self, *, is_stocked=False):
        parts = [Part(self.cup.pk, Decimal(1)), Part(self.saucer.pk, Decimal(2))]
        return bundles.define(variant=self.set, parts=parts, is_stocked=is_stocked, actor=None)


@pytest.fixture
def shop(client):
    made = GoodsShop()
    client.force_login(made.user)
    return made


def form(*lines, kind="bundle", step="preview"):
    typed = {f"v{variant.pk}-quantity": units for variant, units in lines}
    return {"kind": kind, "step": step, "variant": [variant.pk for variant, _ in lines], **typed}


def confirmed(page):
    """What the page of the yes would send, with its repeated field."""
    chosen = re.findall(r'name="variant" value="(\d+)"', page.content.decode())
    return hidden_fields(page) | {"variant": chosen, "step": "post"}


def test_a_bundle_is_searched_together_looked_at_and_made(client, shop):
    there = shop.url("bundle", shop.set.pk)
    searched = client.post(there, {"step": "add", "code": "sauc", "kind": "bundle"})
    assert f'value="take:{shop.saucer.pk}"' in searched.content.decode()
    taken = client.post(there, {"step": f"take:{shop.saucer.pk}", "kind": "bundle"})
    assert "Saucer: 1" in text(taken)
    look = client.post(there, form((shop.cup, "1"), (shop.saucer, "2")))
    assert "makes up 4 from what is there" in text(look)
    assert "High Street 4 Saucer Store 0 Saucer" in text(look)
    assert not Bundle.objects.exists()
    page = client.post(there, confirmed(look), follow=True)
    assert "From now on this is a bundle of 2 parts." in text(page)
    assert "Makes up 4" in text(page)
    assert "High Street 4 Saucer Store 0 Saucer" in text(page)
    assert "Set 2 in each" in text(client.get(shop.url("variant", shop.saucer.pk)))
    assert bundles.current(variant=shop.set).parts == [Part(shop.cup.pk, 1), Part(shop.saucer.pk, 2)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "Add at least one part"),
        ([("cup", "0")], "Type how many"),
        ([("cup", "0.5")], "whole units"),
        ([("set", "1")], "cannot be a part of itself"),
    ],
)
def test_what_cannot_be_is_refused_in_words(client, shop, lines, words):
    answer = client.post(shop.url("bundle", shop.set.pk), form(*((getattr(shop, name), n) for name, n in lines)))
    assert (answer.status_code, words in text(answer)) == (422, True)
    assert not Bundle.objects.exists()


def test_what_has_stock_of_its_own_can_be_a_pack_and_no_bundle(client, shop):
    shop.post(shop.set, units=3)
    there = shop.url("bundle", shop.set.pk)
    answer = client.post(there, form((shop.cup, "1")))
    assert (answer.status_code, "Book its units out first" in text(answer)) == (422, True)
    look = client.post(there, form((shop.cup, "1"), kind="pack"))
    assert "the parts could make up 9 more" in text(look)
    client.post(there, confirmed(look))
    assert Bundle.objects.get().is_stocked
    assert "What a pack is made of" in text(client.get(shop.url("variant", shop.set.pk)))


def test_ending_is_asked_first(client, shop):
    shop.make()
    there = shop.url("bundle_end", shop.set.pk)
    assert "End the bundle?" in text(client.post(there))
    assert bundles.current(variant=shop.set) is not None
    assert "Ended. What was sold" in text(client.post(there, {"step": "post"}, follow=True))
    assert bundles.current(variant=shop.set) is None
    assert "It had been ended already" in text(client.post(there, {"step": "post"}, follow=True))


def packed(shop, **typed):
    return {
        "key": str(uuid.uuid4()), "location": shop.places[0].pk, "how": "make", "quantity": "2", "step": "preview",
    } | typed  # fmt: skip


def test_packs_are_made_up_and_taken_apart_once(client, shop):
    shop.make(is_stocked=True)
    there = shop.url("pack", shop.set.pk)
    look = client.post(there, packed(shop))
    assert "9 → becomes 5" in text(look)
    assert not StockMovement.objects.filter(kind="pack").exists()
    for _ in range(2):
        page = client.post(there, hidden_fields(look) | {"step": "post"}, follow=True)
    assert "Nothing changed twice" in text(page)
    assert [shop.level(one).on_hand for one in (shop.set, shop.cup, shop.saucer)] == [2, 5, 5]
    client.post(there, packed(shop, how="apart", quantity="1", step="post"))
    assert [shop.level(one).on_hand for one in (shop.set, shop.cup, shop.saucer)] == [1, 6, 7]
    assert verify.verify().breaches == []


@pytest.mark.parametrize(("typed", "words"), [("0", "Type how many"), ("−2", "Type how many"), ("1.5", "whole units")])
def test_a_wrong_number_of_packs_is_said_where_it_stands(client, shop, typed, words):
    shop.make(is_stocked=True)
    answer = client.post(shop.url("pack", shop.set.pk), packed(shop, quantity=typed, step="post"))
    assert (answer.status_code, words in text(answer)) == (422, True)
    assert not StockMovement.objects.filter(kind="pack").exists()


def test_more_packs_than_there_are_parts_for_are_warned_of(client, shop):
    shop.make(is_stocked=True)
    look = text(client.post(shop.url("pack", shop.set.pk), packed(shop, quantity="5")))
    assert "Saucer: High Street does not have that many" in look
    assert "Cup: High Street does not have" not in look


def test_what_is_no_pack_cannot_be_packed(client, shop):
    shop.make()
    assert "This is not a pack" in text(client.get(shop.url("pack", shop.set.pk), follow=True))


def test_in_the_stock_list_a_bundle_has_the_number_its_parts_make_up(client, shop):
    shop.make()
    row = row_of(show(client, shop), "Set")
    assert "Makes up 4" in row
    assert "4 available made up of parts" in row
    assert "Out of stock" not in row
    assert titles(show(client, shop, sort="available")) == ["Set", "Cup", "Saucer"]
    assert titles(show(client, shop, show="out")) == []
    shop.order(shop.saucer, fulfilled=8)
    assert "Makes up none" in row_of(show(client, shop), "Set")
    assert titles(show(client, shop, show="out")) == ["Set"]
    assert queries.counts(merchant=shop.merchant, narrowed=queries.StockFilter(), shows=["out"]) == {"out": 1}


def test_a_bundle_is_sorted_and_filtered_by_place(client, shop):
    shop.make()
    shop.post(shop.saucer, units=2, place=1)
    store = shop.places[1].pk
    assert titles(show(client, shop, location=store, sort="-available")) == ["Saucer", "Cup", "Set"]
    assert titles(show(client, shop, location=store, show="out")) == []
    shop.order(shop.cup, fulfilled=7)
    assert titles(show(client, shop, location=shop.places[0].pk, show="out")) == ["Cup", "Set"]


def test_control_without_its_parts_a_bundle_would_be_out_and_first(client, shop, monkeypatch):
    shop.make()
    monkeypatch.setattr(queries, "_made_of", lambda merchant, narrowed: {})
    assert titles(show(client, shop, show="out")) == ["Set"]


def test_an_oversold_part_makes_no_bundle_oversold(client, shop):
    shop.make()
    shop.order(shop.saucer, fulfilled=12)
    row = row_of(show(client, shop), "Set")
    assert "Makes up none" in row
    assert "Oversold" not in row


def test_the_export_says_what_a_bundle_makes_up(client, shop):
    shop.make()
    answer = client.get(shop.url("stock_export"))
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    found = {(row["SKU"], row["Location"]): (row["On hand"], row["Available"]) for row in rows}
    assert found["SET-1", "High Street"] == ("", "4")
    assert found["CUP-1", "High Street"] == ("7", "7")


def test_only_who_may_manage_defines(client, shop):
    shop.make()
    client.force_login(factories.MembershipFactory(merchant=shop.merchant, role=Membership.Role.ASSOCIATE).user)
    page = client.get(shop.url("variant", shop.set.pk))
    assert "Makes up 4" in text(page)
    assert shop.url("bundle", shop.set.pk) not in page.content.decode()
    for name in ("bundle", "bundle_end", "pack"):
        assert client.post(shop.url(name, shop.set.pk)).status_code == 403


def test_a_part_of_another_shop_is_no_choice(client, shop):
    theirs = factories.VariantFactory()
    answer = client.post(shop.url("bundle", shop.set.pk), form((theirs, "1"), step="post"))
    assert (answer.status_code, "Add at least one part" in text(answer)) == (422, True)

"""Listings find their variants, one to one; a decision settles its rivals at once and can be taken back."""

import threading
from decimal import Decimal

import pytest
from django.db import connection as database

from channels.models import ChannelStock, Connection, Listing
from inventory.models import Product, Variant
from onboarding import mapping
from onboarding.models import MappingRun, Suggestion
from tests import factories

pytestmark = pytest.mark.django_db
State = Suggestion.State
GOODS = ("Cast-iron pan", "Bread knife", "Wool throw", "Brass hook", "Enamel kettle", "Walking sock", "Canvas tote")


@pytest.fixture
def till():
    return factories.ConnectionFactory()


def variant(till, title, /, *, options=None, **fields):
    product, _ = Product.objects.get_or_create(merchant=till.merchant, title=title)
    name = " / ".join((options or {}).values())
    fields = {"sku": "", "price": Decimal("10.00"), "title": name, "options": options or {}, **fields}
    return factories.VariantFactory(merchant=till.merchant, product=product, **fields)


def listing(till, title, /, **fields):
    fields = {"sku": "", "title": "", "product_title": title, "price": Decimal("10.00"), "is_unlinked": True, **fields}
    return factories.ListingFactory(connection=till, sku_key=fields["sku"].upper(), **fields)


def a_shop(till):
    """Goods the till types in its own way."""
    for n, title in enumerate(GOODS):
        variant(till, title, sku=f"ART-{n:03d}", price=Decimal(10 + 7 * n))
        listing(till, title.upper(), sku=f"ART{n:03d}", price=Decimal(10 + 7 * n))


def pair_of(till, one, other, score=0.8, **fields):
    return Suggestion.objects.create(
        merchant=till.merchant, listing=one, variant=other, score=score, verdict="review", **fields
    )


def state(one):
    one.refresh_from_db()
    return (one.state, one.is_best)


def test_listings_find_their_variants_one_to_one_with_evidence_in_words(till):
    a_shop(till)
    counts = mapping.build(connection_id=till.pk)
    assert counts["suggested"] == len(GOODS)
    best = list(mapping.queue(till.merchant).select_related("listing", "variant__product"))
    assert all(one.listing.product_title == one.variant.product.title.upper() for one in best)
    assert len({one.variant_id for one in best}) == len(best)
    assert "SKU equal without dashes" in {words for one in best for words, _ in one.evidence}
    run = MappingRun.objects.get()
    assert (run.built_at is not None, run.lease_until, run.asked_at) == (True, None, None)
    assert 0 < run.review_from <= run.auto_from


def test_what_is_linked_excluded_deleted_or_another_shops_takes_no_part(till):
    a_shop(till)
    Listing.objects.filter(product_title="BREAD KNIFE").update(link="excluded")
    stranger = factories.VariantFactory(product__title="Wool throw", sku="ART-002")
    Variant.objects.filter(product__title="Wool throw", merchant=till.merchant).update(archived_at="2026-01-01T00:00Z")
    mapping.build(connection_id=till.pk)
    titles = set(mapping.queue(till.merchant).values_list("variant__product__title", flat=True))
    assert titles == set(GOODS) - {"Bread knife", "Wool throw"}
    assert not Suggestion.objects.filter(variant=stranger).exists()


def test_an_old_sku_of_exactly_one_variant_suggests_it(till):
    a_shop(till)
    renamed = variant(till, "Terracotta pot", sku="POT-NEW")
    factories.VariantAliasFactory(variant=renamed, value="P77", key="P77")
    waiting = listing(till, "pot, old stock", sku="p77")
    mapping.build(connection_id=till.pk)
    assert Suggestion.objects.get(listing=waiting, is_best=True).variant == renamed
    factories.VariantAliasFactory(variant=Variant.objects.get(sku="ART-000"), value="P77", key="P77")
    mapping.build(connection_id=till.pk)
    assert not Suggestion.objects.filter(listing=waiting, evidence__contains=[["an old name of it", 6.0]]).exists()


def test_building_again_replaces_what_is_open_and_never_brings_back_what_was_rejected(till):
    a_shop(till)
    mapping.build(connection_id=till.pk)
    rejected = mapping.queue(till.merchant).first()
    mapping.reject(suggestion_id=rejected.pk, actor=None)
    before = Suggestion.objects.count()
    mapping.build(connection_id=till.pk)
    assert Suggestion.objects.count() == before
    assert state(rejected) == (State.REJECTED, False)
    assert not mapping.queue(till.merchant).filter(listing=rejected.listing, variant=rejected.variant).exists()


def test_only_one_worker_compares_a_connection_at_a_time(till):
    assert mapping.due() == []
    a_shop(till)
    assert mapping.due() == [till.pk], "never compared"
    mapping.request_build(connection_id=till.pk)
    assert mapping.due() == [till.pk]
    MappingRun.objects.update(lease_until="2100-01-01T00:00Z")
    assert mapping.due() == []
    with pytest.raises(mapping.Busy):
        mapping.build(connection_id=till.pk)
    MappingRun.objects.update(lease_until="2020-01-01T00:00Z")
    assert mapping.due() == [till.pk], "its worker died"
    mapping.build(connection_id=till.pk)
    assert mapping.due() == []


def test_listings_that_a_later_read_brought_are_compared_without_being_asked_for(till):
    a_shop(till)
    mapping.build(connection_id=till.pk)
    assert mapping.due() == []
    late = listing(till, "OIL LAMP")
    lamp = variant(till, "Oil lamp")
    assert mapping.due() == [till.pk]
    mapping.build(connection_id=till.pk)
    assert Suggestion.objects.get(listing=late, is_best=True).variant == lamp
    assert mapping.due() == []
    Listing.objects.filter(pk=listing(till, "Gift card").pk).update(link="excluded")
    assert mapping.due() == [], "nothing waits"
    listing(till, "Wick")
    Connection.objects.filter(pk=till.pk).update(state=Connection.State.CLOSED)
    assert mapping.due() == [], "the channel has gone"


def test_accepting_links_settles_the_rivals_and_gives_the_competing_listing_its_next_best(till):
    first, second = listing(till, "Mug blue"), listing(till, "Mug sea")
    blue, sea = variant(till, "Mug", options={"Glaze": "Blue"}), variant(till, "Mug", options={"Glaze": "Sea"})
    ours = pair_of(till, first, blue, is_best=True)
    mine_too = pair_of(till, first, sea, score=0.4)
    rival = pair_of(till, second, blue, score=0.9, is_best=True)
    next_best = pair_of(till, second, sea, score=0.3)
    mapping.accept(suggestion_id=ours.pk, actor=None)
    first.refresh_from_db()
    assert (first.link, first.variant) == ("linked", blue)
    assert state(ours) == (State.ACCEPTED, False)
    assert (state(mine_too), state(rival)) == ((State.GONE, False), (State.GONE, False))
    assert state(next_best) == (State.OPEN, True)
    mapping.undo_last(merchant=till.merchant, actor=None)
    first.refresh_from_db()
    assert (first.link, first.variant) == ("unlinked", None)
    assert not ChannelStock.objects.filter(listing=first).exists()
    assert [state(one) for one in (mine_too, rival)] == [(State.OPEN, True), (State.OPEN, True)]
    assert mapping.undo_last(merchant=till.merchant, actor=None) is None


def test_rejecting_shows_the_next_best_and_can_be_taken_back(till):
    one = listing(till, "Mug")
    likely, other = variant(till, "Mug"), variant(till, "Jug")
    best, second = pair_of(till, one, likely, is_best=True), pair_of(till, one, other, score=0.4)
    mapping.reject(suggestion_id=best.pk, actor=None)
    assert (state(best), state(second)) == ((State.REJECTED, False), (State.OPEN, True))
    assert mapping.alternatives(second) == []
    mapping.undo_last(merchant=till.merchant, actor=None)
    assert (state(best), state(second)) == ((State.OPEN, True), (State.OPEN, False))


def test_a_listing_is_excluded_with_a_reason_or_becomes_a_variant_of_its_own_and_both_come_back(till):
    card, new = listing(till, "Gift card"), listing(till, "Tea strainer", sku="TEA-1", title="Small")
    with pytest.raises(mapping.BadProposal, match="why"):
        mapping.exclude(listing_id=card.pk, actor=None, reason=" ")
    mapping.exclude(listing_id=card.pk, actor=None, reason="no goods")
    made = mapping.adopt(listing_id=new.pk, actor=None)
    assert (made.sku, made.product.title, made.listings.get()) == ("TEA-1", "Tea strainer", new)
    assert mapping.progress(till.merchant) == mapping.MappingProgress(linked=1, excluded=1, waiting=0, suggested=0)
    mapping.undo_last(merchant=till.merchant, actor=None)
    assert not Variant.objects.filter(sku="TEA-1").exists()
    mapping.undo_last(merchant=till.merchant, actor=None)
    assert mapping.progress(till.merchant).waiting == 2
    assert list(mapping.unmatched(till.merchant)) == [card, new]


def test_a_person_may_choose_another_variant_than_any_suggested(till):
    one, chosen = listing(till, "Mug"), variant(till, "Beaker")
    rival = pair_of(till, one, variant(till, "Mug"), is_best=True)
    mapping.choose(listing_id=one.pk, variant_id=chosen.pk, actor=None)
    one.refresh_from_db()
    assert (one.variant, state(rival)) == (chosen, (State.GONE, False))
    with pytest.raises(mapping.AlreadyDecided):
        mapping.choose(listing_id=one.pk, variant_id=rival.variant_id, actor=None)
    stranger = factories.VariantFactory()
    two = listing(till, "Jug")
    with pytest.raises(Variant.DoesNotExist):
        mapping.choose(listing_id=two.pk, variant_id=stranger.pk, actor=None)


def test_a_variant_the_channel_lists_already_is_refused_in_words(till):
    taken = variant(till, "Mug")
    factories.ListingFactory(connection=till, variant=taken)
    one = pair_of(till, listing(till, "Mug"), taken, is_best=True)
    with pytest.raises(mapping.BadProposal, match="already"):
        mapping.accept(suggestion_id=one.pk, actor=None)
    assert state(one) == (State.OPEN, True)


def test_all_that_is_certain_is_linked_at_once_and_comes_back_at_once(till):
    a_shop(till)
    mapping.build(connection_id=till.pk)
    Suggestion.objects.filter(is_best=True).update(verdict="auto")
    doubtful = mapping.queue(till.merchant).first()
    Suggestion.objects.filter(pk=doubtful.pk).update(verdict="review")
    assert mapping.accept_auto(connection_id=till.pk, actor=None) == len(GOODS) - 1
    assert list(mapping.queue(till.merchant)) == [doubtful]
    assert mapping.progress(till.merchant).linked == len(GOODS) - 1
    assert mapping.accept_auto(connection_id=till.pk, actor=None) == 0
    mapping.undo_last(merchant=till.merchant, actor=None)
    assert mapping.progress(till.merchant) == mapping.MappingProgress(0, 0, len(GOODS), len(GOODS))


def test_the_most_informative_comes_first_and_what_is_skipped_last(till):
    sure, doubtful = (
        pair_of(till, listing(till, title), variant(till, title), is_best=True, information=information)
        for title, information in (("Mug", 0.1), ("Jug", 0.9))
    )
    assert list(mapping.queue(till.merchant)) == [doubtful, sure]
    mapping.skip(suggestion_id=doubtful.pk, actor=None)
    assert list(mapping.queue(till.merchant)) == [sure, doubtful]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_two_people_who_give_one_variant_to_two_listings_one_is_told(till):
    one, other = listing(till, "Mug"), listing(till, "Mug again")
    mug = variant(till, "Mug")
    pairs = [pair_of(till, each, mug, is_best=True) for each in (one, other)]
    begin, results = threading.Barrier(2), []

    def decide(suggestion):
        begin.wait()
        try:
            mapping.accept(suggestion_id=suggestion.pk, actor=None)
            results.append("linked")
        except (mapping.AlreadyDecided, mapping.BadProposal):
            results.append("told")
        finally:
            database.close()

    people = [threading.Thread(target=decide, args=(each,)) for each in pairs]
    for person in people:
        person.start()
    for person in people:
        person.join()
    assert sorted(results) == ["linked", "told"]
    assert Listing.objects.filter(variant=mug).count() == 1

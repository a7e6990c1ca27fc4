"""Whatever people decide in whatever order: one to one stays one to one, and taking all back leaves what was there."""

from __future__ import annotations

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.models import Listing
from onboarding import mapping
from onboarding.mapping import assigning
from onboarding.models import ChangeSet, Suggestion
from tests import factories
from tests.onboarding.imports_shop import applied, table

pytestmark = pytest.mark.django_db
State = Suggestion.State
SIZE = 4
deeds = st.lists(
    st.tuples(
        st.sampled_from(["accept", "reject", "skip", "choose", "exclude", "auto", "undo", "undo"]),
        st.integers(0, SIZE * SIZE - 1),
        st.integers(0, SIZE - 1),
    ),
    max_size=14,
)
scores = st.lists(st.floats(0.1, 0.99), min_size=SIZE * SIZE, max_size=SIZE * SIZE)


def a_till(scores):
    """Listings, variants, and a suggestion for every pair that is likely enough."""
    till = factories.ConnectionFactory()
    listings = factories.ListingFactory.create_batch(SIZE, connection=till, is_unlinked=True, sku="")
    variants = factories.VariantFactory.create_batch(SIZE, merchant=till.merchant, sku="")
    rows = [
        Suggestion(
            merchant=till.merchant, listing=listings[n // SIZE], variant=variants[n % SIZE], score=score,
            verdict="auto" if score > 0.9 else "review",
        )
        for n, score in enumerate(scores)
        if score > 0.3
    ]  # fmt: skip
    assigning.assign(rows, taken=set())
    Suggestion.objects.bulk_create(rows)
    return till, listings, variants


def do(deed, till, listings, variants):
    what, n, m = deed
    suggested = list(Suggestion.objects.filter(merchant=till.merchant).order_by("pk"))
    one = suggested[n % len(suggested)] if suggested else None
    try:
        if what in ("accept", "reject", "skip") and one is not None:
            getattr(mapping, what)(suggestion_id=one.pk, actor=None)
        elif what == "choose":
            mapping.choose(listing_id=listings[n % SIZE].pk, variant_id=variants[m].pk, actor=None)
        elif what == "exclude":
            mapping.exclude(listing_id=listings[n % SIZE].pk, actor=None, reason="a gift card")
        elif what == "auto":
            mapping.accept_auto(connection_id=till.pk, actor=None)
        elif what == "undo":
            mapping.undo_last(merchant=till.merchant, actor=None)
    except (mapping.AlreadyDecided, mapping.BadProposal):
        pass


def holds(till):
    """What must be so after every decision."""
    linked = Listing.objects.filter(connection=till, variant__isnull=False)
    taken = list(linked.values_list("variant", flat=True))
    assert len(set(taken)) == len(taken)
    best = Suggestion.objects.filter(merchant=till.merchant, is_best=True)
    assert not best.exclude(state=State.OPEN).exists()
    pairs = list(best.values_list("listing", "variant"))
    assert len({one for one, _ in pairs}) == len(pairs)
    assert len({two for _, two in pairs}) == len(pairs)
    assert not {two for _, two in pairs} & set(taken), "nothing is suggested that the channel lists already"
    assert not best.exclude(listing__link="unlinked").exists()
    for one in Suggestion.objects.filter(merchant=till.merchant, state=State.ACCEPTED):
        assert (one.listing.link, one.listing.variant_id) == ("linked", one.variant_id)


def frozen(till):
    listings = list(Listing.objects.filter(connection=till).order_by("pk").values_list("pk", "variant", "link"))
    open_ones = Suggestion.objects.filter(merchant=till.merchant).order_by("pk")
    return listings, list(open_ones.values_list("pk", "state", "changeset", "decided_at"))


@settings(max_examples=40, deadline=None)
@given(scores=scores, deeds=deeds)
def test_one_to_one_whatever_is_decided_and_all_of_it_comes_back(scores, deeds):
    till, listings, variants = a_till(scores)
    before = frozen(till)
    for deed in deeds:
        do(deed, till, listings, variants)
        holds(till)
    while mapping.undo_last(merchant=till.merchant, actor=None) is not None:
        holds(till)
    assert frozen(till) == before
    assert not ChangeSet.objects.filter(merchant=till.merchant, undone_at=None).exists()


def test_a_decision_costs_as_many_queries_among_many_suggestions_as_among_few():
    assert queries_of_a_decision(listings=400) == queries_of_a_decision(listings=10)


def queries_of_a_decision(*, listings):
    till = factories.ConnectionFactory()
    product = factories.ProductFactory(merchant=till.merchant)
    variants = factories.VariantFactory.create_batch(listings, merchant=till.merchant, product=product)
    waiting = factories.ListingFactory.create_batch(listings, connection=till, is_unlinked=True)
    rows = [
        Suggestion(
            merchant=till.merchant, listing=one, variant=variants[(n + by) % listings], score=0.9 - by / 10,
            verdict="review",
        )
        for n, one in enumerate(waiting)
        for by in range(5)
    ]  # fmt: skip
    assigning.assign(rows, taken=set())
    Suggestion.objects.bulk_create(rows)
    with CaptureQueriesContext(database) as seen:
        mapping.accept(suggestion_id=mapping.queue(till.merchant)[0].pk, actor=None)
    return len(seen)


def test_an_applied_import_asks_for_the_waiting_listings_of_its_shop_to_be_compared_again():
    till = factories.ConnectionFactory()
    factories.ListingFactory(connection=till, is_unlinked=True)
    quiet = factories.ConnectionFactory(merchant=till.merchant)
    mapping.build(connection_id=till.pk)
    assert till.pk not in mapping.due()
    applied(till.merchant, table([{"Title": "Mug", "SKU": "MUG-1", "Price": "12.50"}]))
    assert till.pk in mapping.due()
    assert quiet.pk not in mapping.due(), "control: nothing waits there"

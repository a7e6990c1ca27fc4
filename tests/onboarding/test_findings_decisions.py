"""Decisions: rules that replay and never ask again, what is answered in passing, bulk, undo, two people at once."""

from __future__ import annotations

import contextlib
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.db import transaction
from django.utils.timezone import now as utc_now

from inventory.models import Product, Variant, VariantAlias
from onboarding import journal
from onboarding.findings import bulk, decisions, detecting, goods, looking
from onboarding.models import BulkAcceptance, ChangeSet, CleanupRule, Finding, FindingRun, ImportBatch
from storestudio.accounts.models import AuditEntry
from tests import factories
from tests.onboarding.findings_shop import BARCODE, found, frozen, only, variant

pytestmark = pytest.mark.django_db
Kind, State = Finding.Kind, Finding.State


@pytest.fixture
def shop():
    return factories.MerchantFactory()


@pytest.fixture
def actor(shop):
    return factories.MembershipFactory(merchant=shop).user


def sized(shop, *sizes):
    return [variant(shop, f"Tee {n}", sku=f"T{n}", title=size, options={"Size": size}) for n, size in enumerate(sizes)]


def test_a_wrong_sku_that_an_import_brings_back_is_set_right_again_by_rule(shop, actor):
    one = variant(shop, "Mug", sku="#REF!")
    finding = only(shop, Kind.SKU_DAMAGED)
    decisions.accept(finding_id=finding.pk, actor=actor, proposal={"sku": "MUG-1"})
    Variant.objects.filter(pk=one.pk).update(sku="#REF!", sku_key="#REF!")
    assert detecting.detect(merchant=shop)["by rule"] == 1
    one.refresh_from_db()
    assert one.sku == "MUG-1"
    replayed = ChangeSet.objects.of(shop).latest("pk")
    assert replayed.title.startswith("Answered by rule")
    assert AuditEntry.objects.filter(object_id=str(replayed.pk), action="catalog.finding").exists()
    assert not decisions.queue(shop).exists()
    Variant.objects.filter(pk=one.pk).update(sku="3-Dec", sku_key="3-DEC")
    assert detecting.detect(merchant=shop)["by rule"] == 0, "another damage is another question"
    assert decisions.queue(shop).get().pk == finding.pk


def test_the_newest_decision_is_a_persons_even_after_rules_have_answered(shop, actor):
    sized(shop, "XL", "XL", "X-Large")
    finding = only(shop, Kind.OPTION)
    decisions.accept(finding_id=finding.pk, actor=actor)
    again = variant(shop, "Coat", sku="C", options={"Size": "X-Large"})
    detecting.detect(merchant=shop)
    assert decisions.undo_last(merchant=shop, actor=actor) == finding
    assert not CleanupRule.objects.exists()
    again.refresh_from_db()
    assert again.options == {"Size": "XL"}, "what the rule did is a change set of its own"


def test_a_value_kept_on_purpose_is_not_asked_about_again(shop, actor):
    sized(shop, "XL", "XL", "X-Large", "xl")
    finding = only(shop, Kind.OPTION)
    decisions.accept(finding_id=finding.pk, actor=actor, excluded=["value:X-Large"])
    assert detecting.detect(merchant=shop)["new"] == 0
    assert Finding.objects.get(pk=finding.pk).state == State.ACCEPTED
    assert Variant.objects.filter(options={"Size": "X-Large"}).count() == 1


def test_a_rejected_pair_is_never_asked_again_even_beside_a_third(shop, actor):
    first, second = (variant(shop, "Bread knife", sku=sku) for sku in ("KNF", "KNF-B"))
    decisions.reject(finding_id=only(shop, Kind.DUPLICATE).pk, actor=actor)
    assert detecting.detect(merchant=shop)["new"] == 0
    assert found(shop, goods.twice) == []
    third = variant(shop, "Bread knife", sku="")
    asked = {frozenset(one.variant_ids) for one in found(shop, goods.twice)}
    assert asked
    assert all(third.pk in ids for ids in asked), "what is new is asked"
    assert {first.pk, second.pk} not in asked


def test_a_rejected_wrong_price_is_left_alone_until_it_is_another_price(shop, actor):
    product = factories.ProductFactory(merchant=shop)
    for n in range(4):
        variant(shop, "", product=product, sku=f"S{n}", price=Decimal(20))
    odd = variant(shop, "", product=product, sku="S9", price=Decimal(200))
    decisions.reject(finding_id=only(shop, Kind.PRICE).pk, actor=actor)
    assert detecting.detect(merchant=shop)["new"] == 0
    Variant.objects.filter(pk=odd.pk).update(price=Decimal(300))
    assert detecting.detect(merchant=shop)["new"] == 1


def test_a_wish_waits_to_be_sent_and_is_not_asked_again(shop, actor):
    factories.ListingFactory(connection__merchant=shop, is_tracked=False)
    decisions.accept(finding_id=only(shop, Kind.UNTRACKED).pk, actor=actor)
    assert detecting.detect(merchant=shop) == {"new": 0, "still so": 0, "gone": 0, "by rule": 0}
    assert not decisions.queue(shop).exists()


def test_a_decision_undone_elsewhere_is_no_rule_any_more(shop, actor):
    one = variant(shop, "Mug", sku="#REF!")
    finding = decisions.accept(finding_id=only(shop, Kind.SKU_DAMAGED).pk, actor=actor)
    journal.undo(changeset_id=finding.changeset_id, actor=actor)
    assert detecting.detect(merchant=shop)["by rule"] == 0
    one.refresh_from_db()
    assert one.sku == "#REF!"
    assert decisions.queue(shop).get() == finding


def test_an_edited_answer_is_the_rule_and_undoing_the_second_brings_the_first_back(shop, actor):
    sized(shop, "XL", "XL", "X-Large")
    decisions.accept(finding_id=only(shop, Kind.OPTION).pk, actor=actor, proposal={"to": "Extra large"})
    assert set(Variant.objects.values_list("title", flat=True)) == {"Extra large"}
    rule = CleanupRule.objects.get()
    first = dict(rule.proposal)
    sized(shop, "xlarge")
    detecting.detect(merchant=shop)
    finding = decisions.queue(shop, Kind.OPTION).get()
    decisions.accept(finding_id=finding.pk, actor=actor)
    assert "xlarge" in CleanupRule.objects.filter(key=finding.key).get().proposal["values"]
    decisions.undo_last(merchant=shop, actor=actor)
    kept = CleanupRule.objects.filter(pk=rule.pk).first()
    assert kept is not None
    assert kept.proposal == first


def test_merging_answers_what_was_asked_about_the_duplicate_and_undo_asks_again(shop, actor):
    variant(shop, "Bread knife", sku="KNF"), variant(shop, "Bread knife", sku="")
    variant(shop, "Kettle", sku="")
    detecting.detect(merchant=shop)
    twice = decisions.queue(shop, Kind.DUPLICATE).get()
    missing = decisions.queue(shop, Kind.SKU_MISSING)
    assert missing.count() == 2
    decisions.accept(finding_id=twice.pk, actor=actor)
    assert [finding.title for finding in missing.all()] == ["Kettle has no SKU"], "control: the other one stays"
    decisions.undo_last(merchant=shop, actor=actor)
    assert missing.all().count() == 2


def test_one_of_two_that_share_a_sku_gets_another_and_the_other_question_is_gone(shop, actor):
    for title in ("Mug", "Kettle", "Pan"):
        variant(shop, title, sku="A-1")
    detecting.detect(merchant=shop)
    first, second = decisions.queue(shop, Kind.SKU_REPEATED)
    decisions.accept(finding_id=first.pk, actor=actor)
    assert list(decisions.queue(shop, Kind.SKU_REPEATED)) == [second], "two still share it"
    decisions.accept(finding_id=second.pk, actor=actor)
    assert not decisions.queue(shop).exists()
    assert not VariantAlias.objects.exists(), "the SKU is another variant's: it would find neither by itself"


def test_a_wrong_barcode_is_cleared_set_right_or_refused_in_words(shop, actor):
    one = variant(shop, "Mug", sku="M", gtin="MUG-1")
    variant(shop, "Pan", sku="P", gtin=BARCODE)
    finding = only(shop, Kind.GTIN)
    for typed, words in (("123", "is no GTIN"), (BARCODE, "is the barcode of Pan")):
        with pytest.raises(decisions.BadProposal, match=words):
            decisions.accept(finding_id=finding.pk, actor=actor, proposal={"gtin": typed})
    decisions.accept(finding_id=finding.pk, actor=actor, proposal={"gtin": "4006381333931"})
    one.refresh_from_db()
    assert one.gtin == "04006381333931"


def test_cleared_numbers_of_one_store_still_find_their_variants(shop, actor):
    made = [variant(shop, f"Thing {n}", sku=f"T{n}", gtin="02000010000012") for n in range(6)]
    finding = only(shop, Kind.GTIN)
    decisions.accept(finding_id=finding.pk, actor=actor, excluded=[f"variant:{made[0].pk}"])
    assert list(Variant.objects.exclude(gtin="").values_list("pk", flat=True)) == [made[0].pk]
    known = VariantAlias.objects.filter(kind="gtin").values_list("variant", flat=True)
    assert set(known) == set(), "it is still the barcode of the one that was left out"
    decisions.undo_last(merchant=shop, actor=actor)
    decisions.accept(finding_id=finding.pk, actor=actor)
    assert set(known.all()) == {one.pk for one in made}


def test_a_deed_that_would_change_nothing_is_refused(shop, actor):
    sized(shop, "XL", "XL", "X-Large")
    finding = only(shop, Kind.OPTION)
    with pytest.raises(decisions.BadProposal, match="change nothing"):
        decisions.accept(finding_id=finding.pk, actor=actor, excluded=["value:X-Large"])
    assert Finding.objects.get(pk=finding.pk).state == State.OPEN
    assert not ChangeSet.objects.exists()


def test_what_was_accepted_together_is_taken_back_together(shop, actor):
    for n in range(12):
        variant(shop, f"{chr(65 + n)} thing {n * 37}", sku=f"PLN-{n:03d}")
    odd = [variant(shop, f"Pan {n}", sku=f"pan_{n}{n}") for n in range(3)]
    before = frozen()
    detecting.detect(merchant=shop)
    assert bulk.accept_above(merchant=shop, actor=actor, confidence=0.9, kind=Kind.SKU_PATTERN) == 3
    assert ChangeSet.objects.count() == 1
    decisions.undo_last(merchant=shop, actor=actor)
    assert frozen() == before
    assert decisions.queue(shop, Kind.SKU_PATTERN).count() == len(odd)
    assert not CleanupRule.objects.exists()
    assert decisions.undo_last(merchant=shop, actor=actor) is None


def off_the_pattern(shop, count):
    for n in range(12):
        variant(shop, f"{chr(65 + n)} thing {n * 37}", sku=f"PLN-{n:03d}")
    for n in range(count):
        variant(shop, f"Pan {n}", sku=f"pan_{n}{n}")
    detecting.detect(merchant=shop)
    return {"merchant": shop, "confidence": 0.9, "kind": Kind.SKU_PATTERN}


def test_many_are_accepted_in_slices_that_survive_a_dead_worker(shop, actor):
    asked = bulk.start(**off_the_pattern(shop, 3), actor=actor)
    assert bulk.due() == [asked.pk]
    assert bulk.work(bulk_id=asked.pk, slice_s=0)
    BulkAcceptance.objects.update(lease_until=utc_now() + timedelta(minutes=1))  # another worker has it
    assert (bulk.due(), bulk.work(bulk_id=asked.pk)) == ([], False)
    with pytest.raises(bulk.Busy):
        bulk.start(merchant=shop, actor=actor, confidence=0.9)
    BulkAcceptance.objects.update(lease_until=utc_now() - timedelta(minutes=1))  # and died
    assert bulk.due() == [asked.pk]
    while bulk.work(bulk_id=asked.pk, slice_s=0):
        pass
    asked.refresh_from_db()
    assert (asked.done, asked.accepted, asked.ended_at is not None) == (3, 3, True)
    assert ChangeSet.objects.count() == 1
    assert (bulk.due(), bulk.work(bulk_id=asked.pk)) == ([], False)
    assert not decisions.queue(shop, Kind.SKU_PATTERN).exists()


def test_taking_back_what_is_being_accepted_stops_it_and_leaves_nothing_of_it(shop, actor):
    rule = off_the_pattern(shop, 3)
    before = frozen()
    asked = bulk.start(**rule, actor=actor)
    bulk.work(bulk_id=asked.pk, slice_s=0)
    assert frozen() != before
    decisions.undo_last(merchant=shop, actor=actor)
    while bulk.work(bulk_id=asked.pk):
        pass
    asked.refresh_from_db()
    assert (asked.done, asked.ended_at is not None) == (1, True)
    assert frozen() == before
    assert decisions.queue(shop, Kind.SKU_PATTERN).count() == 3


def test_what_was_decided_meanwhile_is_left_as_it_was_decided(shop, actor):
    asked = bulk.start(**off_the_pattern(shop, 3), actor=actor)
    decisions.reject(finding_id=asked.findings[1], actor=actor)
    while bulk.work(bulk_id=asked.pk):
        pass
    asked.refresh_from_db()
    assert (asked.done, asked.accepted) == (3, 2)
    assert Finding.objects.get(pk=asked.findings[1]).state == State.REJECTED


def test_what_somebody_edited_since_is_kept_when_a_decision_is_taken_back(shop, actor):
    one = variant(shop, "Mug")
    decisions.accept(finding_id=only(shop, Kind.SKU_MISSING).pk, actor=actor)
    Variant.objects.filter(pk=one.pk).update(sku="BY-HAND", sku_key="BY-HAND")
    decisions.undo_last(merchant=shop, actor=actor)
    one.refresh_from_db()
    assert one.sku == "BY-HAND"


def test_skipping_and_taking_it_back_change_only_the_order(shop, actor):
    for title, price in (("Clock", 90), ("Pen", 2)):
        variant(shop, title, price=Decimal(price))
    detecting.detect(merchant=shop)
    first, second = decisions.queue(shop)
    decisions.skip(finding_id=first.pk, actor=actor)
    assert list(decisions.queue(shop)) == [second, first]
    decisions.unskip(finding_id=first.pk, actor=actor)
    assert list(decisions.queue(shop)) == [first, second]
    assert AuditEntry.objects.filter(action__startswith="finding.").count() == 2


def test_a_decision_made_while_the_catalog_is_looked_through_stands(shop, actor, monkeypatch):
    variant(shop, "Mug"), variant(shop, "Kettle")
    detecting.detect(merchant=shop)
    mug, kettle = decisions.queue(shop).order_by("pk")
    real = detecting._without_echoes

    def meanwhile(found_now):
        decisions.accept(finding_id=mug.pk, actor=actor)
        decisions.reject(finding_id=kettle.pk, actor=actor)
        real(found_now)

    monkeypatch.setattr(detecting, "_without_echoes", meanwhile)
    detecting.detect(merchant=shop)
    assert not decisions.queue(shop).exists()
    assert {row.state for row in (Finding.objects.get(pk=mug.pk), Finding.objects.get(pk=kettle.pk))} == {
        State.ACCEPTED, State.REJECTED,
    }  # fmt: skip


def together(*acts):
    """Run these at once; what each came to."""
    begin, results = threading.Barrier(len(acts)), []

    def run(act):
        begin.wait()
        try:
            act()
            results.append("done")
        except (decisions.AlreadyDecided, decisions.BadProposal) as error:
            results.append(type(error).__name__)
        finally:
            database.close()

    people = [threading.Thread(target=run, args=(act,)) for act in acts]
    for person in people:
        person.start()
    for person in people:
        person.join()
    return sorted(results)


def two_who_give_one_sku(shop, monkeypatch):
    """Two people give two variants the same SKU; each waits before writing until the other is there, too."""
    for title in ("Mug", "Kettle"):
        variant(shop, title)
    detecting.detect(merchant=shop)
    both, real = threading.Barrier(2), journal.Recorder.update

    def update(self, *words, **more):
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=1)
        return real(self, *words, **more)

    monkeypatch.setattr(journal.Recorder, "update", update)
    return together(
        *(
            lambda pk=pk: decisions.accept(finding_id=pk, actor=None, proposal={"sku": "SAME"})
            for pk in decisions.queue(shop).values_list("pk", flat=True)
        )
    )


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_decisions_at_once_never_give_one_sku_twice(shop, monkeypatch):
    assert two_who_give_one_sku(shop, monkeypatch) == ["BadProposal", "done"]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_control_without_one_at_a_time_both_give_it(shop, monkeypatch):
    monkeypatch.setattr(decisions, "one_at_a_time", lambda merchant_id: None)
    assert two_who_give_one_sku(shop, monkeypatch) == ["done", "done"]
    assert Variant.objects.filter(sku="SAME").count() == 2


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_many_who_accept_the_same_finding_one_does_it(shop):
    variant(shop, "Mug")
    finding = only(shop, Kind.SKU_MISSING)
    acts = [lambda: decisions.accept(finding_id=finding.pk, actor=None)] * 4
    assert together(*acts) == ["AlreadyDecided"] * 3 + ["done"]
    assert ChangeSet.objects.count() == 1


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_it_is_done_more_than_once(shop, monkeypatch):
    variant(shop, "Mug")
    finding = only(shop, Kind.SKU_MISSING)
    both = threading.Barrier(2, timeout=5)

    def unlocked(finding_id):
        row = Finding.objects.select_related("merchant").get(pk=finding_id)
        both.wait()
        return row

    monkeypatch.setattr(decisions, "_lock", unlocked)
    assert together(*[lambda: decisions.reject(finding_id=finding.pk, actor=None)] * 2) == ["done", "done"]


def test_nothing_of_another_shop_can_be_proposed_or_is_undone(shop, actor):
    other = factories.MerchantFactory()
    theirs = variant(other, "Mug")
    detecting.detect(merchant=other)
    decisions.accept(finding_id=decisions.queue(other).get().pk, actor=None)
    assert decisions.undo_last(merchant=shop, actor=actor) is None
    assert not decisions.queue(shop).exists()
    ours = variant(shop, "Mug"), variant(shop, "Pan")
    made = factories.FindingFactory(
        merchant=shop, kind=Kind.DUPLICATE, variant=ours[0],
        proposal={"op": "merge", "survivor_id": ours[0].pk, "variant_ids": [ours[0].pk, theirs.pk]},
    )  # fmt: skip
    with pytest.raises(decisions.BadProposal, match="Two or more"):
        decisions.accept(finding_id=made.pk, actor=actor)


def test_a_catalog_is_looked_through_when_asked_once_at_the_start_and_after_an_import(shop):
    assert looking.due() == []
    variant(shop, "Mug")
    factories.ConnectionFactory(merchant=shop, catalog_read_until=utc_now())
    assert looking.due() == [shop.pk], "its catalog was read, and never looked at"
    assert looking.look(merchant_id=shop.pk)
    assert decisions.queue(shop).count() == 1
    run = FindingRun.objects.get()
    assert (run.asked_at, run.lease_until, run.counts["new"]) == (None, None, 1)
    assert looking.due() == []
    assert not looking.look(merchant_id=shop.pk), "nobody asked"
    factories.ImportBatchFactory(merchant=shop, state=ImportBatch.State.APPLIED, changed_at=utc_now())
    assert looking.due() == [shop.pk]
    looking.ask(shop)
    FindingRun.objects.update(lease_until=utc_now() + timedelta(minutes=1))
    assert looking.due() == [], "a worker has it"
    assert not looking.look(merchant_id=shop.pk)
    FindingRun.objects.update(lease_until=utc_now() - timedelta(minutes=1))
    assert looking.look(merchant_id=shop.pk), "the worker died"


def test_a_look_that_fails_says_so_and_is_not_tried_without_end(shop, monkeypatch):
    looking.ask(shop)
    with monkeypatch.context() as broken:
        broken.setattr(detecting, "detect", lambda **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            looking.look(merchant_id=shop.pk)
    assert "ZeroDivisionError" in FindingRun.objects.get().error
    assert looking.due() == []
    looking.ask(shop)
    assert looking.look(merchant_id=shop.pk)
    assert FindingRun.objects.get().error == ""


def test_previews_leave_nothing_behind(shop):
    sized(shop, "XL", "XL", "X-Large")
    for title in ("Bread knife", "Bread knife"):
        variant(shop, title, sku="KNF")
    variant(shop, "Pan")
    detecting.detect(merchant=shop)
    before, sets = frozen(), ChangeSet.objects.count()
    for finding in decisions.queue(shop):
        lines = decisions.preview(finding)
        assert lines
        assert all(line.before != line.after for line in lines)
    assert frozen() == before
    assert (ChangeSet.objects.count(), AuditEntry.objects.count(), Product.objects.count()) == (sets, 0, 6)
    assert transaction.get_connection().in_atomic_block

"""Cleaned fields back to Square's and Shopify's stand-ins over real HTTP: only with a yes, once, and undoable."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils.timezone import now as utc_now

from channels import connections, inbox, linking, registry
from channels.models import Connection, Listing
from channels.sandbox.goods import Goods, GoodsVariant
from channels.sandbox.models import Fault
from channels.sandbox.shopify import accounts as shopify_accounts
from channels.sandbox.shopify.models import ProductVariant
from channels.sandbox.shopify.models import Shop as ShopifyShop
from channels.sandbox.square import accounts as square_accounts
from channels.sandbox.square.models import CatalogObject
from inventory.models import Variant
from onboarding import journal
from onboarding.models import CatalogWrite, CatalogWriteLine, ChangeSet, ListingWish
from onboarding.writeback import deciding, drafting, fields, sending
from onboarding.writeback.deciding import NotAllowed
from storestudio.accounts.models import AuditEntry
from tests import factories
from tests.channels import shops

pytestmark = pytest.mark.django_db(transaction=True)

EAN = "04006381333931"
State, Outcome = CatalogWrite.State, CatalogWriteLine.Outcome
WRITES = {"square": "catalog.batch_upsert", "shopify": "productVariantsBulkUpdate"}


@pytest.fixture(autouse=True)
def stand_ins(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url


@pytest.fixture
def merchant():
    return factories.MerchantFactory()


@pytest.fixture
def actor(merchant):
    return shops.owner_of(merchant)


GOODS = [
    Goods(
        "tee", "Tee",
        [
            GoodsVariant("tee 1", Decimal(20), ("red", "xl "), counts=dict.fromkeys(shops.PLACES, 5),
                         sells_past_zero_on_web=True),
            GoodsVariant("tee 2", Decimal(20), ("blue", "xl "), counts=dict.fromkeys(shops.PLACES, 5),
                         is_tracked_on_web=False),
        ],
        options=("colour", "Size"),
    ),
    Goods("mug", "Mug", [GoodsVariant("mug 1", Decimal(9), barcode="5901234123457",
                                      counts=dict.fromkeys(shops.PLACES, 5))]),
]  # fmt: skip


@pytest.fixture(params=["square", "shopify"])
def connection(request, merchant, actor):
    return opened(request.param, merchant, actor)


def opened(channel, merchant, actor):
    """A connection whose catalog was read, adopted, and then cleaned on our side."""
    one = (shops.till if channel == "square" else shops.web)(merchant, stock=GOODS, actor=actor)
    shops.mapped(one, actor=actor)
    connections.import_catalog(one)
    linking.adopt_catalog(one, actor=actor)
    for row in Variant.objects.filter(merchant=merchant).select_related("product"):
        row.sku = row.sku.upper().replace(" ", "-")
        if row.product.title == "Tee":
            colour = "Red" if row.sku == "TEE-1" else "Blue"
            row.options, row.title = {"Color": colour, "Size": "XL"}, f"{colour} / XL"
        elif row.sku == "MUG-1":
            row.gtin = EAN
        row.save()
    return one


def vendor(connection):
    """All the stand-in keeps of the variants, by our listing's id; when it changed left out."""
    ids = list(Listing.objects.filter(connection=connection).order_by("pk").values_list("external_id", flat=True))
    if connection.channel == "square":
        rows = {row.object_id: row for row in CatalogObject.objects.filter(object_id__in=ids)}
        return {name: (rows[name].sku, rows[name].upc, rows[name].name, rows[name].data) for name in ids}
    found = {row.gid: row for row in ProductVariant.objects.select_related("item", "product")}
    return {
        name: (
            found[name].item.sku, found[name].item.tracked, found[name].barcode, found[name].inventory_policy,
            found[name].title, found[name].selected_options, [one["name"] for one in found[name].product.options],
        )
        for name in ids
    }  # fmt: skip


def row_of(connection, sku):
    """The listing whose variant has this SKU now."""
    return Listing.objects.select_related("variant").get(connection=connection, variant__sku=sku)


def line_of(write, sku):
    return write.lines.get(listing__variant__sku=sku)


def approved(write, actor):
    return deciding.approve(write_id=write.pk, actor=actor, word="approve", shown=deciding.digest(write))


def sent(write):
    """Let workers work until nothing is left that can be sent now."""
    for _ in range(20):
        CatalogWrite.objects.filter(pk=write.pk).update(next_attempt_at=utc_now())
        Connection.objects.update(resting_until=None)
        sending.work(write_id=write.pk)
        write.refresh_from_db()
        if write.state != State.SENDING:
            break
    return write


def written(connection, actor):
    return sent(approved(drafting.draft(connection_id=connection.pk, actor=actor), actor))


def outcomes(write):
    return {line.listing.external_id: line.outcome for line in write.lines.select_related("listing")}


def shown_after_reading(connection):
    """Our listings as they stand once the channel's whole catalog was read again."""
    connections.import_catalog(connection)
    return ours(connection)


def ours(connection):
    names = ("external_id", "sku", "sku_key", "gtin", "barcode", "options", "title", "is_tracked", "sells_past_zero",
             "variant_id")  # fmt: skip
    return list(Listing.objects.filter(connection=connection).order_by("pk").values_list(*names))


# --- drafts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "ours", "after", "notes"),
    [
        ({"Size": "Small"}, "Small", None, 0),
        ({"Size": "small"}, "Small", {"Size": "Small"}, 0),
        ({"Size": "M", "Colour": "Red"}, "Red, M", None, 0),
        ({"Size": "M", "Colour": "Red"}, "Red / M", None, 0),
        ({"Size": "S/M", "Colour": "Navy"}, "S/M / Navy", None, 0),
        ({"Size": "M", "Colour": "Red"}, "Blue, M", None, 1),
    ],
)
def test_options_without_names_rename_none_of_a_channels(there, ours, after, notes):
    variant = factories.VariantFactory.build(merchant=None, product=None, options={"Variation": ours}, title=ours)
    listing = Listing(options=there, variant=variant, sku=variant.sku, is_tracked=True)

    found = fields.difference(listing, wishes={}, capabilities=registry.capabilities("shopify"))

    assert found.after.get("options") == after
    assert "option_names" not in found.after
    assert len(found.notes) == notes


def test_control_named_options_do_rename():
    variant = factories.VariantFactory.build(merchant=None, product=None, options={"Color": "Red"}, title="Red")
    listing = Listing(options={"Colour": "Red"}, variant=variant, sku=variant.sku, is_tracked=True)

    found = fields.difference(listing, wishes={}, capabilities=registry.capabilities("shopify"))

    assert (found.after["options"], found.after["option_names"]) == ({"Color": "Red"}, {"Colour": "Color"})


def test_a_draft_names_what_differs_and_nothing_else_and_sends_nothing(connection, actor):
    before = vendor(connection)

    write = drafting.draft(connection_id=connection.pk, actor=actor)

    assert write.state == State.DRAFT
    assert vendor(connection) == before
    tee, mug = line_of(write, "TEE-1"), line_of(write, "MUG-1")
    assert (tee.before["sku"], tee.after["sku"]) == ("tee 1", "TEE-1")
    assert (mug.before, mug.after) == (
        {"sku": "mug 1", "gtin": "5901234123457"},
        {"sku": "MUG-1", "gtin": "4006381333931"},
    )
    assert mug.flags == ["barcode_replaced"]
    if connection.channel == "square":
        assert tee.after["options"] == {"Variation": "Red, XL"}
        assert "sells_past_zero" not in tee.after
    else:
        assert tee.after["options"] == {"Color": "Red", "Size": "XL"}
        assert tee.after["option_names"] == {"colour": "Color"}
        assert tee.after["sells_past_zero"] is False
        assert line_of(write, "TEE-2").after["is_tracked"] is True
        assert line_of(write, "TEE-2").flags == ["starts_counting"]
    assert AuditEntry.objects.filter(action="writeback.drafted", merchant=connection.merchant).count() == 1


def test_a_new_draft_replaces_the_old_one(connection, actor):
    first = drafting.draft(connection_id=connection.pk, actor=actor)
    second = drafting.draft(connection_id=connection.pk, actor=actor)

    first.refresh_from_db()
    assert (first.state, second.state) == (State.CANCELLED, State.DRAFT)


def test_where_nothing_differs_there_is_no_draft(connection, actor):
    written(connection, actor)

    with pytest.raises(drafting.NothingToWrite):
        drafting.draft(connection_id=connection.pk, actor=actor)


def test_what_is_wished_for_a_listing_goes_before_what_follows_from_its_variant(connection, actor):
    listing = row_of(connection, "MUG-1")
    with journal.recording(
        merchant=connection.merchant, kind=ChangeSet.Kind.FINDING, title="As it is", actor=actor
    ) as recorder:
        drafting.wish(listing_id=listing.pk, field="sku", value="mug 1", recorder=recorder)
        drafting.wish(listing_id=listing.pk, field="is_tracked", value=False, recorder=recorder)
        drafting.wish(listing_id=listing.pk, field="gtin", value="", recorder=recorder)

    write = drafting.draft(connection_id=connection.pk, actor=actor)

    assert write.lines.get(listing=listing).after == {"gtin": "", "is_tracked": False}
    assert ListingWish.objects.filter(listing=listing).count() == 3


def test_two_listings_that_would_end_with_one_sku_are_flagged(connection, actor):
    Variant.objects.filter(sku="TEE-2").update(sku="MUG-1", sku_key="MUG-1")

    write = drafting.draft(connection_id=connection.pk, actor=actor)

    flagged = [line for line in write.lines.all() if "sku_shared" in line.flags]
    assert {line.after["sku"] for line in flagged} == {"MUG-1"}
    assert len(flagged) == 2


def test_an_excluded_listing_is_left_alone(connection, actor):
    linking.exclude(listing=row_of(connection, "MUG-1"), actor=actor, reason="a gift card")

    write = drafting.draft(connection_id=connection.pk, actor=actor)

    assert not write.lines.filter(listing__link=Listing.Link.EXCLUDED).exists()


def test_drafting_takes_as_many_statements_for_many_listings_as_for_few(merchant, actor, django_assert_max_num_queries):
    connection = factories.ConnectionFactory(merchant=merchant, channel="shopify")
    for number in range(60):
        variant = factories.VariantFactory(merchant=merchant, sku=f"NEW-{number}")
        factories.ListingFactory(connection=connection, variant=variant, sku=f"old {number}")

    with django_assert_max_num_queries(16):
        write = drafting.draft(connection_id=connection.pk, actor=actor)

    assert write.lines.count() == 60


# --- a yes --------------------------------------------------------------------------------------------------


def test_without_a_yes_nothing_is_ever_sent(connection, actor):
    before = vendor(connection)
    write = drafting.draft(connection_id=connection.pk, actor=actor)

    assert sending.due() == []
    assert sending.work(write_id=write.pk) is False
    assert vendor(connection) == before
    assert vendor(connection) != (written(connection, actor) and vendor(connection))  # control: with one it is


def test_a_yes_needs_its_word_and_the_lines_that_were_shown(connection, actor):
    write = drafting.draft(connection_id=connection.pk, actor=actor)
    shown = deciding.digest(write)

    with pytest.raises(NotAllowed, match="Type"):
        deciding.approve(write_id=write.pk, actor=actor, word="yes", shown=shown)
    deciding.exclude(write_id=write.pk, line_ids=[line_of(write, "MUG-1").pk], is_excluded=True)
    with pytest.raises(deciding.PreviewChanged):
        deciding.approve(write_id=write.pk, actor=actor, word="approve", shown=shown)

    assert deciding.approve(
        write_id=write.pk, actor=actor, word=" Approve ", shown=deciding.digest(write)
    ).state == State.SENDING  # fmt: skip
    assert AuditEntry.objects.filter(action="writeback.approved", actor=actor).count() == 1


def test_a_line_left_out_is_not_written(connection, actor):
    write = drafting.draft(connection_id=connection.pk, actor=actor)
    mug = line_of(write, "MUG-1")
    before = vendor(connection)[mug.listing.external_id]
    deciding.exclude(write_id=write.pk, line_ids=[mug.pk], is_excluded=True)

    sent(approved(write, actor))

    assert vendor(connection)[mug.listing.external_id] == before
    mug.refresh_from_db()
    assert mug.outcome == Outcome.WAITING


def test_a_channel_that_was_paused_by_hand_is_not_written_to(connection, actor):
    write = drafting.draft(connection_id=connection.pk, actor=actor)
    Connection.objects.filter(pk=connection.pk).update(approved_at=utc_now(), state_reason="Paused by hand")

    with pytest.raises(NotAllowed, match="paused"):
        approved(write, actor)

    Connection.objects.filter(pk=connection.pk).update(approved_at=None)  # control: never live, so it may be cleaned
    assert approved(write, actor).state == State.SENDING


def test_two_writes_to_one_channel_are_not_sent_at_once(connection, actor):
    first = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)
    second = drafting.draft(connection_id=connection.pk, actor=actor)

    with pytest.raises(NotAllowed, match="Another write"):
        approved(second, actor)
    sent(first)
    assert approved(second, actor).state == State.SENDING


# --- sending ------------------------------------------------------------------------------------------------


def test_what_was_approved_is_written_and_our_listings_carry_it(connection, actor):
    write = written(connection, actor)

    assert write.state == State.DONE
    assert set(outcomes(write).values()) == {Outcome.APPLIED}
    mug, tee = row_of(connection, "MUG-1"), row_of(connection, "TEE-1")
    assert (mug.sku, mug.sku_key, mug.gtin, mug.barcode) == ("MUG-1", "MUG-1", EAN, "4006381333931")
    if connection.channel == "square":
        assert (tee.options, tee.title) == ({"Variation": "Red, XL"}, "Red, XL")
    else:
        assert (tee.options, tee.title) == ({"Color": "Red", "Size": "XL"}, "Red / XL")
        assert not tee.sells_past_zero
        assert row_of(connection, "TEE-2").is_tracked
    assert AuditEntry.objects.filter(action="writeback.sent", actor=actor).count() == 1


def test_our_own_write_is_recognised_when_its_webhook_makes_us_read_the_catalog(connection, actor):
    connections.subscribe(connection)
    written(connection, actor)
    before = ours(connection)

    assert shown_after_reading(connection) == before
    inbox.process(connection_id=connection.pk, until=utc_now() + timedelta(seconds=5))
    assert ours(connection) == before


def test_a_listing_that_changed_after_the_yes_is_stale_kept_and_shown(connection, actor):
    write = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)
    mug = line_of(write, "MUG-1")
    rename(connection, mug.listing.external_id, "BY-HAND")

    sent(write)

    mug.refresh_from_db()
    assert mug.outcome == Outcome.STALE
    assert mug.there["sku"] == "BY-HAND"
    assert vendor(connection)[mug.listing.external_id][0] == "BY-HAND"
    assert line_of(write, "TEE-1").outcome == Outcome.APPLIED


def rename(connection, external_id, sku):
    """The merchant gives it another SKU, in the vendor's own pages."""
    if connection.channel == "square":
        row = CatalogObject.objects.get(object_id=external_id)
        row.sku = row.data["item_variation_data"]["sku"] = sku
        row.version += 1
        row.save()
    else:
        row = ProductVariant.objects.get(pk=int(external_id.rsplit("/", 1)[1]))
        row.item.sku = sku
        row.item.save()


def test_a_listing_that_changes_between_our_read_and_our_write_is_stale(connection, actor, monkeypatch):
    write = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)
    mug = line_of(write, "MUG-1")
    bind = sending._bind

    def slow(*given):
        bound = bind(*given)
        rename(connection, mug.listing.external_id, "BY-HAND")
        return bound

    with monkeypatch.context() as patch:
        patch.setattr(sending, "_bind", slow)
        sent(write)

    mug.refresh_from_db()
    assert (mug.outcome, mug.there["sku"]) == (Outcome.STALE, "BY-HAND")
    assert vendor(connection)[mug.listing.external_id][0] == "BY-HAND"


def test_a_lost_answer_is_asked_for_again_with_the_same_key_and_takes_effect_once(connection, actor):
    write = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)
    Fault.objects.create(
        vendor=connection.channel, kind=Fault.Kind.TIMEOUT_AFTER, operation=WRITES[connection.channel], remaining=1
    )

    sending.work(write_id=write.pk)
    bound = list(write.lines.filter(sent_at__isnull=False, outcome=Outcome.WAITING).order_by("pk"))
    keys, once, written_at = {line.idempotency_key for line in bound}, vendor(connection), versions()

    assert len(bound) > 1
    assert len(keys) == 1
    sent(write)
    assert write.state == State.DONE
    assert set(outcomes(write).values()) == {Outcome.APPLIED}
    assert {line.idempotency_key for line in write.lines.filter(pk__in=[one.pk for one in bound])} == keys
    if connection.channel == "square":
        assert vendor(connection) == once
        assert versions() == written_at  # not written again


def versions():
    return list(CatalogObject.objects.order_by("pk").values_list("object_id", "version"))


def test_a_worker_that_died_after_binding_loses_nothing(connection, actor, monkeypatch):
    write = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)

    def dies(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sending, "_send", dies)
        with pytest.raises(KeyboardInterrupt):
            sending.work(write_id=write.pk)

    assert sending.work(write_id=write.pk) is False  # its lease still runs
    CatalogWrite.objects.filter(pk=write.pk).update(lease_until=utc_now() - timedelta(seconds=1))
    assert sending.due() == [write.pk]
    assert sent(write).state == State.DONE
    assert set(outcomes(write).values()) == {Outcome.APPLIED}


def test_a_channel_that_asks_for_a_rest_gets_it(connection, actor):
    write = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)
    Fault.objects.create(vendor=connection.channel, kind=Fault.Kind.RATE_LIMITED, remaining=1)

    assert sending.work(write_id=write.pk) is False

    connection.refresh_from_db()
    assert connection.resting_until > utc_now()
    assert sending.due() == []
    assert sent(write).state == State.DONE


def test_access_taken_away_stops_it_and_nothing_is_lost(connection, actor):
    write = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)
    if connection.channel == "square":
        square_accounts.revoke(account=shops.square_account(connection))
    else:
        shopify_accounts.uninstall(ShopifyShop.objects.get(domain=connection.account_id))

    sending.work(write_id=write.pk)

    connection.refresh_from_db()
    write.refresh_from_db()
    assert connection.state == Connection.State.RECONNECT
    assert write.state == State.SENDING
    assert sending.due() == []
    assert set(outcomes(write).values()) == {Outcome.WAITING}


def test_one_line_the_channel_refuses_stops_no_other(connection, actor):
    write = drafting.draft(connection_id=connection.pk, actor=actor)
    bad = line_of(write, "MUG-1")
    CatalogWriteLine.objects.filter(pk=bad.pk).update(after={"sku": "X" * 300})

    write = sent(approved(write, actor))

    bad.refresh_from_db()
    assert write.state == State.DONE
    assert bad.outcome == Outcome.REFUSED
    assert bad.message
    assert line_of(write, "TEE-1").outcome == line_of(write, "TEE-2").outcome == Outcome.APPLIED


def test_stopping_leaves_what_is_written_and_sends_no_more(merchant, actor):
    connection = opened("shopify", merchant, actor)
    write = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)
    before = vendor(connection)

    deciding.cancel(write_id=write.pk, actor=actor)
    sent(write)

    assert write.state == State.DONE
    assert vendor(connection) == before
    with pytest.raises(NotAllowed):
        deciding.undo(write_id=write.pk, actor=actor)


# --- the way back -------------------------------------------------------------------------------------------


def test_undoing_wants_a_yes_and_restores_the_vendors_own_values_to_the_byte(connection, actor):
    before, listed = vendor(connection), ours(connection)
    write = written(connection, actor)
    assert vendor(connection) != before  # control

    back = deciding.undo(write_id=write.pk, actor=actor)
    assert (back.state, back.undoes) == (State.DRAFT, write)
    assert sending.due() == []
    sent(approved(back, actor))

    assert set(outcomes(back).values()) == {Outcome.APPLIED}
    assert vendor(connection) == before
    assert ours(connection) == listed
    with pytest.raises(NotAllowed, match="already"):
        deciding.undo(write_id=write.pk, actor=actor)


def test_undoing_keeps_what_somebody_changed_there_since(connection, actor):
    write = written(connection, actor)
    mug = row_of(connection, "MUG-1")
    rename(connection, mug.external_id, "BY-HAND")

    back = sent(approved(deciding.undo(write_id=write.pk, actor=actor), actor))

    assert outcomes(back)[mug.external_id] == Outcome.STALE
    assert vendor(connection)[mug.external_id][0] == "BY-HAND"
    assert list(outcomes(back).values()).count(Outcome.APPLIED) == 2


def test_what_was_so_already_is_not_ours_to_take_back(connection, actor):
    write = approved(drafting.draft(connection_id=connection.pk, actor=actor), actor)
    mug = line_of(write, "MUG-1")
    CatalogWriteLine.objects.filter(pk=mug.pk).update(after={"sku": "mug 1"}, before={"sku": "mug 0"})

    sent(write)

    mug.refresh_from_db()
    assert (mug.outcome, mug.message) == (Outcome.APPLIED, "It was so already.")
    back = deciding.undo(write_id=write.pk, actor=actor)
    assert not back.lines.filter(listing=mug.listing).exists()

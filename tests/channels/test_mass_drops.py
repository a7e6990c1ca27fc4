"""The mass-drop guard at sending, reading and booking, and the breaker that opens on errors and closes by a probe."""

import itertools
import threading
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection as database
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from channels import contact, guards, inbox, publisher, reconcile
from channels.models import ChannelStock, Connection, GuardStop, Incident, RemoteChange, StockGap
from channels.ports import ConnectorError, Count, MadeBy, StockChange
from channels.reconcile import changes, deciding, judging
from inventory import ledger
from inventory.models import StockLevel
from tests import factories, locks

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    """Forty numbers of one connection, twenty of each, counted here."""
    connection = factories.ConnectionFactory(is_live=True)
    place = factories.ChannelLocationFactory(connection=connection)
    made = [
        factories.ChannelStockFactory(
            connection=connection, channel_location=place, desired=20, expected=20, observed=20
        )
        for _ in range(40)
    ]
    post(made, counted=Decimal(20), kind="opening", key="open")
    ChannelStock.objects.update(expected=20, dirty_at=None)
    return connection, made


def post(cells, *, key, kind="adjust", **changed):
    entries = [
        ledger.Entry(
            cell.listing.variant_id, cell.channel_location.location_id, kind, f"{key}{cell.pk}", timezone.now(),
            **changed,
        )
        for cell in cells
    ]  # fmt: skip
    with transaction.atomic():
        ledger.post(merchant_id=cells[0].merchant_id, source="test", entries=entries)


def due(connection):
    return publisher.due_cells(connection, now=timezone.now()).count()


@pytest.mark.parametrize(
    ("before", "after", "is_cut"),
    [
        (1, 0, True),
        (5, -1, True),
        (0, -1, False),
        (2, 1, False),
        (9, 4, True),
        (10, 5, False),
        (20, 9, True),
        (6, 2, False),
    ],
)
def test_a_cut_is_to_nothing_or_by_more_than_half(before, after, is_cut):
    assert guards.is_cut(before=Decimal(before), after=Decimal(after)) is is_cut


def test_a_mass_of_drops_is_not_sent_and_the_rest_is(shop):
    connection, cells = shop
    post(cells[:20], key="gone", on_hand=Decimal(-20))
    post(cells[20:25], key="sold", on_hand=Decimal(-1))
    assert due(connection) == 25
    stop = guards.hold_due_cuts(connection)
    assert (stop.kind, stop.lines.count(), due(connection)) == ("publish", 20, 5)
    incident = Incident.objects.standing().get(kind="guard")
    assert "20 numbers" in incident.title
    post(cells[25:26], key="more", on_hand=Decimal(-20))
    assert guards.hold_due_cuts(connection).pk == stop.pk
    assert stop.lines.count() == 21


@pytest.mark.parametrize(
    ("cut", "cells", "share", "stops"),
    [(10, 1, "0.01", False), (11, 200, "0.2", True), (11, 200, "0.5", False), (11, 10, "1", True)],
)
def test_it_stops_by_count_and_by_share_but_never_for_a_few(shop, cut, cells, share, stops):
    connection, made = shop
    connection.guard_cells, connection.guard_share = cells, Decimal(share)
    connection.save()
    post(made[:cut], key="gone", on_hand=Decimal(-20))
    assert (guards.hold_due_cuts(connection) is not None) is stops


def test_approved_numbers_go_out_and_discarded_ones_are_looked_at_again(shop):
    connection, cells = shop
    actor = factories.MembershipFactory(merchant=connection.merchant).user
    post(cells[:20], key="gone", on_hand=Decimal(-20))
    stop = guards.hold_due_cuts(connection)
    reconcile.decide_stop(stop_id=stop.pk, is_approved=False, actor=actor)
    again = guards.hold_due_cuts(connection)
    assert again.pk != stop.pk
    reconcile.decide_stop(stop_id=again.pk, is_approved=True, actor=actor)
    assert guards.hold_due_cuts(connection) is None
    assert due(connection) == 20
    assert not Incident.objects.standing().filter(kind="guard").exists()
    with pytest.raises(guards.AlreadyDecided):
        reconcile.decide_stop(stop_id=again.pk, is_approved=True, actor=actor)


def test_what_the_owner_approved_in_the_first_table_does_not_stop_again(shop):
    connection, cells = shop
    ChannelStock.objects.update(guard_passed_at=timezone.now())
    post(cells, key="gone", on_hand=Decimal(-20))
    assert guards.hold_due_cuts(connection) is None


def told(cells, delta, **extra):
    return [
        StockChange(
            external_id=f"C{cell.pk}", inventory_id=cell.listing.inventory_id,
            location_id=cell.channel_location.external_id, delta=Decimal(delta), occurred_at=timezone.now(),
            cause="edited in the dashboard", **extra,
        )
        for cell in cells
    ]  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_changes_that_cut_a_mass_are_kept_and_booked_only_after_a_yes(shop):
    connection, cells = shop
    places = {cells[0].channel_location.external_id: cells[0].channel_location.location_id}
    assert changes._take(connection, told(cells, -20, made_by=MadeBy.PERSON), places) == 0
    assert StockLevel.objects.filter(on_hand=20).count() == 40
    stop = GuardStop.objects.get(kind="changes")
    assert changes._take(connection, told(cells, -20, made_by=MadeBy.PERSON), places) == 0, "told twice, kept once"
    actor = factories.MembershipFactory(merchant=connection.merchant).user
    reconcile.decide_stop(stop_id=stop.pk, is_approved=True, actor=actor)
    assert StockLevel.objects.filter(on_hand=0).count() == 40
    assert set(RemoteChange.objects.values_list("state", flat=True)) == {"booked"}


@pytest.mark.django_db(transaction=True)
def test_another_apps_change_waits_for_a_person_until_that_app_is_trusted(shop):
    connection, cells = shop
    places = {cells[0].channel_location.external_id: cells[0].channel_location.location_id}
    app = {"made_by": MadeBy.APP, "app": "CountBot", "app_id": "bot"}
    assert changes._take(connection, told(cells[:1], -2, **app), places) == 0
    assert changes._take(connection, told(cells[1:2], -2, made_by=MadeBy.PERSON, by="Kim"), places) == 1
    gap = StockGap.objects.get()
    assert (gap.cause, gap.state, gap.evidence["by"]) == ("manual_edit", "healed", "Kim")
    connection.trusted_apps = ["bot"]
    assert changes._take(connection, told(cells[2:3], -2, **app), places) == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_booked_is_taken_back_and_asked_about(shop):
    connection, cells = shop
    actor = factories.MembershipFactory(merchant=connection.merchant).user
    places = {cells[0].channel_location.external_id: cells[0].channel_location.location_id}
    changes._take(connection, told(cells[:1], -2, made_by=MadeBy.PERSON), places)
    ChannelStock.objects.filter(pk=cells[0].pk).update(observed=18)
    gap = StockGap.objects.get()
    reconcile.undo(gap_id=gap.pk, actor=actor)
    level = StockLevel.objects.get(variant=cells[0].listing.variant_id)
    cell = ChannelStock.objects.get(pk=cells[0].pk)
    assert (level.on_hand, cell.expected, cell.doubt) == (20, 20, 2)
    again = StockGap.objects.get(state="asked")
    assert again.evidence["undone"] == gap.pk
    with pytest.raises(reconcile.CannotUndo):
        reconcile.undo(gap_id=gap.pk, actor=actor)
    assert reconcile.decide(connection=connection, gap_ids=[again.pk], choice="theirs", actor=actor) == 1
    level.refresh_from_db()
    assert level.on_hand == 18


def asked(cells, *, cause="unknown", **evidence):
    """These cells show 17, and a person is asked."""
    ChannelStock.objects.filter(pk__in=[cell.pk for cell in cells]).update(observed=17, drift_at=timezone.now())
    return [
        factories.StockGapFactory(cell=cell, cause=cause, question="q", observed=17, expected=20, evidence=evidence)
        for cell in cells
    ]


def on_hand(cells):
    return [int(StockLevel.objects.get(variant=cell.listing.variant_id).on_hand) for cell in cells]


@pytest.fixture
def manager(shop):
    return factories.MembershipFactory(merchant=shop[0].merchant).user


def booked(connection, rows, actor, choice="theirs"):
    """All of them answered at once; the decision's name."""
    reconcile.decide(connection=connection, gap_ids=[gap.pk for gap in rows], choice=choice, actor=actor)
    return StockGap.objects.get(pk=rows[0].pk).decision


def test_what_one_answer_booked_is_taken_back_at_once_and_asked_about_as_one_question(shop, manager):
    connection, cells = shop
    rows = asked(cells[:7])
    single = asked(cells[7:8])
    first, other = booked(connection, rows, manager), booked(connection, single, manager)
    assert on_hand(cells[:8]) == [17] * 8
    undone = reconcile.undo_decision(connection=connection, decision=first, actor=manager)
    assert (undone.done, undone.refused) == (7, 0)
    assert on_hand(cells[:8]) == [20] * 7 + [17]
    assert StockGap.objects.filter(decision=other, state="decided").exists()
    again = StockGap.objects.filter(state="asked")
    assert (again.count(), len(set(again.values_list("question", flat=True)))) == (7, 1)
    assert "in 7 places" in Incident.objects.standing().get(kind="drift").title
    twice = reconcile.undo_decision(connection=connection, decision=first, actor=manager)
    assert (twice.done, twice.refused, on_hand(cells[:7])) == (0, 0, [20] * 7)
    assert (
        reconcile.decide(connection=connection, gap_ids=[gap.pk for gap in again], choice="theirs", actor=manager) == 7
    )
    assert on_hand(cells[:7]) == [17] * 7


def test_what_cannot_be_taken_back_stops_no_other(shop, manager):
    connection, cells = shop
    rows = asked(cells[:3])
    decision = booked(connection, rows, manager)
    asked(cells[1:2])  # the same number is in question again
    undone = reconcile.undo_decision(connection=connection, decision=decision, actor=manager)
    assert (undone.done, undone.refused) == (2, 1)
    assert undone.reasons == ["The same number is in question again: decide that first."]
    assert on_hand(cells[:3]) == [20, 17, 20]
    assert StockGap.objects.get(decision=decision, state="decided").pk == rows[1].pk


def test_an_app_is_trusted_no_more_when_nothing_is_left_of_the_answer(shop, manager):
    connection, cells = shop
    bot = {"app": "CountBot", "app_id": "bot"}
    one_by_one = asked(cells[:2], cause="other_app", **bot)
    booked(connection, one_by_one, manager, choice="trust")
    for gap, left in zip(one_by_one, (["bot"], []), strict=True):
        reconcile.undo(gap_id=gap.pk, actor=manager)
        connection.refresh_from_db()
        assert connection.trusted_apps == left
    at_once = booked(connection, StockGap.objects.filter(state="asked"), manager, choice="trust")
    connection.refresh_from_db()
    assert (connection.trusted_apps, on_hand(cells[:2])) == (["bot"], [17, 17])
    reconcile.undo_decision(connection=connection, decision=at_once, actor=manager)
    connection.refresh_from_db()
    assert (connection.trusted_apps, on_hand(cells[:2])) == ([], [20, 20])


BOT = {"cause": "other_app", "app": "CountBot", "app_id": "bot"}


def trusted(connection):
    return Connection.objects.get(pk=connection.pk).trusted_apps


def test_an_app_of_whose_answer_something_is_left_stays_trusted(shop, manager):
    connection, cells = shop
    decision = booked(connection, asked(cells[:3], **BOT), manager, choice="trust")
    asked(cells[1:2])  # the same number is in question again
    undone = reconcile.undo_decision(connection=connection, decision=decision, actor=manager)
    assert (undone.done, undone.refused, trusted(connection)) == (2, 1, ["bot"])


def test_an_app_that_another_answer_trusts_stays_trusted(shop, manager):
    connection, cells = shop
    first, second = asked(cells[:1], **BOT), asked(cells[1:3], **BOT)
    booked(connection, first, manager, choice="trust")
    at_once = booked(connection, second, manager, choice="trust")
    reconcile.undo_decision(connection=connection, decision=at_once, actor=manager)
    assert trusted(connection) == ["bot"]
    reconcile.undo(gap_id=first[0].pk, actor=manager)
    assert trusted(connection) == []


def test_numbers_of_no_app_are_booked_with_those_of_one_and_trust_nobody(shop, manager):
    connection, cells = shop
    decision = booked(connection, [*asked(cells[:1], **BOT), *asked(cells[1:2])], manager, choice="trust")
    assert list(StockGap.objects.order_by("cell_id").values_list("deed", flat=True)) == ["trusted", "theirs"]
    assert trusted(connection) == ["bot"]
    reconcile.undo_decision(connection=connection, decision=decision, actor=manager)
    assert (on_hand(cells[:2]), trusted(connection)) == ([20, 20], [])


def trust_while_it_is_taken_back(shop, manager, *, meanwhile):
    """A second number of an app is answered while the first is taken back and not committed; who is trusted then."""
    connection, cells = shop
    first, second = asked(cells[:2], **BOT)
    booked(connection, [first], manager, choice="trust")

    def answer():
        reconcile.decide(connection=connection, gap_ids=[second.pk], choice="trust", actor=manager)
        database.close()

    other = threading.Thread(target=answer)
    with transaction.atomic():
        reconcile.undo(gap_id=first.pk, actor=manager)
        other.start()
        meanwhile(other)
    other.join()
    assert StockGap.objects.get(pk=second.pk).deed == "trusted"
    return trusted(connection)


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_an_answer_that_waited_for_an_undoing_trusts_its_app(shop, manager):
    waits = trust_while_it_is_taken_back(shop, manager, meanwhile=lambda _: locks.wait_until_one_is_waited_for())
    assert waits == ["bot"]


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_its_app_is_trusted_no_more(shop, manager, monkeypatch):
    monkeypatch.setattr(deciding, "_locked", lambda pk: Connection.objects.get(pk=pk))
    assert trust_while_it_is_taken_back(shop, manager, meanwhile=threading.Thread.join) == []


class Cut(Exception):
    """The process dies."""


def cut_short(act, *, after):
    """Do it, dying before the statement after so many; whether it came to its end first."""
    left = after

    def die(execute, sql, params, many, context):
        nonlocal left
        left -= 1
        if left == -1:
            raise Cut
        return execute(sql, params, many, context)

    with suppress(Cut), database.execute_wrapper(die):
        act()
        return True
    return False


def is_whole(connection):
    """Whatever was done, what follows from it was: its questions have incidents, whoever is trusted has an answer."""
    questions = set(StockGap.objects.filter(state="asked").exclude(question="q").values_list("question", flat=True))
    answers = StockGap.objects.filter(state="decided", deed="trusted").values_list("evidence__app_id", flat=True)
    assert questions <= set(Incident.objects.standing().values_list("key", flat=True))
    assert trusted(connection) == sorted(set(answers))


@pytest.mark.parametrize("cause", [{}, BOT])
def test_an_answer_and_its_undoing_cut_short_anywhere_leave_no_question_hidden_and_are_finished_by_another_try(
    shop, manager, cause
):
    connection, cells = shop
    rows = asked(cells[:2], **cause)

    def answer():
        waiting = [gap.pk for gap in StockGap.objects.filter(pk__in=[gap.pk for gap in rows], state="asked")]
        reconcile.decide(connection=connection, gap_ids=waiting, choice="trust", actor=manager)

    def take_back():
        for decision in set(StockGap.objects.filter(state="decided").values_list("decision", flat=True)):
            reconcile.undo_decision(connection=connection, decision=decision, actor=manager)

    for act, end in ((answer, [17] * 2), (take_back, [20] * 2)):
        is_at_end = False
        for after in itertools.count(step=11):
            with transaction.atomic():
                is_at_end = cut_short(act, after=after)
                is_whole(connection)
                act()
                is_whole(connection)
                assert on_hand(cells[:2]) == end
                transaction.set_rollback(not is_at_end)
            if is_at_end:
                break
    incident = Incident.objects.standing().get()
    assert (incident.times, incident.cell_id, incident.detail["gaps"]) == (1, None, 2)


def test_the_page_lists_what_was_booked_at_once_and_takes_it_back(client, shop, manager):
    connection, cells = shop
    client.force_login(manager)
    where = {"shop": connection.merchant.slug, "connection_id": connection.pk}
    ours, theirs, alone = asked(cells[:2]), asked(cells[2:5]), asked(cells[5:6])
    booked(connection, ours, manager, choice="ours")
    decision = booked(connection, theirs, manager)
    booked(connection, alone, manager)
    page = client.get(reverse("channel_drift", kwargs=where)).content.decode()
    assert (page.count("Take all"), "Take all 3 back" in page) == (1, True)
    there = reverse("undo_decision", kwargs=where)
    assert client.post(there, {"decision": "all"}).status_code == 422
    answer = client.post(there, {"decision": str(decision)}, follow=True).content.decode()
    assert ("3 taken back. Their questions are open again." in answer, "Take all" in answer) == (True, False)
    assert on_hand(cells[:6]) == [20] * 5 + [17]
    assert "taken back already" in client.post(there, {"decision": str(decision)}, follow=True).content.decode()


def failed(connection, times):
    for _ in range(times):
        contact.failed(connection_id=connection.pk, error=ConnectorError("500", is_outcome_unknown=True))
    connection.refresh_from_db()


def test_the_breaker_opens_on_a_row_of_errors_and_one_probe_closes_it(shop):
    connection, _ = shop
    failed(connection, contact.FAILURES_BEFORE_REST)
    assert contact.breaker(connection, now=timezone.now()) == contact.OPEN
    assert not inbox.may_read(connection, now=timezone.now())
    rested = connection.resting_until + timedelta(seconds=1)
    assert contact.breaker(connection, now=rested) == contact.HALF_OPEN
    assert publisher.may_write(connection, now=rested), "one caller may try"
    connection.refresh_from_db()
    assert not inbox.may_read(connection, now=rested), "and nobody beside it"
    contact.heard(connection_id=connection.pk)
    connection.refresh_from_db()
    assert contact.breaker(connection, now=rested) == contact.CLOSED
    assert inbox.may_read(connection, now=rested)
    assert publisher.may_write(connection, now=rested)


def test_a_probe_that_fails_opens_it_for_longer_and_one_that_dies_lets_another_try(shop):
    connection, _ = shop
    failed(connection, contact.FAILURES_BEFORE_REST)
    rested = connection.resting_until + timedelta(seconds=1)
    stale = Connection.objects.get(pk=connection.pk)
    assert inbox.may_read(connection, now=rested)
    assert not inbox.may_read(stale, now=rested), "two that saw it rested: one wins"
    connection.refresh_from_db()
    assert inbox.may_read(connection, now=rested + contact.PROBE + timedelta(seconds=1))
    failed(connection, 5)
    assert connection.resting_until - timezone.now() > timedelta(seconds=5)


def test_the_page_shows_what_was_stopped_and_wants_the_word(client, shop):
    connection, cells = shop
    user = factories.MembershipFactory(merchant=connection.merchant).user
    client.force_login(user)
    post(cells[:20], key="gone", on_hand=Decimal(-20))
    stop = guards.hold_due_cuts(connection)
    where = {"shop": connection.merchant.slug, "connection_id": connection.pk}
    page = client.get(reverse("channel_drift", kwargs=where)).content.decode()
    assert "A guard stopped 20 numbers" in page
    assert ("Not all numbers have been read yet" in page, "It tells no numbers" in page) == (True, False)
    there = reverse("decide_stop", kwargs=where | {"stop_id": stop.pk})
    assert client.post(there, {"choice": "approve", "confirm": "yes"}).status_code == 422
    assert due(connection) == 0
    assert client.post(there, {"choice": "approve", "confirm": "Approve"}).status_code == 302
    assert due(connection) == 20
    assert client.post(reverse("set_guard", kwargs=where), {"cells": "0", "percent": "20"}).status_code == 422
    client.post(reverse("set_guard", kwargs=where), {"cells": "50", "percent": "12.5"})
    connection.refresh_from_db()
    assert (connection.guard_cells, connection.guard_share) == (50, Decimal("0.125"))


def test_the_page_asks_once_for_many_and_undoes(client, shop):
    connection, cells = shop
    client.force_login(factories.MembershipFactory(merchant=connection.merchant).user)
    where = {"shop": connection.merchant.slug, "connection_id": connection.pk}
    ChannelStock.objects.filter(pk__in=[cell.pk for cell in cells[:3]]).update(observed=17, drift_at=timezone.now())
    for cell in cells[:3]:
        factories.StockGapFactory(
            cell=cell, cause="other_app", question="q", observed=17, expected=20,
            evidence={"app": "CountBot", "app_id": "bot", "change": "edited by another app"},
        )  # fmt: skip
    healed = factories.StockGapFactory(cell=cells[5], cause="manual_edit", state="healed", deed="booked", moved=-2)
    page = client.get(reverse("channel_drift", kwargs=where)).content.decode()
    assert "Ours: send all 3" in page
    assert "trust CountBot" in page
    filtered = client.get(reverse("channel_drift", kwargs=where) + "?cause=manual_edit&state=healed").content.decode()
    assert f"gap-{healed.pk}" in filtered
    client.post(reverse("decide_drift", kwargs=where), {"question": "q", "choice": "trust"})
    connection.refresh_from_db()
    assert connection.trusted_apps == ["bot"]
    assert StockLevel.objects.filter(on_hand=17).count() == 3
    assert client.post(reverse("decide_drift", kwargs=where), {"choice": "both"}).status_code == 422
    client.post(reverse("undo_gap", kwargs=where | {"gap_id": healed.pk}))
    assert StockGap.objects.get(pk=healed.pk).state == "undone"


def test_a_gap_is_found_by_its_sku_and_an_answer_leads_back_to_what_was_looked_at(client, shop):
    connection, cells = shop
    owner = factories.MembershipFactory(merchant=connection.merchant, user__name="Ida Holm").user
    client.force_login(owner)
    where = {"shop": connection.merchant.slug, "connection_id": connection.pk}
    here, sku = reverse("channel_drift", kwargs=where), cells[0].listing.sku
    ChannelStock.objects.filter(pk__in=[cell.pk for cell in cells[:2]]).update(observed=17, drift_at=timezone.now())
    first, second = (factories.StockGapFactory(cell=cell, observed=17, expected=20) for cell in cells[:2])
    asked = {"state": "asked", "q": sku.lower()}
    page = client.get(here, asked).content.decode()
    assert f'id="gap-{first.pk}"' in page
    assert f'id="gap-{second.pk}"' not in page
    assert f'href="{here}?q={sku.lower()}&amp;state=healed"' in page
    narrowed = f"?state=asked&q={sku.lower()}"
    there = reverse("decide_drift", kwargs=where)
    answer = client.post(there + narrowed, {"gap": [first.pk, "²"], "choice": "theirs"})
    assert answer["Location"] == here + narrowed
    assert "Decided by Ida Holm" in client.get(here).content.decode()
    assert "Nothing like that" in client.get(here, {"q": "no such"}).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_difference_that_could_not_be_looked_into_is_feared_and_judged_at_the_next_reading(shop, monkeypatch):
    """The channel tells its numbers and then does not answer when its listing is to be read again."""
    connection, cells = shop
    count = Count(cells[0].listing.inventory_id, cells[0].channel_location.external_id, Decimal(17), None)

    def read(is_recheck):
        reconcile.observe(connection=connection, counts=[count], read_at=timezone.now(), is_recheck=is_recheck)

    def silent(connection, external_ids):
        raise ConnectorError("no answer")

    monkeypatch.setattr(judging, "_read_again", silent)
    read(is_recheck=False)
    with pytest.raises(ConnectorError):
        read(is_recheck=True)
    assert ChannelStock.objects.get(pk=cells[0].pk).doubt == 3
    assert StockGap.objects.get().state == "open"
    monkeypatch.setattr(judging, "_read_again", lambda connection, external_ids: None)
    read(is_recheck=True)
    assert (StockGap.objects.get().state, StockGap.objects.get().cause) == ("asked", "unknown")
    assert Incident.objects.standing().filter(kind="drift").count() == 1
    read(is_recheck=True)
    assert Incident.objects.get(kind="drift").times == 1, "asked once, not at every reading"

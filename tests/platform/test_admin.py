"""The admin: every list and page opens, at a cost that does not grow with its rows; the ledger is not changed there."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection as database
from django.db import transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now as utc_now

from channels import credentials
from channels import models as channels
from channels.alerts import models as alerts
from channels.models import Connection, InboundEvent
from channels.own import models as own
from channels.own import tokens
from channels.sandbox import standins
from inventory import ledger
from inventory import models as inventory
from onboarding import models as onboarding
from storestudio.accounts import audit, backoffice
from storestudio.accounts import models as accounts
from tests import factories

pytestmark = pytest.mark.django_db
SHOPS = ("accounts", "inventory", "channels", "own", "alerts", "onboarding")
APPS = (*SHOPS, "sandbox", *(f"sandbox_{name}" for name in standins.names()))
OURS = [model for model in admin.site._registry if model._meta.app_label in APPS]
LEDGER = [
    inventory.StockMovement, inventory.StockMovementKey, inventory.StockLevel, inventory.Order, accounts.AuditEntry,
    channels.InboundEvent, channels.ChannelWrite, channels.ChannelWriteLine, channels.ChannelStock,
    channels.Connection, channels.Approval, channels.ChannelCommand, channels.Collision,
    channels.CollisionDecision,
    channels.StockGap, channels.RemoteChange, channels.GuardStop, channels.StockSweep,
    *apps.get_app_config("onboarding").get_models(),
]  # fmt: skip
SECRETS = {"access_token": "very-secret-token", "client_secret": "very-secret-too"}


def page(model: Any, name: str, *arguments: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=arguments)


@pytest.fixture
def admin_user() -> accounts.User:
    return accounts.User.objects.create_superuser("admin@example.com")


@pytest.fixture
def admin_client(client: Any, admin_user: accounts.User) -> Any:
    client.force_login(admin_user)
    return client


def a_shop() -> dict[type, Any]:
    """One row of every table of ours, all of one shop."""
    member = factories.MembershipFactory()
    cell = factories.ChannelStockFactory(connection__merchant=member.merchant, connection__is_live=True)
    connection, variant, place = cell.connection, cell.listing.variant, cell.channel_location.location
    credentials.store(connection, SECRETS)
    connection.save()
    line = factories.OrderLineFactory(order__merchant=member.merchant, order__channel_id=connection.pk, variant=variant)
    held = inventory.Reservation.objects.create(
        merchant=member.merchant, idempotency_key="cart-1", expires_at=utc_now()
    )
    inventory.ReservationLine.objects.create(reservation=held, variant=variant, location=place, quantity=Decimal(1))
    arrival = inventory.Arrival.objects.create(
        merchant=member.merchant, key=uuid.uuid4(), supplier="Acme", destination=place, created_by=member.user
    )
    inventory.ArrivalLine.objects.create(arrival=arrival, variant=variant, quantity=Decimal(2))
    inventory.ArrivalStep.objects.create(arrival=arrival, key=uuid.uuid4(), kind="send", was="draft")
    inventory.RoutingPolicy.objects.create(merchant=member.merchant, rules=["ranking"])
    inventory.RoutingDecision.objects.create(merchant=member.merchant, reference="hold:1", question={})
    inventory.OrderHold.objects.create(line=line, location=place, committed=Decimal(1))
    inventory.OrderReturn.objects.create(line=line, document="R1")
    event = factories.InboundEventFactory(connection=connection)
    factories.ChannelWriteLineFactory(cell=cell, cause_event_id=event.pk)
    outage = channels.Outage.objects.create(channel="square", resolved_at=utc_now())
    incident = factories.IncidentFactory(connection=connection, variant=variant, cell=cell, outage=outage)
    channels.IncidentEvent.objects.create(incident=incident, kind="noted", words="seen", actor=member.user)
    alerts.AlertDelivery.objects.create(
        merchant=member.merchant, route=factories.AlertRouteFactory(merchant=member.merchant), incident=incident,
        dedupe_key=f"event:{incident.pk}", next_attempt_at=utc_now(),
    )  # fmt: skip
    channels.IncidentSubject.objects.create(incident=incident, key="cell:1", title="7", variant=variant, cell=cell)
    channels.ConnectionRate.objects.create(connection=connection, minute_at=utc_now())
    channels.ConnectionWork.objects.create(connection=connection, kind="inbox")
    channels.ChannelCommand.objects.create(
        merchant=member.merchant, connection=connection, order=line.order, kind="cancel", words="Cancel it",
        payload={"order_id": line.order.external_id}, idempotency_key=uuid.uuid4(), asked_by=member.user,
    )  # fmt: skip
    collision = channels.Collision.objects.create(
        merchant=member.merchant, variant=variant, location=place, missing=Decimal(1), cause="late"
    )
    channels.CollisionDecision.objects.create(
        merchant=member.merchant, collision=collision, order=line.order, line=line, key=uuid.uuid4(), kind="cancel",
        units=Decimal(1), words="Cancel it",
    )  # fmt: skip
    approval = channels.Approval.objects.create(
        merchant=member.merchant, connection=connection, approved_by=member.user
    )
    channels.ApprovalLine.objects.create(approval=approval, cell=cell, before=Decimal(3), after=Decimal(5))
    rule = factories.AvailabilityRuleFactory(merchant=member.merchant, variant=variant)
    channels.RuleChange.objects.create(merchant=member.merchant, rule=rule, after={"safety_stock": "2"})
    channels.CellPolicy.objects.create(cell=cell, safety_stock=2)
    channels.RuleWork.objects.create(product_id=variant.product_id)
    channels.SubscriptionRepair.objects.create(
        merchant=member.merchant, connection=connection, topics=["order.updated"]
    )
    channels.StockSweep.objects.create(merchant=member.merchant, connection=connection)
    gap = factories.StockGapFactory(cell=cell)
    factories.RemoteChangeFactory(connection=connection, inventory_id=gap.listing.inventory_id)
    stop = channels.GuardStop.objects.create(merchant=member.merchant, connection=connection, kind="publish")
    channels.GuardLine.objects.create(stop=stop, cell=cell, before=Decimal(9), after=Decimal(0))
    entry = ledger.Entry(variant.pk, place.pk, "adjust", "a", utc_now(), on_hand=Decimal(7), actor_id=member.user_id)
    with transaction.atomic():
        ledger.post(merchant_id=member.merchant_id, source="user", entries=[entry])
    audit.record(actor=member.user, merchant=member.merchant, action="stock.adjusted", target=variant, summary="7 more")
    factories.VariantAliasFactory(variant=variant)
    inventory.VariantMerge.objects.create(
        merchant=member.merchant, survivor=variant, duplicate=factories.VariantFactory(merchant=member.merchant)
    )
    bundle = inventory.Bundle.objects.create(
        merchant=member.merchant, variant=factories.VariantFactory(merchant=member.merchant)
    )
    inventory.BundleComponent.objects.create(bundle=bundle, variant=variant, quantity=2)
    site = factories.ConnectionFactory(merchant=member.merchant, channel="own")
    token, _ = tokens.issue(connection=site, name="Web", scopes=["holds:read"], actor=member.user)
    own.RateWindow.objects.create(token=token, started_at=utc_now(), used=1)
    endpoint = own.WebhookEndpoint.objects.create(
        merchant=member.merchant, connection=site, url="https://shop.example/hooks", topics=["hold.expired"]
    )
    message = own.WebhookMessage.objects.create(
        merchant=member.merchant,
        connection=site,
        message_id=f"msg_{site.pk}",
        topic="hold.expired",
        reservation=held,
        body="{}",
    )
    delivery = own.WebhookDelivery.objects.create(merchant=member.merchant, message=message, endpoint=endpoint)
    own.WebhookAttempt.objects.create(
        delivery=delivery, sent_at=utc_now(), took_ms=12, status=500, error="answered 500"
    )
    a_catalog_being_cleaned(member=member, connection=connection)
    accounts.Heartbeat.objects.get_or_create(name="worker", defaults={"beat_at": utc_now()})
    return {Connection: connection, InboundEvent: event, inventory.Variant: variant}


def a_catalog_being_cleaned(*, member: accounts.Membership, connection: Connection) -> None:
    """One row of every table of onboarding."""
    shop = {"merchant": member.merchant}
    factories.FindingFactory(**shop)
    factories.CleanupRuleFactory(**shop, made_by=member.user)
    factories.SkuPatternFactory(**shop, changed_by=member.user)
    onboarding.FindingRun.objects.create(**shop)
    changeset = onboarding.ChangeSet.objects.create(**shop, kind="import", title="goods.csv", actor=member.user)
    onboarding.Change.objects.create(changeset=changeset, table="variant", row_id=1, after={"sku": "MUG"})
    onboarding.BulkAcceptance.objects.create(
        **shop, confidence=0.9, findings=[1], changeset=changeset, actor=member.user, ended_at=utc_now()
    )
    batch = factories.ImportBatchFactory(**shop, changeset=changeset, created_by=member.user)
    onboarding.ImportChunk.objects.create(batch=batch, place=0, body=b"Title,SKU\n")
    onboarding.StagedRow.objects.create(batch=batch, number=2, action="new")
    onboarding.ColumnMapping.objects.create(**shop, signature="title", columns={"Title": "title"})
    suggestion = factories.SuggestionFactory(listing__connection=connection)
    onboarding.MappingRun.objects.create(**shop, connection=connection)
    onboarding.ListingWish.objects.create(**shop, listing=suggestion.listing, field="sku", value="MUG")
    write = factories.CatalogWriteFactory(connection=connection, approved_by=member.user)
    onboarding.CatalogWriteLine.objects.create(
        write=write, listing=suggestion.listing, before={"sku": "mug"}, after={"sku": "MUG"}
    )


def test_every_table_of_ours_is_in_the_admin() -> None:
    missing = [
        model.__name__
        for label in SHOPS
        for model in apps.get_app_config(label).get_models()
        if not admin.site.is_registered(model)
    ]
    assert missing == ["BundleComponent", "ReservationLine"]  # seen within their bundle, their reservation


@pytest.mark.parametrize("model", OURS, ids=lambda model: model._meta.label)
def test_every_list_and_page_opens(admin_client: Any, model: Any) -> None:
    a_shop()
    row = model.objects.order_by("pk").last()

    assert row or model._meta.app_label.startswith("sandbox"), "a_shop() has no such row"
    assert admin_client.get(page(model, "changelist")).status_code == 200
    if row:
        assert admin_client.get(page(model, "change", row.pk)).status_code == 200
    if admin.site._registry[model].search_fields:
        assert admin_client.get(page(model, "changelist"), {"q": "LNO-00001"}).status_code == 200


@pytest.mark.parametrize("model", [one for one in OURS if one._meta.app_label in SHOPS], ids=lambda m: m._meta.label)
def test_a_lists_cost_does_not_grow_with_its_rows(admin_client: Any, model: Any) -> None:
    a_shop()
    admin_client.get(page(model, "changelist"))
    with CaptureQueriesContext(database) as few:
        admin_client.get(page(model, "changelist"))
    for _ in range(3):
        a_shop()
    with CaptureQueriesContext(database) as many:
        admin_client.get(page(model, "changelist"))

    assert len(many) <= len(few), "\n".join(query["sql"][:200] for query in many.captured_queries)


@pytest.mark.parametrize("model", LEDGER, ids=lambda model: model._meta.label)
def test_what_only_the_rules_write_is_not_changed_by_an_admin(admin_client: Any, model: Any) -> None:
    a_shop()
    row = model.objects.order_by("pk").last()
    before = model.objects.filter(pk=row.pk).values().get()

    assert admin_client.get(page(model, "add")).status_code == 403
    assert admin_client.post(page(model, "change", row.pk), {"kind": "count", "label": "x"}).status_code == 403
    assert admin_client.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    gone = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    admin_client.post(page(model, "changelist"), gone)
    assert model.objects.filter(pk=row.pk).values().get() == before


def test_the_rows_of_an_import_are_found_from_it(admin_client: Any) -> None:
    a_shop()
    other = factories.ImportBatchFactory()
    batch = onboarding.ImportBatch.objects.exclude(pk=other.pk).get()
    onboarding.StagedRow.objects.create(batch=other, number=2, action="new")

    address = f"{page(onboarding.StagedRow, 'changelist')}?batch__id__exact={batch.pk}"
    assert address in admin_client.get(page(onboarding.ImportBatch, "changelist")).content.decode()
    assert [row.batch_id for row in admin_client.get(address).context["cl"].result_list] == [batch.pk]


def test_what_is_in_an_uploaded_piece_is_neither_read_nor_shown(admin_client: Any) -> None:
    a_shop()
    piece = onboarding.ImportChunk.objects.get()

    with CaptureQueriesContext(database) as queries:
        text = admin_client.get(page(onboarding.ImportChunk, "change", piece.pk)).content.decode()
    assert "body" not in "".join(query["sql"] for query in queries if "importchunk" in query["sql"])
    assert "Title,SKU" not in text


def test_control_a_product_is_changed(admin_client: Any) -> None:
    product = a_shop()[inventory.Variant].product
    empty = dict.fromkeys(["vendor", "category", "image_url", "archived_at_0", "archived_at_1"], "")
    fields = {"title": "Renamed", **empty}
    lines = {f"variants-{name}": 0 for name in ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS")}

    assert admin_client.post(page(inventory.Product, "change", product.pk), fields | lines).status_code == 302
    product.refresh_from_db()
    assert product.title == "Renamed"


def test_credentials_and_the_webhook_address_are_never_shown(admin_client: Any) -> None:
    connection = a_shop()[Connection]
    for address in (page(Connection, "change", connection.pk), page(Connection, "changelist")):
        text = admin_client.get(address).content.decode()
        assert connection.label in text
        for secret in (*SECRETS.values(), bytes(connection.credentials).decode(), connection.webhook_token):
            assert secret not in text


def test_a_messages_body_is_indented_and_what_is_no_json_is_shown_as_text(admin_client: Any) -> None:
    good = a_shop()[InboundEvent]
    bad = factories.InboundEventFactory(body=b"<script>\xff")

    assert (
        "  &quot;type&quot;: &quot;order.updated&quot;"
        in admin_client.get(page(InboundEvent, "change", good.pk)).content.decode()
    )
    text = admin_client.get(page(InboundEvent, "change", bad.pk)).content.decode()
    assert "&lt;script&gt;\\xff" in text


def act(client: Any, model: Any, action: str, *rows: Any) -> list[str]:
    answer = client.post(page(model, "changelist"), {"action": action, "_selected_action": [row.pk for row in rows]})
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_quarantined_messages_are_replayed_and_others_are_named(admin_client: Any, admin_user: accounts.User) -> None:
    bad, fine = factories.InboundEventFactory(is_quarantined=True), factories.InboundEventFactory(is_done=True)

    said = act(admin_client, InboundEvent, "replay_events", bad, fine)

    bad.refresh_from_db()
    fine.refresh_from_db()
    assert (bad.state, bad.attempts, fine.state) == ("pending", 0, "done")
    assert said == ["1 back in the queue", f"#{fine.pk} is not in quarantine: Applied"]
    assert accounts.AuditEntry.objects.get().actor == admin_user


def test_live_connections_are_paused_and_others_are_named(admin_client: Any) -> None:
    live, paused = factories.ConnectionFactory(is_live=True), factories.ConnectionFactory()

    said = act(admin_client, Connection, "pause_connections", live, paused)

    live.refresh_from_db()
    assert (live.state, said[0]) == ("paused", "1 paused")
    assert len(said) == 2


def test_staff_that_may_look_may_not_replay(client: Any) -> None:
    staff = factories.UserFactory(is_staff=True)
    staff.user_permissions.add(Permission.objects.get(codename="view_inboundevent"))
    client.force_login(staff)
    bad = factories.InboundEventFactory(is_quarantined=True)

    assert client.get(page(InboundEvent, "changelist")).status_code == 200
    act(client, InboundEvent, "replay_events", bad)
    bad.refresh_from_db()
    assert bad.state == "quarantined"


def test_strangers_are_sent_to_the_products_own_sign_in_and_owners_are_refused(client: Any) -> None:
    assert client.get(reverse("admin:login")).url.startswith(reverse("account_login"))
    client.force_login(factories.MembershipFactory().user)
    assert client.get(reverse("admin:login")).status_code == 403


def test_a_user_is_made_by_address(admin_client: Any) -> None:
    fields = {"email": "new@example.com", "usable_password": "true", "password1": factories.PASSWORD,
              "password2": factories.PASSWORD}  # fmt: skip

    assert admin_client.post(page(accounts.User, "add"), fields).status_code == 302
    made = accounts.User.objects.get(email="new@example.com")
    assert made.check_password(factories.PASSWORD)
    assert not made.is_staff


def test_long_tables_are_guessed_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        factories.InboundEventFactory(topic="a")
    monkeypatch.setattr(backoffice, "COUNT_MAX", 3)
    with database.cursor() as cursor:
        cursor.execute("ANALYZE channels_inboundevent")

    assert backoffice.GuessingPaginator(InboundEvent.objects.order_by("pk"), 2).count == 4
    assert backoffice.GuessingPaginator(InboundEvent.objects.filter(topic="a").order_by("pk"), 2).count == 3
    assert backoffice.GuessingPaginator(InboundEvent.objects.filter(topic="b").order_by("pk"), 2).count == 0


def test_a_movement_is_found_by_its_variants_sku_and_nothing_else_is(admin_client: Any) -> None:
    wanted = a_shop()[inventory.Variant]
    a_shop()

    answer = admin_client.get(page(inventory.StockMovement, "changelist"), {"q": f" {wanted.sku.lower()} "})
    assert [row.variant_id for row in answer.context["cl"].result_list] == [wanted.pk]
    assert not admin_client.get(page(inventory.StockMovement, "changelist"), {"q": "N/A"}).context["cl"].result_list

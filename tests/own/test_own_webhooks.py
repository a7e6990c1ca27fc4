"""Signed webhooks over real HTTP to an endpoint that may fail: signed rightly, tried again, logged, never lost."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.db import connection
from django.utils.timezone import now as utc_now

from channels import credentials, dispatcher, polling, publisher, reconcile
from channels.connectors.own import client, signing
from channels.models import Incident, StockGap
from channels.own import deliveries, endpoints, lookout
from channels.own.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage
from inventory import reservations
from inventory.models import Reservation
from tests import factories
from tests.listening import Listener, listening
from tests.own.shops import Shop, a_site

pytestmark = pytest.mark.django_db(transaction=True)
ALL = endpoints.TOPICS


@pytest.fixture
def shop() -> Shop:
    return a_site()


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as one:
        yield one


def soon() -> Any:
    return utc_now() + timedelta(seconds=20)


def publish(shop: Shop) -> int:
    return publisher.publish(connection_id=shop.site.pk, until=soon())


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As the docs page tells the shop's developer to check it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(wanted, one) for one in headers["webhook-signature"].split())


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The example of the Standard Webhooks reference libraries."""
    from datetime import UTC, datetime

    headers = signing.headers(
        keys=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        sent_at=datetime.fromtimestamp(1614265330, UTC), body=b'{"test": 2432232314}',
    )  # fmt: skip
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_numbers_are_told_signed_and_only_the_newest(shop: Shop, listener: Listener) -> None:
    _, secret = endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    shop.api.hold("a", ("MUG", 1))
    shop.api.hold("b", ("MUG", 1))
    assert publish(shop) == 2
    ((headers, body),) = listener.came
    assert is_signed(secret, headers, body)
    assert not is_signed(signing.new_secret(), headers, body)
    lines = {line["variant_id"]: line["available"] for line in json.loads(body)["data"]["availability"]}
    assert lines == {shop.variants["MUG"].pk: 3, shop.variants["BOWL"].pk: 5}
    cell = shop.site.cells.get(listing__variant=shop.variants["MUG"], channel_location__location=shop.places[0])
    assert (cell.expected, cell.dirty_at) == (3, None)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.tries.get().answer) == ("taken", "thanks")
    assert publish(shop) == 0


def test_where_nobody_takes_it_the_same_message_comes_again(shop: Shop, listener: Listener) -> None:
    endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    listener.status = 500
    assert publish(shop) == 0
    shop.site.writes.update(next_attempt_at=utc_now())
    type(shop.site).objects.filter(pk=shop.site.pk).update(resting_until=None)
    listener.status = 204
    assert publish(shop) == 2
    first, second = listener.came
    assert (first[0]["webhook-id"], first[1]) == (second[0]["webhook-id"], second[1])
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("taken", 2)
    assert [one.status for one in delivery.tries.order_by("pk")] == [500, 204]


def test_an_endpoint_that_is_down_holds_up_no_other_and_hears_it_later(shop: Shop, listener: Listener) -> None:
    with listening() as other:
        endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
        endpoints.add(site=shop.site, url=other.url, topics=ALL, actor=shop.owner)
        other.status = 503
        assert publish(shop) == 2
        late = WebhookDelivery.objects.get(state="pending")
        assert late.next_attempt_at is not None
        other.status = 200
        WebhookDelivery.objects.filter(pk=late.pk).update(next_attempt_at=utc_now())
        assert deliveries.work_off(until=soon()) == 1
        assert other.came[-1][1] == listener.came[-1][1]
    assert not WebhookDelivery.objects.exclude(state="taken").exists()


def test_a_site_without_endpoints_asks_when_it_likes_and_nothing_waits(shop: Shop) -> None:
    assert publish(shop) == 2
    assert not shop.site.cells.filter(dirty_at__isnull=False).exists()


def test_a_poll_takes_nothing_for_missing_and_the_site_is_told_on(shop: Shop, listener: Listener) -> None:
    endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    assert publish(shop) == 2
    polling.poll(connection_id=shop.site.pk)
    assert not shop.site.cells.filter(missing_at__isnull=False).exists()
    assert not StockGap.objects.exists()
    assert reconcile.sweep_whole(connection_id=shop.site.pk).cells == 0
    shop.put_on_shelf("MUG", 2)
    assert "publish" in {work.kind for work in dispatcher.take_due() if work.connection_id == shop.site.pk}
    assert publish(shop) == 1
    assert json.loads(listener.came[-1][1])["data"]["availability"][0]["available"] == 7


def test_what_was_taken_for_missing_before_is_told_again(shop: Shop) -> None:
    cells = list(shop.site.cells.order_by("pk"))
    shop.site.cells.update(missing_at=utc_now(), recheck_at=utc_now())
    for cell in cells:
        factories.StockGapFactory(cell=cell, cause="link_broken", observed=None, expected=5)
    assert publish(shop) == 0
    with connection.cursor() as cursor:
        cursor.execute(import_module("channels.migrations.0004_nothing_is_missing_at_own_sites").FOUND_AGAIN)
    assert (publish(shop), StockGap.objects.count()) == (2, 0)


def test_the_end_of_a_hold_is_told_whoever_ended_it(shop: Shop, listener: Listener) -> None:
    endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    ids = [shop.api.hold(str(n), ("MUG", 1)).json()["id"] for n in range(3)]
    Reservation.objects.filter(public_id=ids[0]).update(expires_at=utc_now())
    assert reservations.expire_due(now=utc_now()) == 1
    shop.api.post(f"/holds/{ids[1]}/release")
    shop.api.post(f"/holds/{ids[2]}/convert", {"order_id": "7"})
    assert deliveries.work_off(until=soon()) == 3
    assert [one["hold"]["id"] for one in listener.told("hold.expired")] == [ids[0]]
    assert [one["hold"]["id"] for one in listener.told("hold.released")] == [ids[1]]
    assert [one["hold"]["order_id"] for one in listener.told("hold.converted")] == ["7"]
    assert deliveries.work_off(until=soon()) == 0


def test_the_dispatcher_sees_that_a_hold_is_over_and_that_a_message_waits(
    shop: Shop, listener: Listener, settings: Any
) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = True
    from storestudio.celery import app

    app.conf.task_always_eager = True
    try:
        endpoints.add(site=shop.site, url=listener.url, topics=["hold.expired"], actor=shop.owner)
        held = shop.api.hold("a", ("MUG", 5)).json()["id"]
        lookout._woken.update(holds=0.0, messages=0.0)
        lookout.look()
        assert Reservation.objects.get().state == "held"
        Reservation.objects.filter(public_id=held).update(expires_at=utc_now())
        lookout.look()
        lookout.look()
    finally:
        app.conf.task_always_eager = False
    assert Reservation.objects.get().state == "expired"
    assert [one["hold"]["state"] for one in listener.told("hold.expired")] == ["expired"]


def test_a_new_secret_goes_on_beside_the_old_one_for_a_day(shop: Shop, listener: Listener) -> None:
    endpoint, old = endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    new = endpoints.new_secret(endpoint=endpoint, actor=shop.owner)
    deliveries.ping(endpoint=endpoint, actor=shop.owner)
    assert all(is_signed(secret, *listener.came[-1]) for secret in (old, new))
    assert endpoints.forget_old_secrets(now=utc_now() + timedelta(hours=25)) == 1
    deliveries.ping(endpoint=endpoint, actor=shop.owner)
    assert [is_signed(secret, *listener.came[-1]) for secret in (old, new)] == [False, True]


def test_secrets_are_nowhere_in_the_clear(shop: Shop, listener: Listener) -> None:
    _, secret = endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    shop.site.refresh_from_db()
    assert credentials.load(shop.site)["endpoints"][0]["keys"] == [secret]
    assert secret.removeprefix("whsec_").encode() not in bytes(shop.site.credentials)


def test_a_ping_says_what_was_answered_and_is_not_tried_again(shop: Shop, listener: Listener) -> None:
    endpoint, _ = endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    listener.status = 404
    delivery, answer = deliveries.ping(endpoint=endpoint, actor=shop.owner)
    assert (answer.status, answer.error) == (404, "answered 404")
    delivery.refresh_from_db()
    assert (delivery.state, delivery.next_attempt_at) == ("failed", None)


def test_replay_sends_the_same_again_and_only_what_has_ended(shop: Shop, listener: Listener) -> None:
    endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    publish(shop)
    delivery = WebhookDelivery.objects.select_related("merchant", "message", "endpoint").get()
    deliveries.replay(delivery=delivery, actor=shop.owner)
    with pytest.raises(deliveries.StillTrying):
        deliveries.replay(delivery=delivery, actor=shop.owner)
    assert deliveries.work_off(until=soon()) == 1
    first, second = listener.came
    assert (first[0]["webhook-id"], first[1]) == (second[0]["webhook-id"], second[1])


def test_an_endpoint_that_is_gone_is_switched_off_and_a_person_is_told(shop: Shop, listener: Listener) -> None:
    endpoint, _ = endpoints.add(site=shop.site, url=listener.url, topics=ALL, actor=shop.owner)
    listener.status = 410
    assert publish(shop) == 2  # nobody is left to be told
    endpoint.refresh_from_db()
    assert (endpoint.is_on, WebhookDelivery.objects.get().state) == (False, "failed")
    assert Incident.objects.standing().filter(key=f"endpoint:{endpoint.pk}").exists()
    shop.api.hold("a", ("MUG", 1))
    publish(shop)
    assert len(listener.came) == 1
    endpoints.switch(endpoint=endpoint, is_on=True, reason="", actor=shop.owner)
    assert not Incident.objects.standing().filter(key=f"endpoint:{endpoint.pk}").exists()


def test_after_days_without_an_answer_it_is_given_up(shop: Shop) -> None:
    url = "http://127.0.0.1:9/nobody"
    endpoint, _ = endpoints.add(site=shop.site, url=url, topics=["hold.released"], actor=shop.owner)
    held = shop.api.hold("a", ("MUG", 1)).json()["id"]
    shop.api.post(f"/holds/{held}/release")
    for _ in range(len(deliveries.PAUSES_S) + 1):
        deliveries.work_off(until=soon())
        WebhookDelivery.objects.filter(state="pending").update(next_attempt_at=utc_now())
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.tries.count()) == ("failed", len(deliveries.PAUSES_S) + 1)
    WebhookEndpoint.objects.update(failing_since=utc_now() - timedelta(days=4))
    deliveries.ping(endpoint=WebhookEndpoint.objects.get(), actor=shop.owner)
    endpoint.refresh_from_db()
    assert not endpoint.is_on
    assert WebhookAttempt.objects.latest("pk").status == 0


def test_nothing_is_sent_into_a_network(shop: Shop, listener: Listener) -> None:
    message = client.Message("msg_1", "ping", b"{}")
    inside = client.Endpoint(1, listener.url, [signing.new_secret()], may_be_private=False)
    answer = client.deliver(endpoint=inside, message=message, sent_at=utc_now())
    assert (answer.status, answer.error) == (0, "its name leads to a private address")
    assert listener.came == []
    allowed = client.Endpoint(1, listener.url, [signing.new_secret()], may_be_private=True)
    assert client.deliver(endpoint=allowed, message=message, sent_at=utc_now()).status == 200


@pytest.mark.parametrize(
    "url", ["http://shop.example/x", "ftp://shop.example", "https://", "https://a:b@c.example", "x"]
)
def test_addresses_we_do_not_send_to(shop: Shop, settings: Any, url: str) -> None:
    settings.SANDBOX = False
    with pytest.raises(endpoints.CannotKeep):
        endpoints.add(site=shop.site, url=url, topics=ALL, actor=shop.owner)
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookMessage.objects.exists()

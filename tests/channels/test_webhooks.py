import base64
import hashlib
import hmac
import json
import logging
from datetime import timedelta
from io import BytesIO
from wsgiref.util import setup_testing_defaults

import pytest
from django.urls import reverse
from django.utils import timezone

from channels import credentials, inbox, webhooks
from channels.models import Connection, InboundEvent, Incident
from storestudio.accounts.models import Merchant
from storestudio.wsgi import application

KEY = "signature-key"


@pytest.fixture
def till(db):
    webhooks._doors.clear()
    merchant = Merchant.objects.create(name="Shop", slug="shop")
    connection = Connection(
        merchant=merchant,
        channel="square",
        label="Till",
        account_id="M1",
        base_url="http://127.0.0.1:9",
        number="in_stock",
    )
    credentials.store(connection, {"access_token": "a", "signature_key": KEY})
    connection.save()
    return connection


def send(client, connection, body, *, signature=None, **extra):
    url = credentials.account(connection).webhook_url
    if signature is None:
        signature = base64.b64encode(hmac.new(KEY.encode(), url.encode() + body, hashlib.sha256).digest()).decode()
    path = reverse("webhook", kwargs={"channel": connection.channel, "token": connection.webhook_token})
    headers = {"x-square-hmacsha256-signature": signature, **extra}
    return client.post(path, data=body, content_type="application/json", headers=headers)


def event(topic="order.updated", event_id="E1", **data):
    return json.dumps(
        {"merchant_id": "M1", "type": topic, "event_id": event_id, "created_at": "2026-11-23T12:00:00Z", "data": data}
    ).encode()


def test_a_signed_webhook_is_stored_once_however_often_it_comes(client, till):
    for _ in range(3):
        assert send(client, till, event()).status_code == 200
    stored = InboundEvent.objects.get()
    assert (stored.topic, stored.dedupe_key, bytes(stored.body)) == ("order.updated", "E1", event())
    assert stored.merchant_id == till.merchant_id


def test_a_wrong_signature_is_401_and_leaves_one_line_in_the_log_and_no_row(client, till, caplog):
    with caplog.at_level(logging.WARNING):
        assert send(client, till, event(), signature="bm9wZQ==").status_code == 401
    assert not InboundEvent.objects.exists()
    assert [record.name for record in caplog.records if record.name != "django.request"] == ["channels.webhooks"]


def test_control_the_same_body_with_the_right_signature_is_taken(client, till):
    assert send(client, till, event()).status_code == 200
    assert InboundEvent.objects.count() == 1


def test_an_address_of_nobody_is_404_and_get_is_405(client, till):
    path = reverse("webhook", kwargs={"channel": "square", "token": "x" * 32})
    assert client.post(path, data=b"{}", content_type="application/json").status_code == 404
    assert client.get(path).status_code == 405


def test_a_connection_that_was_closed_is_nobodys_address(client, till):
    Connection.objects.update(state=Connection.State.CLOSED)
    assert send(client, till, event()).status_code == 404


def knock(path, body, *, method="POST", **headers):
    """Through the server's own door, as no test client goes: (status, headers, body)."""
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": BytesIO(body), **headers}
    environ["CONTENT_LENGTH"] = str(len(body))
    setup_testing_defaults(environ)
    told = []
    answer = application(environ, lambda status, headers: told.extend((status, dict(headers))))
    said = b"".join(answer)
    answer.close()
    return told[0], told[1], said


@pytest.mark.django_db(transaction=True)  # a request's end closes connections
def test_the_servers_own_door_answers_with_a_length_and_carries_no_pages_headers(till):
    path = reverse("webhook", kwargs={"channel": "square", "token": till.webhook_token})
    url, body = credentials.account(till).webhook_url, event()
    signature = base64.b64encode(hmac.new(KEY.encode(), url.encode() + body, hashlib.sha256).digest()).decode()
    status, headers, said = knock(path, body, HTTP_X_SQUARE_HMACSHA256_SIGNATURE=signature)
    assert (status, headers["Content-Length"], said) == ("200 OK", "0", b"")
    assert InboundEvent.objects.count() == 1
    assert "Content-Security-Policy" not in headers
    wrong = {"HTTP_X_SQUARE_HMACSHA256_SIGNATURE": "bm9wZQ=="}
    assert knock(path, body, **wrong)[0].startswith("401")
    assert knock(path, b"", method="GET")[0].startswith("405")
    status, headers, said = knock("/webhooks/nowhere", b"{}")
    assert (status[:3], headers["Content-Length"]) == ("404", str(len(said)))
    status, headers, _ = knock("/login/", b"", method="GET")
    assert "Content-Security-Policy" in headers, "pages keep all of theirs"


def test_an_unknown_topic_is_recorded_and_ignored_by_name(client, till):
    send(client, till, event(topic="moon.landed"))
    inbox.process(connection_id=till.pk, until=timezone.now() + timedelta(seconds=5))
    stored = InboundEvent.objects.get()
    assert stored.state == InboundEvent.State.IGNORED
    assert "moon.landed" in stored.outcome


@pytest.mark.parametrize("body", [b'{"type": "order.updated", ', b"\xff\xfe", b"[]", b'{"type": 3}'])
def test_malformed_json_with_a_right_signature_is_quarantined_with_its_bytes(client, till, body):
    assert send(client, till, body).status_code == 200
    stored = InboundEvent.objects.get()
    assert stored.state == InboundEvent.State.QUARANTINED
    assert bytes(stored.body) == body
    assert stored.error
    assert Incident.objects.get().kind == Incident.Kind.QUARANTINE


def test_a_body_over_5_mb_is_413_whether_it_says_its_length_or_not(client, till):
    body = b" " * (webhooks.BODY_MAX + 1)
    assert send(client, till, body).status_code == 413
    assert send(client, till, event() + b" " * (webhooks.BODY_MAX - len(event()))).status_code == 200
    assert InboundEvent.objects.count() == 1


def test_a_quarantined_event_is_discarded_once_and_the_incident_closes(client, till):
    send(client, till, b"{")
    stored = InboundEvent.objects.get()
    inbox.discard(event_id=stored.pk, actor=None, reason="garbage from a test")
    with pytest.raises(inbox.NotInQuarantine):
        inbox.discard(event_id=stored.pk, actor=None, reason="again")
    assert InboundEvent.objects.get().outcome == "garbage from a test"
    assert Incident.objects.get().resolved_at is not None


def test_a_channel_that_cannot_be_reached_is_no_fault_of_the_event_which_waits(client, till):
    """The till cannot be reached (nothing listens there): that is no fault of the event, it waits for ever."""
    send(client, till, event(topic="order.updated", type="order_updated", id="O1",
                             object={"order_updated": {"order_id": "O1", "version": 1}}))  # fmt: skip
    for _ in range(inbox.ATTEMPTS_MAX + 2):
        InboundEvent.objects.update(next_attempt_at=timezone.now())
        Connection.objects.update(resting_until=None)
        inbox.process(connection_id=till.pk, until=timezone.now() + timedelta(seconds=1))
    stored = InboundEvent.objects.get()
    assert stored.state == InboundEvent.State.PENDING
    assert stored.attempts == 0
    assert stored.error
    assert Connection.objects.get().failures > 0

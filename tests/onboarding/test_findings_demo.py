"""The demo shop has exactly the findings that it should have, whatever it is started over."""

from __future__ import annotations

from collections import Counter
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from channels.models import ChannelStock, Listing
from inventory import verify
from inventory.models import Variant
from onboarding import demo
from onboarding.findings import decisions, detecting
from onboarding.models import Finding
from storestudio.accounts.models import Merchant, User
from tests.onboarding.findings_shop import frozen


def run(*words):
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


@pytest.fixture
def sandbox(live_server, settings):
    settings.ROOT_URLCONF = "channels.sandbox.urls"
    settings.SANDBOX_URL = live_server.url


@pytest.mark.django_db(transaction=True)
def test_the_demo_shop_has_sixty_open_findings_of_every_kind_and_a_second_start_changes_nothing(sandbox):
    run("demo")
    shop = Merchant.objects.get(slug="harbour-and-pine")
    linked = Listing.objects.of(shop).filter(link="linked").count()
    assert f"{demo.FINDINGS} findings wait" in run("demo_findings")
    kinds = Counter(decisions.queue(shop).values_list("kind", flat=True))
    assert set(kinds) == set(Finding.Kind.values)
    assert kinds.total() == demo.FINDINGS
    rows = list(Finding.objects.order_by("pk").values())
    assert "taken over before" in run("demo_findings")
    assert detecting.detect(merchant=shop) == {"new": 0, "still so": demo.FINDINGS, "gone": 0, "by rule": 0}
    assert list(Finding.objects.order_by("pk").values()) == rows
    cells = ChannelStock.objects.of(shop)
    assert not cells.filter(expected=None).exists()
    assert not cells.exclude(dirty_at=None).exists(), "the old list touches no channel"
    assert Listing.objects.of(shop).filter(link="linked").count() == linked
    assert Variant.objects.of(shop).count() > 200
    assert verify.verify().breaches == []
    assert_all_can_be_cleared_and_taken_back(shop)


def assert_all_can_be_cleared_and_taken_back(shop):
    """Yes to everything, the first answer to every question; then all of it back."""
    before, actor = frozen(), User.objects.get(email="staff@demo.storestudio.example")
    while finding := decisions.queue(shop).first():
        try:
            assert decisions.preview(finding), finding
            choice = ""
        except decisions.Question as asked:
            choice = asked.choices[0][0]
        decisions.accept(finding_id=finding.pk, actor=actor, choice=choice)
    assert not Finding.objects.filter(state__in=["open", "rejected"]).exists()
    assert Finding.objects.filter(state="accepted").count() >= demo.FINDINGS - 1, "hardly one answers another"
    assert detecting.detect(merchant=shop)["new"] == 0, "what was mended stays mended"
    assert verify.verify().breaches == []
    while decisions.undo_last(merchant=shop, actor=actor):
        pass
    assert frozen() == before
    assert decisions.queue(shop).count() == demo.FINDINGS
    assert verify.verify().breaches == []


@pytest.mark.django_db
def test_without_a_demo_shop_the_command_says_what_is_missing():
    with pytest.raises(CommandError, match=r"run manage\.py demo first"):
        run("demo_findings")

"""200 disagreements of ten causes, planted at the vendors' stand-ins as the world would cause them: found in one sweep,
named rightly, and healed rightly or not at all. `./dev bench drift --seed N` plays others."""

from __future__ import annotations

import sys

import pytest

from channels.models import Incident, StockGap
from channels.reconcile import judging
from channels.sandbox.trading.disagreements import World
from inventory import verify
from storestudio.accounts.models import Merchant, User

pytestmark = pytest.mark.django_db(transaction=True)
SEED = 20261128


@pytest.fixture
def world(live_server, settings):
    def make(each):
        settings.ROOT_URLCONF = "channels.sandbox.bench_urls"
        settings.SANDBOX_URL = settings.PUBLIC_URL = live_server.url
        merchant = Merchant.objects.create(name="Drift", slug="drift")
        return World(seed=SEED, each=each, merchant=merchant, actor=User.objects.create_user("o@drift.example"))

    return make


def test_two_hundred_disagreements_are_found_named_and_healed_rightly_or_not_at_all(world):
    shop = world(20)
    shop.plant()
    shop.sweep()
    score = shop.score()
    sys.stdout.write("\n".join(score.table()))
    assert (score.planted, score.found, score.wrong_heals) == (200, 200, [])
    assert score.rightly >= 190
    assert score.questions < 20, "many cells of one cause are one question"
    open_questions = Incident.objects.standing().filter(kind=Incident.Kind.DRIFT).count()
    assert open_questions == score.questions
    assert not verify.verify().breaches
    by_whom = StockGap.objects.filter(cause=StockGap.Cause.MANUAL_EDIT).values_list("evidence__by", flat=True)
    assert set(by_whom) == {"TM-Kim"}


def test_control_without_looking_at_the_evidence_nothing_of_it_is_named(world, monkeypatch):
    """The score is not given away: where judging is blind, what it alone can tell is not told."""
    monkeypatch.setattr(judging, "_find_causes", lambda connection, cases: None)
    shop = world(1)
    shop.plant()
    shop.sweep(timeout_s=6)
    confusion = shop.score().confusion
    for cause in ("unit_mismatch", "link_broken", "clamped", "other_app"):
        assert confusion[cause, cause] == 0

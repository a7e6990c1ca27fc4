"""Imports and change sets in the admin: looked at, never changed there."""

from __future__ import annotations

import pytest
from django.urls import reverse

from onboarding.models import Change, ChangeSet, ColumnMapping, ImportBatch, StagedRow
from storestudio.accounts.models import User
from tests import factories
from tests.onboarding.imports_shop import applied, table

pytestmark = pytest.mark.django_db
MODELS = [ImportBatch, StagedRow, ChangeSet, Change, ColumnMapping]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_rows_are_listed_opened_and_not_changed(client, model):
    client.force_login(User.objects.create_superuser("admin@example.com"))
    batch = applied(factories.MerchantFactory(), table([{"Title": "Mug", "SKU": "MUG"}]))
    row = model.objects.order_by("pk").last()
    name = f"admin:onboarding_{model._meta.model_name}"
    assert client.get(reverse(f"{name}_changelist"), {"q": "1"}).status_code == 200
    assert client.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert client.get(reverse(f"{name}_add")).status_code == 403
    assert client.post(reverse(f"{name}_change", args=[row.pk]), {}).status_code == 403
    assert client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    rows = client.get(reverse("admin:onboarding_stagedrow_changelist"), {"batch__id__exact": batch.pk})
    assert rows.status_code == 200

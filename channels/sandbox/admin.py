"""Admin: the vendors' stand-ins, to see what they hold. Made from their models; tokens and secrets are left out."""

from __future__ import annotations

from collections.abc import Sequence

from django.apps import apps
from django.contrib import admin
from django.db import models

from channels.sandbox import standins
from channels.sandbox.models import Delivery, Fault, Switch
from storestudio.accounts.backoffice import BigRows, Rows

SECRET_WORDS = ("token", "secret", "code", "signature", "value")
COLUMNS_MAX = 8
PLAIN = (models.CharField, models.IntegerField, models.BooleanField, models.DateTimeField, models.DecimalField)


@admin.register(Delivery)
class DeliveryAdmin(BigRows):
    """Webhooks owed; what they carry is seen in our inbox."""

    list_display = ["pk", "vendor", "account", "topic", "state", "attempts", "last_status", "due_at", "delivered_at"]
    list_filter = ["state", "vendor"]
    search_fields = ["=account", "=topic"]
    exclude = ["headers", "body", "url"]


@admin.register(Fault)
class FaultAdmin(Rows):
    """Planned misbehaviour: added here, it happens."""

    list_display = ["pk", "vendor", "operation", "kind", "probability", "remaining"]
    list_filter = ["vendor", "kind"]


@admin.register(Switch)
class SwitchAdmin(Rows):
    """Choices where a vendor's behaviour is not established."""

    list_display = ["name", "value"]
    search_fields = ["name"]


def _is_secret(name: str) -> bool:
    return any(word in name for word in SECRET_WORDS)


def _columns(model: type[models.Model]) -> Sequence[str]:
    """The key and the first plain columns; relations stay numbers, which cost no query."""
    plain = [
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, PLAIN) and not field.is_relation and not field.primary_key and not _is_secret(field.name)
    ]
    return ["pk", *plain[: COLUMNS_MAX - 1]]


def _register(model: type[models.Model]) -> None:
    columns = _columns(model)
    fields = [field.name for field in model._meta.concrete_fields if field.editable and not _is_secret(field.name)] or [
        "pk"
    ]
    name = f"{model.__name__}StandInAdmin"
    page = type(name, (BigRows,), {"list_display": columns, "fields": fields, "__doc__": "A row of a stand-in."})
    admin.site.register(model, page)


# A key may be a secret itself (a token as primary key): such tables are not shown at all.
for _name in standins.names():
    for _model in apps.get_app_config(f"sandbox_{_name}").get_models():
        if not _is_secret(_model._meta.pk.name if _model._meta.pk else "") and "token" not in _model.__name__.lower():
            _register(_model)

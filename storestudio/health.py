"""/healthz: this process answers. /readyz: everything the product needs is there, or what is missing and why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import requests
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from psycopg_pool import PoolTimeout

from storestudio.accounts.checks import halfway
from storestudio.accounts.models import Heartbeat
from storestudio.celery import app as celery_app

# Worker, scheduler and dispatcher give a sign every 3 to 5 s; three of them may be lost.
STALE = timedelta(seconds=15)
PROCESSES = ("worker", "beat", "dispatcher")
BROKER_S = 2.0
SANDBOX_S = 3.0


class Missing(Exception):
    """A part is missing; the text says why."""


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 once this process answers; touches nothing else."""
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """200 with {"ready": true}, or 503 with {"ready": false, "missing": {part: why}}."""
    checks = {"database": database, "migrations": migrations, "broker": broker}
    checks |= {name: _sign_of_life(name) for name in PROCESSES}
    if settings.SANDBOX:
        checks["sandbox"] = sandbox
    missing: dict[str, str] = {}
    for name, check in checks.items():
        if "database" in missing and name in ("migrations", *PROCESSES):
            continue  # they are read from it: one cause, one line
        if "migrations" in missing and name in PROCESSES:
            continue
        try:
            check()
        except Missing as why:
            missing[name] = str(why)
    return JsonResponse({"ready": not missing, "missing": missing}, status=503 if missing else 200)


def database() -> None:
    """PostgreSQL answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, PoolTimeout) as error:
        raise Missing(_first_line(error)) from None


_migrated: set[str] = set()


def migrations() -> None:
    """Every migration of this code is applied. Asked until it is true once: a running process has no newer code."""
    if connection.alias in _migrated:
        return
    try:
        executor = MigrationExecutor(connection)
        stuck = halfway(executor.loader)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise Missing(_first_line(error)) from None
    if stuck:
        raise Missing(stuck[0])
    if plan:
        raise Missing(f"{len(plan)} not applied, the first is {plan[0][0]}")
    _migrated.add(connection.alias)


def broker() -> None:
    """A connection to the broker can be made."""
    try:
        with celery_app.connection_for_write(connect_timeout=BROKER_S) as link:
            link.ensure_connection(max_retries=1, interval_start=0.1, timeout=BROKER_S)
    except Exception as error:  # each transport has errors of its own, and some come from below it
        raise Missing(_first_line(error)) from None


def _sign_of_life(name: str) -> Callable[[], None]:
    def check() -> None:
        try:
            beat_at = Heartbeat.objects.filter(name=name).values_list("beat_at", flat=True).first()
        except DatabaseError as error:
            raise Missing(_first_line(error)) from None
        if beat_at is None:
            raise Missing("has given no sign of life yet")
        age = timezone.now() - beat_at
        if age > STALE:
            raise Missing(f"last gave a sign of life {age.total_seconds():.0f} s ago")

    return check


def sandbox() -> None:
    """The vendors' stand-ins answer."""
    try:
        requests.get(f"{settings.SANDBOX_URL}/healthz", timeout=SANDBOX_S).raise_for_status()
    except requests.RequestException as error:
        raise Missing(f"{settings.SANDBOX_URL} does not answer ({type(error).__name__})") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]

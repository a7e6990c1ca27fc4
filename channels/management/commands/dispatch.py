import logging
import signal
import time
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.db.utils import DatabaseError
from django.utils import timezone
from kombu.exceptions import KombuError

from channels import dispatcher, tasks
from channels.own import lookout
from storestudio.accounts.models import Heartbeat

log = logging.getLogger(__name__)
TICK_S = 0.1
BEAT_S = 3.0


class Command(BaseCommand):
    help = "Find due work in the database and wake workers for it, until told to stop."

    def handle(self, *args: Any, **options: Any) -> None:
        """One look every tick; a database or broker that is away is waited for."""
        stopping: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda received, _: stopping.append(received))
        beat_due = 0.0
        while not stopping:
            try:
                tasks.wake(dispatcher.take_due())
                lookout.look()
                if time.monotonic() >= beat_due:
                    Heartbeat.objects.update_or_create(name="dispatcher", defaults={"beat_at": timezone.now()})
                    beat_due = time.monotonic() + BEAT_S
            except DatabaseError as error:
                log.warning("database away: %s", error)
                close_old_connections()
                time.sleep(1)
            except (KombuError, OSError) as error:
                log.warning("broker away: %s", error)
                time.sleep(1)
            time.sleep(TICK_S)

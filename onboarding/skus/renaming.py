"""Carry a preview out: all SKUs in one change set, the old ones kept as aliases, and the way back."""

from __future__ import annotations

from django.db import connection as database
from django.db import transaction
from django.utils.timezone import now as utc_now

from onboarding import journal
from onboarding.findings import proposals
from onboarding.findings.questions import BadProposal
from onboarding.models import ChangeSet, SkuPattern
from onboarding.skus import designing
from storestudio.accounts.models import Merchant, User

LOCK = 7_340_021  # the first half of an advisory lock's name; the second is the shop


class CannotRename(Exception):
    """Why nothing was renamed, in words for the person who tried."""


class Moved(CannotRename):
    """The catalog changed since it was looked at: `count` SKUs would change now."""

    def __init__(self, count: int) -> None:
        super().__init__(f"The catalog has changed meanwhile: {count} SKUs would change now. Look at them again.")
        self.count = count


def apply(
    *,
    merchant: Merchant,
    pattern: str,
    actor: User | None,
    expected: int,
    left_out: frozenset[int] = frozenset(),
    numbers: bool = True,
) -> ChangeSet:
    """Rename what the preview shows, but for the variants left out; old SKUs stay as aliases.

    `expected` is how many SKUs the person saw would change. Raises CannotRename, Moved, patterns.BadPattern.
    Two renamings of one shop come one after the other (advisory lock); variants are locked in primary-key order.
    """
    with transaction.atomic():
        with database.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, merchant.pk % 2**31])
        skus = designing.preview(merchant, pattern, numbers=numbers).to_do(left_out=left_out)
        if len(skus) != expected:
            raise Moved(len(skus))
        if not skus:
            raise CannotRename("No SKU would change.")
        title = f"{len(skus)} SKU{'' if len(skus) == 1 else 's'} by {pattern}"
        try:
            with journal.recording(merchant=merchant, kind=ChangeSet.Kind.RENAME, title=title, actor=actor) as recorder:
                proposals.rename(recorder, skus)
        except BadProposal as error:
            raise CannotRename(str(error)) from error
        SkuPattern.objects.update_or_create(
            merchant=merchant, defaults={"pattern": pattern, "changed_at": utc_now(), "changed_by": actor}
        )
        return recorder.changeset


def last(merchant: Merchant) -> ChangeSet | None:
    """The newest renaming that was not taken back."""
    renamed = ChangeSet.objects.of(merchant).filter(kind=ChangeSet.Kind.RENAME, undone_at=None)
    return renamed.select_related("actor").order_by("-pk").first()


def undo(*, merchant: Merchant, changeset_id: int, actor: User | None) -> journal.Undone:
    """Take a renaming back; SKUs edited since are kept. Raises CannotRename where it is undone already or not there."""
    changeset = ChangeSet.objects.of(merchant).filter(pk=changeset_id, kind=ChangeSet.Kind.RENAME).first()
    if changeset is None:
        raise CannotRename("There is no such renaming.")
    try:
        return journal.undo(changeset_id=changeset.pk, actor=actor)
    except journal.AlreadyUndone as error:
        raise CannotRename("It was taken back before.") from error

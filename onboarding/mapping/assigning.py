"""One to one: each listing's best suggestion that no likelier listing holds."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import connection as database

from onboarding.models import Suggestion

State, Verdict = Suggestion.State, Suggestion.Verdict

LOCK = 0x5353_4D50


def one_at_a_time(merchant_id: int) -> None:
    """Decisions of one shop come one after another, to the end of the transaction: each changes its rivals' rows."""
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCK, merchant_id])


def assign(suggestions: Sequence[Suggestion], *, taken: set[int]) -> None:
    """Mark each listing's best that no likelier listing has: greedy by likelihood, the highest first."""
    assigned: set[int] = set()
    for one in sorted(suggestions, key=lambda row: (-row.score, row.listing_id, row.variant_id)):
        one.is_best = one.listing_id not in assigned and one.variant_id not in taken
        if one.is_best:
            assigned.add(one.listing_id)
            taken.add(one.variant_id)


def reassign(*, connection_id: int, listing_ids: Collection[int]) -> None:
    """Give these listings their best open candidate that no other listing of the connection holds."""
    if not listing_ids:
        return
    mine = Suggestion.objects.filter(listing__connection=connection_id, state=State.OPEN)
    taken = set(mine.filter(is_best=True).exclude(listing__in=listing_ids).values_list("variant", flat=True))
    rows = list(mine.filter(listing__in=listing_ids).order_by("pk"))
    before = {row.pk: row.is_best for row in rows}
    assign(rows, taken=taken)
    changed = [row for row in rows if row.is_best != before[row.pk]]
    Suggestion.objects.bulk_update(changed, ["is_best"], batch_size=500)

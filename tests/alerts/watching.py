"""Histories to find anomalies in: calls booked and rolled up as the product does it, an hour's as one entry."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from billing.rollups import apply_batches
from ledger.core.entries import NewEntry
from tests.billing.ledger_rows import book_entries, make_entry

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def make_hours(*, start: datetime, end: datetime, cost: str = "1", **fields) -> list[NewEntry]:
    """An entry in each hour of [start, end)."""
    return [
        make_entry(time=start + number * HOUR + timedelta(minutes=10), cost=cost, **fields)
        for number in range((end - start) // HOUR)
    ]


def book(tenant, entries: Iterable[NewEntry], *, api_key_id: str = "testkey") -> None:
    """Book them and roll them up."""
    several = list(entries)
    for first in range(0, len(several), 500):
        book_entries(tenant, *several[first : first + 500], api_key_id=api_key_id)
    while apply_batches(now=datetime.now(several[0].charge_period_start.tzinfo) + timedelta(seconds=1)):
        pass

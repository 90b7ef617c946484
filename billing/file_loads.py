"""Booking a file in batches, through the same door as everybody: what became of each row, and how far it is."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from billing.core.traces.rows import ReadRow, SkippedRow, UnreadableRow
from billing.ingestion import Receipt, RejectedItem, ingest_events
from ledger.selectors import get_batch

ROWS_PER_BATCH = 1_000
AHEAD_MAX = timedelta(minutes=5)  # as at the HTTP door
CONFLICTS_NAMED_MAX = 5

Item = TypeVar("Item")


@dataclass(slots=True)
class LoadSummary:
    """What became of a file. read = booked + duplicates + conflicts + rejected + skipped.

    billed_cost: USD, of what was booked by this load. unpriced: of the booked. marks: what was done on purpose, by
    name, among all that were sent.
    """

    read: int = 0
    booked: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    unpriced: int = 0
    billed_cost: Decimal = Decimal(0)
    skipped: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    first_conflicts: list[str] = field(default_factory=list)
    first_rejected: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is: the share of the file, and the rows read."""

    share: float
    rows: int


def book_chunk(
    chunk: Sequence[ReadRow], summary: LoadSummary, *, tenant_id: int, now: datetime, code: str, noun: str, cure: str
) -> Receipt | None:
    """Book one batch, with the right to backfill, and add it to the summary; None where nothing was to be booked.

    code: of a row that could not be read. noun: what a row is called. cure: of a time in the future.
    """
    events, rejected = [], []
    for index, found in enumerate(chunk):
        if isinstance(found, SkippedRow):
            count_one(summary.skipped, found.reason)
        elif isinstance(found, UnreadableRow):
            rejected.append(_reject(index, f"{noun} {found.line}", code, found.detail, found.row))
        elif found.event.time > now + AHEAD_MAX:
            detail = f"its time would be {found.event.time.isoformat()}, which is in the future; {cure}"
            row = {"id": found.event.event_id}
            rejected.append(_reject(index, f"{noun} {found.line}", "time_out_of_window", detail, row))
        else:
            events.append((index, found.event))
            for mark in found.marks:
                count_one(summary.marks, mark)
    summary.read += len(chunk)
    summary.first_rejected += [item.detail for item in rejected][: CONFLICTS_NAMED_MAX - len(summary.first_rejected)]
    if not events and not rejected:
        return None
    receipt = ingest_events(tenant_id=tenant_id, api_key_id="", events=events, rejected=rejected, now=now)
    _add_receipt(summary, receipt, tenant_id=tenant_id)
    return receipt


def count_one(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _reject(index: int, place: str, code: str, detail: str, row: object) -> RejectedItem:
    """`row` is kept as text: a text as it is, anything else as JSON."""
    return RejectedItem(
        index=index,
        event_id=place,
        code=code,
        detail=f"{place}: {detail}",
        body=row if isinstance(row, str) else json.dumps(row, default=str),
    )


def _add_receipt(summary: LoadSummary, receipt: Receipt, *, tenant_id: int) -> None:
    summary.booked += receipt.accepted
    summary.duplicates += receipt.duplicates
    summary.conflicts += receipt.conflicts
    summary.rejected += receipt.rejected
    summary.unpriced += receipt.unpriced
    conflicts = [f"{item.id}: {item.detail}" for item in receipt.results if item.status == "conflict"]
    summary.first_conflicts += conflicts[: CONFLICTS_NAMED_MAX - len(summary.first_conflicts)]
    if receipt.batch_id and (batch := get_batch(tenant_id=tenant_id, batch_id=receipt.batch_id)):
        summary.billed_cost += batch.billed_cost


def cut_into_chunks(found: Iterable[Item]) -> Iterator[list[Item]]:
    chunk: list[Item] = []
    for row in found:
        chunk.append(row)
        if len(chunk) == ROWS_PER_BATCH:
            yield chunk
            chunk = []
    if chunk:
        yield chunk

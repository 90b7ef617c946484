"""Loading a public trace: read its file, and book it through the same door as everybody."""

import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from billing.core.traces import TRACES, Trace
from billing.core.traces.rows import (
    RELATIVE_START,
    ReadRow,
    Row,
    SkippedRow,
    TraceOptions,
    UnreadableRow,
)
from billing.ingestion import Receipt, RejectedItem, ingest_events
from ledger.selectors import get_batch

ROWS_PER_BATCH = 1_000
AHEAD_MAX = timedelta(minutes=5)  # as at the HTTP door
CONFLICTS_NAMED_MAX = 5


class TraceRefused(ValueError):
    """A file that is not the trace it is said to be; what was booked before the fault stays booked."""


@dataclass(slots=True)
class TraceSummary:
    """What became of a file. read = booked + duplicates + conflicts + rejected + skipped.

    billed_cost: USD, of what was booked by this load. unpriced: of the booked. marks: `zone_less`, `failed`,
    `shared_response_id`, among all that were sent.
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


def load_trace(
    *,
    trace: str,
    path: Path,
    tenant_id: int,
    now: datetime,
    feature: str = "",
    provider: str = "",
    model: str = "",
    environment: str = "production",
    start: datetime | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> TraceSummary:
    """Book a `.csv` or `.csv.gz` for a tenant, 1,000 rows a transaction, with the right to backfill.

    Safe to repeat, and to go on after an interruption: a row's identity is its own id, or the file's name and the
    row's number, and its time is fixed. Raises TraceRefused.
    """
    kind = TRACES[trace]
    stem = path.name.removesuffix(".gz").removesuffix(".csv")
    options = TraceOptions(
        stem, feature=feature or stem, provider=provider, model=model, environment=environment, start=RELATIVE_START
    )
    options = _move_to_start(options, kind=kind, path=path, start=start)
    summary = TraceSummary()
    with _open_rows(path, kind) as (rows, measure_share):
        for chunk in _chunk(kind.read(rows, options)):
            _book_chunk(chunk, summary, tenant_id=tenant_id, now=now)
            on_progress(Progress(measure_share(), summary.read))
    return summary


def _move_to_start(options: TraceOptions, *, kind: Trace, path: Path, start: datetime | None) -> TraceOptions:
    """The options with the wanted start: the first moment of the file, whichever way it tells the time."""
    if start is None:
        return options
    with _open_rows(path, kind) as (rows, _):
        first_time = kind.find_first_time(rows)
    return replace(options, start=start, shift=start - first_time if first_time else timedelta(0))


def _book_chunk(chunk: Sequence[ReadRow], summary: TraceSummary, *, tenant_id: int, now: datetime) -> None:
    """Book one batch and add it to the summary."""
    events, rejected = [], []
    for index, found in enumerate(chunk):
        if isinstance(found, SkippedRow):
            _add(summary.skipped, found.reason)
        elif isinstance(found, UnreadableRow):
            rejected.append(_reject(index, found.line, "trace_row_unreadable", found.detail, found.row))
        elif found.event.time > now + AHEAD_MAX:
            detail = (
                f"its time would be {found.event.time.isoformat()}, which is in the future; choose an earlier start"
            )
            rejected.append(_reject(index, found.line, "time_out_of_window", detail, {"id": found.event.event_id}))
        else:
            events.append((index, found.event))
            for mark in found.marks:
                _add(summary.marks, mark)
    summary.read += len(chunk)
    summary.first_rejected += [item.detail for item in rejected][: CONFLICTS_NAMED_MAX - len(summary.first_rejected)]
    if events or rejected:
        receipt = ingest_events(tenant_id=tenant_id, api_key_id="", events=events, rejected=rejected, now=now)
        _add_receipt(summary, receipt, tenant_id=tenant_id)


def _add(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _reject(index: int, line: int, code: str, detail: str, row: Row) -> RejectedItem:
    return RejectedItem(
        index=index,
        event_id=f"row {line}",
        code=code,
        detail=f"row {line}: {detail}",
        body=json.dumps(row, default=str),
    )


def _add_receipt(summary: TraceSummary, receipt: Receipt, *, tenant_id: int) -> None:
    summary.booked += receipt.accepted
    summary.duplicates += receipt.duplicates
    summary.conflicts += receipt.conflicts
    summary.rejected += receipt.rejected
    summary.unpriced += receipt.unpriced
    conflicts = [f"{item.id}: {item.detail}" for item in receipt.results if item.status == "conflict"]
    summary.first_conflicts += conflicts[: CONFLICTS_NAMED_MAX - len(summary.first_conflicts)]
    if receipt.batch_id and (batch := get_batch(tenant_id=tenant_id, batch_id=receipt.batch_id)):
        summary.billed_cost += batch.billed_cost


def _chunk(found: Iterator[ReadRow]) -> Iterator[list[ReadRow]]:
    chunk: list[ReadRow] = []
    for row in found:
        chunk.append(row)
        if len(chunk) == ROWS_PER_BATCH:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


@contextmanager
def _open_rows(path: Path, kind: Trace) -> Iterator[tuple[Iterator[tuple[int, Row]], Callable[[], float]]]:
    """The file's rows, numbered from 1, and a measure of how much of it was read. Raises TraceRefused."""
    try:
        with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else path.open("rb") as unpacked:
            size = path.stat().st_size or 1
            text = (line.decode("utf-8-sig" if number == 0 else "utf-8") for number, line in enumerate(unpacked))
            reader = csv.DictReader(text, restval="")
            missing = [column for column in kind.columns if column not in (reader.fieldnames or ())]
            if missing:
                raise TraceRefused(f"{path.name} is not a trace of kind {kind.name}: it has no {', '.join(missing)}")
            position = raw if path.suffix == ".gz" else unpacked
            yield enumerate(reader, start=1), lambda: min(position.tell() / size, 1.0)
    except OSError as error:
        raise TraceRefused(f"{path.name}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise TraceRefused(f"{path.name} is cut short or damaged: {error}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TraceRefused(f"{path.name} is not a CSV file in UTF-8: {error}") from error

"""Loading a public trace: read its file, and book it through the same door as everybody."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from billing.core.traces import TRACES, Trace
from billing.core.traces.rows import RELATIVE_START, Row, TraceOptions
from billing.file_loads import LoadSummary, Progress, book_chunk, cut_into_chunks


class TraceRefused(ValueError):
    """A file that is not the trace it is said to be; what was booked before the fault stays booked."""


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
) -> LoadSummary:
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
    summary = LoadSummary()
    with _open_rows(path, kind) as (rows, measure_share):
        for chunk in cut_into_chunks(kind.read(rows, options)):
            book_chunk(
                chunk,
                summary,
                tenant_id=tenant_id,
                now=now,
                code="trace_row_unreadable",
                noun="row",
                cure="choose an earlier start",
            )
            on_progress(Progress(measure_share(), summary.read))
    return summary


def _move_to_start(options: TraceOptions, *, kind: Trace, path: Path, start: datetime | None) -> TraceOptions:
    """The options with the wanted start: the first moment of the file, whichever way it tells the time."""
    if start is None:
        return options
    with _open_rows(path, kind) as (rows, _):
        first_time = kind.find_first_time(rows)
    return replace(options, start=start, shift=start - first_time if first_time else timedelta(0))


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

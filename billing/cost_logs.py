"""Loading a log of plain cost lines: read its file, and book it through the same door as everybody."""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from billing.core.cost_lines import (
    FIELDS,
    REQUIRED,
    SOURCE_LENGTH_MAX,
    CostLineOptions,
    CostLineRefused,
    read_cost_line,
)
from billing.core.traces.rows import ReadRow, TracedCall, UnreadableRow
from billing.file_loads import LoadSummary, Progress, book_chunk, cut_into_chunks
from ledger.reported import sum_reported_costs

# What `read_cost_line` noted on an entry, as a mark of the summary.
MARKS_BY_TAG = {
    ("time", "ambiguous"): "ambiguous_time",
    ("cost", "differs_from_rate"): "cost_differs_from_rate",
    ("provider", "assumed"): "provider_assumed",
}
SUFFIXES = re.compile(r"(\.(jsonl|ndjson|json|csv|log|txt))?(\.gz)?$")
BODY_LENGTH_MAX = 256_000


class LogRefused(ValueError):
    """A file that is no log of cost lines; what was booked before the fault stays booked."""


@dataclass(slots=True)
class LogSummary(LoadSummary):
    """What became of a log; the sums are of what was booked by this load, in USD.

    reported_cost: what the lines say was paid. unpriced_reported_cost: the share of it that has no price here.
    difference: what our rates make of the priced lines, less what these lines say.
    """

    reported_cost: Decimal = Decimal(0)
    unpriced_reported_cost: Decimal = Decimal(0)
    difference: Decimal = Decimal(0)


def name_log(path: Path) -> str:
    """A log's name, whatever its packing: `gateway` for `gateway.jsonl.gz`."""
    return SUFFIXES.sub("", path.name)


def load_log(
    *,
    path: Path,
    tenant_id: int,
    now: datetime,
    options: CostLineOptions,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> LogSummary:
    """Book JSON lines, a JSON list or a CSV, gzip or plain, 1,000 lines a transaction, with the right to backfill.

    Safe to repeat, after more lines were written to the log or after an interruption: a line's identity is its own
    id, or the log's name and the line's number. Raises LogRefused.
    """
    if len(options.source) > SOURCE_LENGTH_MAX:
        raise LogRefused(
            f"the log's name has {len(options.source)} characters; give it one of {SOURCE_LENGTH_MAX} at most"
        )
    summary = LogSummary()
    with _open_log(path) as (file, measure_share):
        for chunk in cut_into_chunks(_read_lines(file, options, path.name)):
            receipt = book_chunk(
                chunk,
                summary,
                tenant_id=tenant_id,
                now=now,
                code="cost_line_unreadable",
                noun="line",
                cure="is the zone right?",
            )
            if receipt and receipt.batch_id:
                sums = sum_reported_costs(tenant_id=tenant_id, batch_id=receipt.batch_id)
                summary.reported_cost += sums.reported_cost
                summary.unpriced_reported_cost += sums.unpriced_reported_cost
                summary.difference += sums.billed_cost - (sums.reported_cost - sums.unpriced_reported_cost)
            on_progress(Progress(measure_share(), summary.read))
    return summary


def _read_lines(file: BinaryIO, options: CostLineOptions, name: str) -> Iterator[ReadRow]:
    """Each line as an event, or as what is wrong with it; a bad one does not stop the others."""
    first = _peek(file)
    if first == b"[":
        texts = _cut_list(file.read().decode("utf-8-sig", "surrogateescape"), name)
    elif first == b"{":
        texts = _cut_lines(file)
    else:
        yield from _read_csv(file, options, name)
        return
    for number, text in texts:
        try:
            line = json.loads(text, parse_float=Decimal, object_pairs_hook=_refuse_repetition)
        except (ValueError, RecursionError, ArithmeticError) as error:
            yield UnreadableRow(number, f"is no JSON: {error}", _keep_text(text))
        else:
            yield _read_line(line, number, options, text)


def _read_line(line: object, number: int, options: CostLineOptions, text: str) -> ReadRow:
    try:
        event = read_cost_line(line, number=number, options=options)
    except CostLineRefused as refused:
        return UnreadableRow(number, str(refused), _keep_text(text))
    marks = tuple(mark for (name, value), mark in MARKS_BY_TAG.items() if event.tags.get(name) == value)
    return TracedCall(number, event, marks)


def _keep_text(text: str) -> str:
    """As it stood in the file; what PostgreSQL cannot hold is escaped."""
    printable = text[:BODY_LENGTH_MAX].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return printable.replace("\0", "\\u0000")


def _refuse_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name stands twice in it")
    return members


def _peek(file: BinaryIO) -> bytes:
    """The first byte that is no blank and no mark of byte order; the file stays where it was."""
    start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(0)
    return start[:1]


def _cut_lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """The lines that hold anything, with their numbers in the file from 1."""
    for number, raw in enumerate(file, start=1):
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape").strip()
        if text:
            yield number, text


def _cut_list(text: str, name: str) -> Iterator[tuple[int, str]]:
    """The elements of a JSON list, with their places from 1. Raises LogRefused where the list itself is broken."""
    scan = json.JSONDecoder().raw_decode
    at = text.index("[") + 1
    for number in range(1, len(text)):
        start = _skip_blanks(text, at)
        if text.startswith("]", start):
            return
        try:
            _, end = scan(text, start)
        except (ValueError, RecursionError) as error:
            raise LogRefused(f"{name}: the list breaks off at its element {number}: {error}") from error
        yield number, text[start:end]
        at = _skip_blanks(text, end)
        if not text.startswith((",", "]"), at):
            raise LogRefused(f"{name}: the list breaks off after its element {number}")
        at += text.startswith(",", at)


def _skip_blanks(text: str, at: int) -> int:
    while text[at : at + 1].isspace():
        at += 1
    return at


def _read_csv(file: BinaryIO, options: CostLineOptions, name: str) -> Iterator[ReadRow]:
    """Rows numbered from 1, the line of names not counted. Raises LogRefused for columns that cannot be a log's."""
    lines = (raw.decode("utf-8-sig" if number == 0 else "utf-8", "surrogateescape") for number, raw in enumerate(file))
    reader = csv.DictReader(lines, restval="", restkey="more cells than columns")
    columns = reader.fieldnames or ()
    missing = [column for column in REQUIRED if column not in columns]
    unknown = [column for column in columns if column not in FIELDS and column not in options.ignored]
    if missing:
        raise LogRefused(f"{name} is no log of cost lines: neither JSON, nor a CSV with {', '.join(REQUIRED)}")
    if unknown:
        raise LogRefused(f"{name} has columns that are not read: {', '.join(unknown)}; name each with --ignore")
    for number, row in enumerate(reader, start=1):
        yield _read_line(row, number, options, json.dumps(row))


@contextmanager
def _open_log(path: Path) -> Iterator[tuple[BinaryIO, Callable[[], float]]]:
    """The file unpacked, and a measure of how much of it was read. Raises LogRefused."""
    try:
        with path.open("rb") as raw, gzip.open(raw) if path.suffix == ".gz" else path.open("rb") as unpacked:
            size = path.stat().st_size or 1
            position = raw if path.suffix == ".gz" else unpacked
            yield unpacked, lambda: min(position.tell() / size, 1.0)
    except OSError as error:
        raise LogRefused(f"{path.name}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise LogRefused(f"{path.name} is cut short or damaged: {error}") from error
    except csv.Error as error:
        raise LogRefused(f"{path.name} is not a CSV file: {error}") from error

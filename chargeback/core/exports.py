"""A day of the ledger as files: which days there are, what a file is called, and what a day's manifest says. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

ROWS, FOCUS = DATASETS = ("rows", "focus")
VERSION = 1
SETTLES = timedelta(minutes=15)  # what was booked before midnight is committed by then, many times over
# About two days in all: a bucket that is away over a weekend's night misses nothing.
DELAYS = (
    timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(hours=1), timedelta(hours=3),
    timedelta(hours=6), timedelta(hours=12), timedelta(hours=24),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a day. content: SHA-256 of its rows, whatever wrote them; sha256: of its bytes. Hexadecimal."""

    name: str
    dataset: str
    rows: int
    size: int
    sha256: str
    content: str
    billed_cost: Decimal


@dataclass(frozen=True, slots=True)
class PeriodTotals:
    """What was booked on a day for one billing period, by PostgreSQL's own addition. unpriced: rows without a cost."""

    period: date
    rows: int
    calls: int
    unpriced: int
    billed_cost: Decimal
    list_cost: Decimal


class ManifestUnreadable(ValueError):
    """What stands where a day's manifest should be is none of ours."""


def name_file(tenant: str, dataset: str, day: date) -> str:
    """Below the target's place, in the way of Hive, so that readers find tenant, dataset and day as columns.

    >>> name_file("acme", "focus", date(2026, 11, 22))
    'tenant=acme/dataset=focus/day=2026-11-22/focus.parquet'
    """
    return f"tenant={tenant}/dataset={dataset}/day={day}/{dataset}.parquet"


def name_manifest(tenant: str, day: date) -> str:
    """
    >>> name_manifest("acme", date(2026, 11, 22))
    'tenant=acme/dataset=manifest/day=2026-11-22/manifest.json'
    """
    return f"tenant={tenant}/dataset=manifest/day={day}/manifest.json"


def find_settled_day(now: datetime) -> date:
    """The last day of UTC that nothing is booked into any more.

    >>> [str(find_settled_day(datetime(2026, 11, 23, 0, minute, tzinfo=UTC))) for minute in (14, 15)]
    ['2026-11-21', '2026-11-22']
    """
    return (now.astimezone(UTC) - SETTLES).date() - timedelta(days=1)


def find_settling(day: date) -> datetime:
    """When a day is settled.

    >>> find_settling(date(2026, 11, 22)).isoformat()
    '2026-11-23T00:15:00+00:00'
    """
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + SETTLES


def find_delay(attempts: int) -> timedelta | None:
    """How long to wait after so many attempts that failed, 1 for the first; None: no further one."""
    return DELAYS[attempts - 1] if attempts <= len(DELAYS) else None


def write_manifest(
    *, tenant: str, day: date, files: Sequence[FileFacts], totals: Sequence[PeriodTotals], written_by: str
) -> bytes:
    """The day's manifest, the same bytes for the same day: it says no time of its own."""
    document = {
        "v": VERSION,
        "tenant": tenant,
        "day": day.isoformat(),
        "booked_from": f"{day}T00:00:00Z",
        "booked_until": f"{day + timedelta(days=1)}T00:00:00Z",
        "written_by": written_by,
        "currency": "USD",
        "files": [_write_file(each) for each in files],
        "totals": [_write_totals(each) for each in totals],
    }
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def _write_file(facts: FileFacts) -> dict[str, Any]:
    return {
        "name": facts.name,
        "dataset": facts.dataset,
        "rows": facts.rows,
        "bytes": facts.size,
        "sha256": facts.sha256,
        "content_sha256": facts.content,
        "billed_cost": f"{facts.billed_cost:.12f}",
    }


def _write_totals(totals: PeriodTotals) -> dict[str, Any]:
    return {
        "billing_period": f"{totals.period:%Y-%m}",
        "rows": totals.rows,
        "calls": totals.calls,
        "unpriced_rows": totals.unpriced,
        "billed_cost": f"{totals.billed_cost:.12f}",
        "list_cost": f"{totals.list_cost:.12f}",
    }


def hash_content(manifest: bytes) -> str:
    """What a manifest says of the day's rows, as one hash: equal where only the library that wrote the files differs.

    Raises ManifestUnreadable.
    """
    try:
        document = json.loads(manifest)
        said = [
            document["v"], document["tenant"], document["day"], document["totals"],
            [(each["name"], each["rows"], each["content_sha256"]) for each in document["files"]],
        ]  # fmt: skip
    except (ValueError, KeyError, TypeError) as fault:
        raise ManifestUnreadable("what stands there is no manifest of ours") from fault
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def list_files(manifest: bytes) -> list[Mapping[str, Any]]:
    """A manifest's files: name, bytes and sha256 each, for one of our own making."""
    return list(json.loads(manifest)["files"])


DAY_PATTERN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_day(text: str) -> date | None:
    """A day such as 2026-11-22; None for anything else."""
    try:
        return date.fromisoformat(text) if DAY_PATTERN.fullmatch(text) else None
    except ValueError:
        return None

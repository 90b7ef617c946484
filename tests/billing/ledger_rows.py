"""Entries with any price and any past, booked as the product books them; and what they sum to, worked out in Python."""

import itertools
import os
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection

from billing.core.histograms import find_bucket
from ledger.append import append_batches
from ledger.core.entries import PICO, NewBatch, NewEntry
from ledger.core.identity import make_uuid7
from tenants.scope import tenant_scope

_numbers = itertools.count(1)
COST_COLUMNS = (
    "input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost",
    "saved_cost", "reported_cost",
)  # fmt: skip
TOKEN_COLUMNS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens",
)  # fmt: skip
DIMENSIONS = (
    "billing_period", "environment", "feature", "cost_center", "provider", "model", "operation", "service_tier",
    "api_key_id",
)  # fmt: skip
# The columns that each slice keeps. The days of the last are those of cost_day.
SLICES = {
    "total": (), "operation": ("operation", "service_tier"), "provider": ("provider",),
    "cost_center": ("cost_center",), "key": ("api_key_id",), "feature": ("feature",),
    "owner": ("feature", "cost_center", "api_key_id"), "model": ("provider", "model"),
    "cost_center_model": ("cost_center", "provider", "model"), "feature_model": ("feature", "provider", "model"),
    "all": ("feature", "cost_center", "provider", "model", "operation", "service_tier", "api_key_id"),
}  # fmt: skip
SLICED = SLICES["all"]


def make_entry(*, time: datetime, cost: str | None = "0.5", **fields) -> NewEntry:
    """An entry used at `time` that costs `cost` USD, all of it for input; None: unpriced."""
    number = next(_numbers)
    pico = None if cost is None else int(Decimal(cost) * PICO)
    rest = None if cost is None else 0
    values = {
        "key": os.urandom(16),
        "fingerprint": os.urandom(16),
        "line": number,
        "charge_period_start": time,
        "billing_period": time.date().replace(day=1),
        "event_source": "tests",
        "event_id": f"event-{number}",
        "environment": "production",
        "feature": "summarizer",
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "service_tier": "standard",
        "status": "ok",
        "latency_ms": 800,
        "cache_hit": False,
        "tags": {},
        "other_usage": {},
        "input_tokens": 1000,
        "output_tokens": 300,
        "pricing_status": "unpriced" if cost is None else "priced",
        "pricing_reason": "no_rate_for_model" if cost is None else "",
        "rate_version_id": None,
        "rate_version_hash": "",
        "context_tier": 0,
        "input_cost": pico,
        "cache_read_cost": rest,
        "cache_write_cost": rest,
        "output_cost": rest,
        "other_cost": rest,
        "billed_cost": pico,
        "list_cost": pico,
        "saved_cost": rest,
        "reported_cost": None,
    }
    for name in NewEntry.__struct_fields__:
        if name not in values and name not in ("kind", "corrects", "calls", "content_digest", "currency"):
            values[name] = 0 if name.endswith("_tokens") else ""
    return NewEntry(**(values | fields))


def reverse(entry: NewEntry) -> NewEntry:
    """The entry that takes `entry` back: calls, quantities and money negated."""
    values = {name: getattr(entry, name) for name in NewEntry.__struct_fields__}
    for name in ("calls", *TOKEN_COLUMNS, *COST_COLUMNS):
        values[name] = None if values[name] is None else -values[name]
    return NewEntry(
        **values | {"key": os.urandom(16), "line": next(_numbers), "kind": "correction", "corrects": entry.event_id}
    )


def book_entries(tenant, *entries: NewEntry, api_key_id: str = "testkey", recorded_at: datetime | None = None) -> UUID:
    """Book the entries as one batch, which then waits to be rolled up, and for a work that is never done."""
    batch = make_batch(*entries, api_key_id=api_key_id, recorded_at=recorded_at)
    with tenant_scope(tenant.id):
        append_batches(tenant_id=tenant.id, batches=[batch], topics=("rollup", "another"))
    return batch.batch_id


def make_batch(*entries: NewEntry, api_key_id: str = "testkey", recorded_at: datetime | None = None) -> NewBatch:
    recorded_at = recorded_at or datetime.now(UTC)
    return NewBatch(make_uuid7(recorded_at, os.urandom(8)), recorded_at, api_key_id, "usage", list(entries))


def read_table(tenant, table: str, *columns: str) -> list[tuple]:
    """The tenant's rows of a table."""
    with tenant_scope(tenant.id), connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE tenant_id = %s", [tenant.id])
        return cursor.fetchall()


TRACE_COLUMNS = (
    "first_at", "last_at", "calls", "unpriced_calls", "error_calls", "tokens", "billed_cost", "features", "user_refs",
    "session_ids", "model_names",
)  # fmt: skip


def read_entries(tenant, *, booked_in: set[UUID] | None = None) -> list[dict]:
    """The tenant's entries, or those of some batches, as they stand in the ledger."""
    columns = (
        "batch_id", "charge_period_start", *DIMENSIONS, "user_ref", "calls", "pricing_status", "status",
        *TOKEN_COLUMNS, *COST_COLUMNS, "latency_ms", "trace_id", "session_id",
    )  # fmt: skip
    rows = [dict(zip(columns, row, strict=True)) for row in read_table(tenant, "ledger_entry", *columns)]
    return [row for row in rows if booked_in is None or row["batch_id"] in booked_in]


def sum_entries(entries: list[dict], *, timezone: str, minutes_from: datetime) -> dict[str, dict]:
    """What each rollup of these entries should hold, by key. Shares no code with the product but for the bucket."""
    zone = ZoneInfo(timezone)
    sums: dict[str, dict] = {
        table: defaultdict(Counter)
        for table in ("cost_hour", "cost_day", "cost_slice", "cost_user_hour", "calls_minute")
    }
    histograms: dict[tuple, Counter] = defaultdict(Counter)
    slices: dict[tuple, Counter] = defaultdict(Counter)
    for entry in entries:
        moment = entry["charge_period_start"].astimezone(UTC)
        hour = moment.replace(minute=0, second=0, microsecond=0)
        minute = moment.replace(second=0, microsecond=0)
        day = moment.astimezone(zone).date()
        dimensions = tuple(entry[name] for name in DIMENSIONS)
        user = (entry["environment"], entry["feature"], entry["model"], entry["user_ref"])
        quantities, calls = _read_quantities(entry), entry["calls"]
        _add(sums["cost_hour"][hour, *dimensions], quantities)
        _add(sums["cost_day"][day, *dimensions], quantities)
        monday = day - timedelta(days=day.weekday())
        for name, kept in SLICES.items():
            sliced = (entry["environment"], *(entry[column] if column in kept else "" for column in SLICED))
            _add(sums["cost_slice"][name, "week", monday, *sliced], quantities)
            if name != "all":
                _add(sums["cost_slice"][name, "day", day, *sliced], quantities)
        _add(sums["cost_user_hour"][hour, *user], quantities)
        if minute >= minutes_from:
            _add(
                sums["calls_minute"][minute, entry["feature"]],
                {name: quantities[name] for name in ("calls", "error_calls", "billed_cost")},
            )
        for measure in ("billed_cost", "input_tokens", "output_tokens", "latency_ms"):
            if entry[measure] is not None:
                environment, feature, model = entry["environment"], entry["feature"], entry["model"]
                bucket = find_bucket(entry[measure])
                histograms[day, environment, feature, model, measure][bucket] += calls
                for span, first in (("day", day), ("week", monday)):
                    if measure == "billed_cost":
                        slices["total", span, measure, first, environment, "", ""][bucket] += calls
                    if measure != "latency_ms":
                        slices["feature", span, measure, first, environment, feature, ""][bucket] += calls
                if measure == "billed_cost":
                    slices["model", "week", measure, monday, environment, "", model][bucket] += calls
    return {
        **{table: {key: tuple(values.values()) for key, values in groups.items()} for table, groups in sums.items()},
        "histogram": _sort_buckets(histograms),
        "histogram_slice": _sort_buckets(slices),
        "trace_cost": _sum_traces(entries),
        "trace_day": _sum_trace_days(_sum_traces(entries)),
    }


def _sort_buckets(histograms: dict[tuple, Counter]) -> dict[tuple, tuple]:
    return {
        group: (sorted(counts), [counts[bucket] for bucket in sorted(counts)]) for group, counts in histograms.items()
    }


def _sum_traces(entries: list[dict]) -> dict[tuple, tuple]:
    groups = defaultdict(list)
    for entry in entries:
        if entry["trace_id"]:
            groups[entry["trace_id"], entry["environment"]].append(entry)
    return {
        key: (
            min(each["charge_period_start"] for each in group),
            max(each["charge_period_start"] + timedelta(milliseconds=each["latency_ms"] or 0) for each in group),
            *(
                sum(_read_quantities(each)[name] for each in group)
                for name in ("calls", "unpriced_calls", "error_calls")
            ),
            sum(each[name] for each in group for name in TOKEN_COLUMNS if name != "reasoning_tokens"),
            sum(each["billed_cost"] or Decimal(0) for each in group),
            *(
                sorted({each[name] for each in group} - {""})[:20]
                for name in ("feature", "user_ref", "session_id", "model")
            ),
        )
        for key, group in groups.items()
    }


def _sum_trace_days(traces: dict[tuple, tuple]) -> dict[tuple, tuple]:
    """How many began on each day in UTC, with their calls, unpriced calls and cost."""
    days = defaultdict(lambda: (0, 0, 0, Decimal(0)))
    for (_, environment), (first_at, _, calls, unpriced, _, _, cost, *_) in traces.items():
        key = environment, first_at.astimezone(UTC).date()
        days[key] = tuple(map(sum, zip(days[key], (1, calls, unpriced, cost), strict=True)))
    return dict(days)


def _read_quantities(entry: dict) -> dict:
    calls = entry["calls"]
    return {
        "calls": calls,
        "unpriced_calls": calls if entry["pricing_status"] == "unpriced" else 0,
        "error_calls": calls if entry["status"] == "error" else 0,
        **{name: entry[name] for name in TOKEN_COLUMNS},
        **{name: entry[name] or Decimal(0) for name in COST_COLUMNS},
    }


def _add(total: Counter, quantities: dict) -> None:
    for name, quantity in quantities.items():
        total[name] = total.get(name, 0) + quantity


def read_rollups(tenant) -> dict[str, dict]:
    """What the rollups hold, in the shape of `sum_entries`."""
    quantities = ("calls", "unpriced_calls", "error_calls", *TOKEN_COLUMNS, *COST_COLUMNS)
    user = ("environment", "feature", "model", "user_ref")
    tables = {
        "cost_hour": (("hour", *DIMENSIONS), quantities),
        "cost_day": (("day", *DIMENSIONS), quantities),
        "cost_slice": (("slice", "span", "day", "environment", *SLICED), quantities),
        "cost_user_hour": (("hour", *user), quantities),
        "calls_minute": (("minute", "feature"), ("calls", "error_calls", "billed_cost")),
        "histogram": (("day", "environment", "feature", "model", "measure"), ("buckets", "calls")),
        "histogram_slice": (
            ("slice", "span", "measure", "day", "environment", "feature", "model"),
            ("buckets", "calls"),
        ),
        "trace_cost": (("trace_id", "environment"), TRACE_COLUMNS),
        "trace_day": (("environment", "day"), ("traces", "calls", "unpriced_calls", "billed_cost")),
    }
    return {
        table: {row[: len(keys)]: row[len(keys) :] for row in read_table(tenant, table, *keys, *values)}
        for table, (keys, values) in tables.items()
    }


def first_minute(now: datetime) -> datetime:
    return now.replace(second=0, microsecond=0) - timedelta(days=30)

"""One trace as it is shown: its spans, what each cost, and the entries that no span stands for."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connections

from billing.selectors.trace_costs import TraceLine, sum_trace
from ledger.selectors import get_entries, list_trace_entries
from tenants.scope import reading_scope

SPANS_PER_TRACE_MAX = 10_000
TOKEN_COLUMNS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """A span with what was booked for it. entries: ids, oldest first; tokens: disjoint, as in the ledger.

    billed_cost: USD, None where nothing was booked or nothing of it has a price. calls: booked for it. billing:
    `booked`; `waiting` until its trace is quiet; `inside` another span, which says the same usage; `refused`; `other`,
    nothing to bill.
    """

    span_id: str
    parent_span_id: str
    name: str
    operation: str
    service: str
    started_at: datetime
    duration_ms: Decimal | None
    status: str
    billing: str
    provider: str
    model: str
    tokens: Mapping[str, int]
    billed_cost: Decimal | None
    unpriced: int
    calls: int
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trace:
    """Spans in the order in which they began, and the sum of all that was booked for them.

    sums: of every entry, in each environment; also where there are more than spans are shown for.
    """

    trace_id: str
    spans: tuple[TraceSpan, ...]
    sums: tuple[TraceLine, ...]
    billed_cost: Decimal
    unpriced: int
    is_complete: bool  # False while a span waits for the trace to be quiet


LIST_SPANS_SQL = """
    SELECT span_id, parent_span_id, name, operation, service, started_at, duration_us, is_failed, state, entry_id
    FROM span
    WHERE tenant_id = %(tenant_id)s AND trace_id = %(trace_id)s
      AND EXISTS (SELECT FROM trace WHERE trace.tenant_id = span.tenant_id AND trace.trace_id = span.trace_id
                                      AND has_call)
    ORDER BY started_at, span_id
    LIMIT %(spans_max)s"""


def get_trace(*, tenant_id: int, trace_id: str, using: str = "default") -> Trace | None:
    """The tenant's trace; None where neither a span of a call nor an entry names it.

    Entries outlive spans, and other doors book entries without any: such a one stands as a span of its own. An entry
    that was booked from another trace, because it was reported there first, is named and costs nothing here.
    """
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_SPANS_SQL, {"tenant_id": tenant_id, "trace_id": trace_id, "spans_max": SPANS_PER_TRACE_MAX})
        rows = cursor.fetchall()
        own = list_trace_entries(tenant_id=tenant_id, trace_id=trace_id, using=using)
        foreign = {row[-1] for row in rows if row[-1]} - {entry["id"] for entry in own}
        others = get_entries(tenant_id=tenant_id, entry_ids=foreign, using=using)
        sums = sum_trace(cursor, tenant_id=tenant_id, trace_id=trace_id)
    if not rows and not own:
        return None
    by_span: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in own:
        by_span[entry["span_id"]].append(entry)
    spans = [_describe_span(row, by_span.pop(row[0], []), others) for row in rows]
    spans += [_describe_entries(call) for entries in by_span.values() for call in _list_calls(entries)]
    spans.sort(key=lambda span: (span.started_at, span.span_id))
    return Trace(
        trace_id=trace_id,
        spans=tuple(spans),
        sums=tuple(sums),
        billed_cost=sum((line.billed_cost or Decimal(0) for line in sums), Decimal(0)),
        unpriced=sum(span.unpriced for span in spans),
        is_complete=all(span.billing != "waiting" for span in spans),
    )


def _describe_span(
    row: Sequence[Any], entries: list[dict[str, Any]], others: Mapping[str, dict[str, Any]]
) -> TraceSpan:
    span_id, parent_span_id, name, operation, service, started_at, duration_us, is_failed, state, entry_id = row
    known = entries or ([others[entry_id]] if entry_id in others else [])
    return TraceSpan(
        span_id=span_id,
        parent_span_id=parent_span_id,
        name=name,
        operation=operation,
        service=service,
        started_at=started_at,
        duration_ms=Decimal(duration_us) / 1000,
        status="error" if is_failed or any(entry["status"] == "error" for entry in known) else "ok",
        billing=state,
        provider=known[0]["provider"] if known else "",
        model=known[0]["model"] if known else "",
        tokens=_sum_tokens(entries),
        billed_cost=_sum_cost(entries),
        unpriced=_count_unpriced(entries),
        calls=sum(entry["calls"] for entry in entries),
        entries=tuple(entry["id"] for entry in entries) or ((entry_id,) if entry_id else ()),
    )


def _list_calls(entries: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Each call with the entries that rate, take back or restate it."""
    calls: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        calls[entry["corrects"] or entry["id"]].append(entry)
    return list(calls.values())


def _describe_entries(entries: list[dict[str, Any]]) -> TraceSpan:
    entry = entries[0]
    return TraceSpan(
        span_id=entry["span_id"],
        parent_span_id=entry["parent_span_id"],
        name=f"{entry['operation']} {entry['model']}",
        operation=entry["operation"],
        service=entry["event_source"],
        started_at=entry["charge_period_start"],
        duration_ms=None if entry["latency_ms"] is None else Decimal(entry["latency_ms"]),
        status=entry["status"],
        billing="booked",
        provider=entry["provider"],
        model=entry["model"],
        tokens=_sum_tokens(entries),
        billed_cost=_sum_cost(entries),
        unpriced=_count_unpriced(entries),
        calls=sum(entry["calls"] for entry in entries),
        entries=tuple(entry["id"] for entry in entries),
    )


def _sum_tokens(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {column: sum(entry[column] for entry in entries) for column in TOKEN_COLUMNS}


def _sum_cost(entries: Sequence[Mapping[str, Any]]) -> Decimal | None:
    costs = [entry["billed_cost"] for entry in entries if entry["billed_cost"] is not None]
    return sum(costs, Decimal(0)) if costs else None


def _count_unpriced(entries: Sequence[Mapping[str, Any]]) -> int:
    """Usage that has no price yet: a rating that came later names what it rates, and takes it off."""
    rated = {entry["corrects"] for entry in entries if entry["kind"] == "rating"}
    return sum(entry["billed_cost"] is None and entry["calls"] > 0 and entry["id"] not in rated for entry in entries)

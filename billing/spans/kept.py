"""The tables `trace` and `span`: written under the trace's lock, read whole, dropped when they are old."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec
from django.db import connection, connections

from billing.core.spans import SpanNode
from tenants.prepared import prepared_cursor
from tenants.scope import tenant_scope

SPANS_KEPT_DAYS = 30
UNCALLED_KEPT = timedelta(minutes=30)  # spans may come long before the call of a model that makes them worth keeping
NODES_PER_TRACE_MAX = 10_000


class KeptSpan(msgspec.Struct):
    """A row of `span` as it is inserted."""

    trace_id: str
    span_id: str
    parent_span_id: str
    started_us: int  # since 1970
    duration_us: int
    name: str
    operation: str
    service: str
    is_failed: bool
    has_usage: bool
    state: str
    entry_id: str
    event: str


# The rows stay locked until the commit, in one order for every writer: who decides on a trace decides alone.
TOUCH_TRACES_SQL = """
    INSERT INTO trace AS kept (tenant_id, trace_id, first_seen_at, last_seen_at, has_call, is_waiting)
    SELECT %(tenant_id)s::bigint, trace_id, %(now)s::timestamptz, %(now)s::timestamptz, has_call, false
    FROM json_to_recordset(%(traces)s::json) AS sent (trace_id text, has_call boolean)
    ORDER BY trace_id
    ON CONFLICT (tenant_id, trace_id) DO UPDATE
    SET last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at), has_call = kept.has_call OR excluded.has_call
    RETURNING trace_id, xmax = 0"""


def touch_traces(*, tenant_id: int, has_call: Mapping[str, bool], now: datetime) -> list[str]:
    """Lock the rows of these traces, made where there was none; the ids of those that were there before."""
    sent = [{"trace_id": trace_id, "has_call": called} for trace_id, called in has_call.items()]
    with prepared_cursor() as cursor:
        cursor.execute(
            TOUCH_TRACES_SQL, {"tenant_id": tenant_id, "now": now, "traces": msgspec.json.encode(sent).decode()}
        )
        return [trace_id for trace_id, is_new in cursor.fetchall() if not is_new]


LIST_NODES_SQL = """
    SELECT wanted.trace_id, found.span_id, found.parent_span_id, found.state, found.has_usage, found.is_failed,
           (extract(epoch FROM found.started_at) * 1000000)::bigint, found.duration_us
    FROM unnest(%(trace_ids)s::text[]) AS wanted (trace_id)
    CROSS JOIN LATERAL (
        SELECT span_id, parent_span_id, state, has_usage, is_failed, started_at, duration_us
        FROM span
        WHERE tenant_id = %(tenant_id)s AND span.trace_id = wanted.trace_id
        ORDER BY span_id
        LIMIT %(nodes_max)s) AS found"""


def load_nodes(*, tenant_id: int, trace_ids: Sequence[str]) -> dict[str, dict[str, SpanNode]]:
    """The spans of these traces that are kept, by trace and span id; at most NODES_PER_TRACE_MAX of each."""
    nodes: dict[str, dict[str, SpanNode]] = {}
    if not trace_ids:
        return nodes
    with prepared_cursor() as cursor:
        cursor.execute(
            LIST_NODES_SQL, {"tenant_id": tenant_id, "trace_ids": list(trace_ids), "nodes_max": NODES_PER_TRACE_MAX}
        )
        for trace_id, span_id, parent, state, has_usage, is_failed, started_us, duration_us in cursor.fetchall():
            node = SpanNode(span_id, parent, state, has_usage, is_failed, started_us, started_us + duration_us)
            nodes.setdefault(trace_id, {})[span_id] = node
    return nodes


KEEP_SPANS_SQL = """
    INSERT INTO span (tenant_id, trace_id, span_id, parent_span_id, received_at, started_at, duration_us, name,
                      operation, service, is_failed, has_usage, state, entry_id, api_key_id, event)
    SELECT %(tenant_id)s::bigint, trace_id, span_id, parent_span_id, %(now)s::timestamptz,
           'epoch'::timestamptz + started_us * interval '1 microsecond', duration_us, name, operation, service,
           is_failed, has_usage, state, entry_id, %(api_key_id)s::text, event
    FROM json_to_recordset(%(spans)s::json) AS sent (
        trace_id text, span_id text, parent_span_id text, started_us bigint, duration_us bigint, name text,
        operation text, service text, is_failed boolean, has_usage boolean, state text, entry_id text, event text)
    ON CONFLICT DO NOTHING"""


def keep_spans(*, tenant_id: int, api_key_id: str, spans: Sequence[KeptSpan], now: datetime) -> None:
    """Insert new spans; one that is there already stays as it is."""
    if not spans:
        return
    with prepared_cursor() as cursor:
        cursor.execute(
            KEEP_SPANS_SQL,
            {
                "tenant_id": tenant_id,
                "api_key_id": api_key_id,
                "now": now,
                "spans": msgspec.json.encode(spans).decode(),
            },
        )


SETTLE_SPANS_SQL = """
    UPDATE span SET state = settled.state, entry_id = settled.entry_id, event = ''
    FROM json_to_recordset(%(settled)s::json) AS settled (trace_id text, span_id text, state text, entry_id text)
    WHERE span.tenant_id = %(tenant_id)s AND span.trace_id = settled.trace_id AND span.span_id = settled.span_id
      AND span.state = 'waiting'"""


def settle_spans(*, tenant_id: int, settled: Iterable[tuple[str, str, str, str]]) -> None:
    """End the waiting of spans: (trace id, span id, new state, entry id or '') each."""
    rows = [dict(zip(("trace_id", "span_id", "state", "entry_id"), row, strict=True)) for row in settled]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(SETTLE_SPANS_SQL, {"tenant_id": tenant_id, "settled": msgspec.json.encode(rows).decode()})


# A trace whose call is inside a span above it has one all the same: what waits was a call's report.
NOTE_WAITING_SQL = """
    UPDATE trace SET is_waiting = EXISTS (
        SELECT FROM span WHERE span.tenant_id = trace.tenant_id AND span.trace_id = trace.trace_id
                           AND span.state = 'waiting')
    WHERE tenant_id = %(tenant_id)s AND trace_id = ANY(%(trace_ids)s::text[])"""


def note_waiting(*, tenant_id: int, trace_ids: Sequence[str]) -> None:
    """Say of each trace whether a span of it still waits."""
    if trace_ids:
        with connection.cursor() as cursor:
            cursor.execute(NOTE_WAITING_SQL, {"tenant_id": tenant_id, "trace_ids": list(trace_ids)})


# Read as the reader, who sees every tenant: only whose turn it is.
LIST_QUIET_TRACES_SQL = """
    SELECT tenant_id, trace_id FROM trace
    WHERE is_waiting AND last_seen_at <= %(quiet_since)s
    ORDER BY last_seen_at LIMIT %(traces_max)s"""


def list_quiet_traces(*, quiet_since: datetime, traces_max: int) -> dict[int, list[str]]:
    """Traces in which a span waits and nothing came since, by tenant; the longest quiet first."""
    due: dict[int, list[str]] = {}
    with connections["reader"].cursor() as cursor:
        cursor.execute(LIST_QUIET_TRACES_SQL, {"quiet_since": quiet_since, "traces_max": traces_max})
        for tenant_id, trace_id in cursor.fetchall():
            due.setdefault(tenant_id, []).append(trace_id)
    return due


CLAIM_QUIET_TRACES_SQL = """
    SELECT trace_id FROM trace
    WHERE tenant_id = %(tenant_id)s AND trace_id = ANY(%(trace_ids)s::text[]) AND is_waiting
      AND last_seen_at <= %(quiet_since)s
    ORDER BY trace_id
    FOR UPDATE SKIP LOCKED"""


def claim_quiet_traces(*, tenant_id: int, trace_ids: Sequence[str], quiet_since: datetime) -> list[str]:
    """Lock those that are still quiet; one that another worker holds, or a request, is left to it."""
    with connection.cursor() as cursor:
        cursor.execute(
            CLAIM_QUIET_TRACES_SQL,
            {"tenant_id": tenant_id, "trace_ids": list(trace_ids), "quiet_since": quiet_since},
        )
        return [trace_id for (trace_id,) in cursor.fetchall()]


LIST_WAITING_EVENTS_SQL = """
    SELECT trace_id, span_id, api_key_id, event FROM span
    WHERE tenant_id = %(tenant_id)s AND trace_id = ANY(%(trace_ids)s::text[]) AND state = 'waiting'"""


def load_waiting_events(*, tenant_id: int, trace_ids: Sequence[str]) -> dict[tuple[str, str], tuple[str, str]]:
    """By trace and span id, the key that sent the span and the JSON of its event."""
    with connection.cursor() as cursor:
        cursor.execute(LIST_WAITING_EVENTS_SQL, {"tenant_id": tenant_id, "trace_ids": list(trace_ids)})
        return {(trace_id, span_id): (key_id, event) for trace_id, span_id, key_id, event in cursor.fetchall()}


PRUNE_TRACES_SQL = """
    WITH old AS (
        DELETE FROM trace
        WHERE tenant_id = %(tenant_id)s
          AND (last_seen_at < %(kept_since)s OR (NOT has_call AND NOT is_waiting AND last_seen_at < %(uncalled_since)s))
        RETURNING trace_id)
    DELETE FROM span USING old
    WHERE span.tenant_id = %(tenant_id)s AND span.trace_id = old.trace_id"""


def prune_spans(*, tenant_id: int, now: datetime) -> int:
    """Drop the tenant's traces of which nothing came for 30 days, and those without a call for half an hour.

    How many spans; a second call drops none.
    """
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(
            PRUNE_TRACES_SQL,
            {
                "tenant_id": tenant_id,
                "kept_since": now - timedelta(days=SPANS_KEPT_DAYS),
                "uncalled_since": now - UNCALLED_KEPT,
            },
        )
        return cursor.rowcount

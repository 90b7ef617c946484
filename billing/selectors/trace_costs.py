"""The traces of a period by what they cost: what the rollup holds of them, and the calls that wait in the outbox."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.db import connections
from psycopg.sql import SQL, Composable, Composed, Identifier

from billing.rollups.tables import ENTRY_COLUMNS, TRACE_COST, TRACE_NAMES, TRACE_NAMES_MAX, TRACE_SUMS, list_names
from billing.selectors.sources import ONE_TENANT, PENDING_ENTRIES
from ledger.selectors import find_user_refs
from tenants.scope import reading_scope

BY_COST, BY_NEWEST, BY_DURATION, BY_CALLS = TRACE_ORDERS = ("cost", "newest", "duration", "calls")
SPANS_COUNTED_MAX = 10_000
ROOT_SOUGHT_AMONG = 1_000


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which traces: those whose first call began in [start, end), in an environment or, for '', in any.

    features, models, users: one of them is the name of one of the trace's calls, at least; all of its cost counts.
    search: the beginning of the trace's id, or one of its sessions.
    """

    tenant_id: int
    start: datetime
    end: datetime
    environment: str = ""
    features: Sequence[str] = ()
    models: Sequence[str] = ()
    users: Sequence[str] = ()
    search: str = ""
    order: str = BY_COST
    offset: int = 0
    limit: int = 50


@dataclass(frozen=True, slots=True)
class TraceLine:
    """A trace in an environment. billed_cost: of its priced calls, None where it has none; names: 20 of each at most.

    spans: that are kept, SPANS_COUNTED_MAX at most; name: of the span that the others hang on, '' where none is kept.
    """

    trace_id: str
    environment: str
    first_at: datetime
    last_at: datetime
    calls: int
    unpriced_calls: int
    error_calls: int
    tokens: int
    billed_cost: Decimal | None
    features: Sequence[str]
    user_refs: Sequence[str]
    session_ids: Sequence[str]
    models: Sequence[str]
    spans: int = 0
    name: str = ""

    @property
    def duration(self) -> timedelta:
        """From its first call's beginning to its last one's end."""
        return self.last_at - self.first_at


@dataclass(frozen=True, slots=True)
class TraceSums:
    """All traces of a query, shown or not. billed_cost: of their priced calls."""

    traces: int
    calls: int
    unpriced_calls: int
    billed_cost: Decimal


@dataclass(frozen=True, slots=True)
class TracePage:
    """A part of the traces in their order, and the sums of them all."""

    lines: Sequence[TraceLine]
    totals: TraceSums


COLUMNS = ("trace_id", "environment", "first_at", "last_at", *TRACE_SUMS, *TRACE_NAMES)
# What a trace's waiting entries make of it, whether anything of it was rolled up before or not.
WITH_WAITING = SQL("""
    WITH entry AS MATERIALIZED ({pending}),
    pending AS MATERIALIZED ({sums}),
    waiting AS MATERIALIZED (
        SELECT pending.trace_id, pending.environment, least(pending.first_at, kept.first_at) AS first_at,
               greatest(pending.last_at, kept.last_at) AS last_at, {added}, {names}
        FROM pending LEFT JOIN trace_cost AS kept
          ON kept.tenant_id = %(tenant_id)s AND kept.trace_id = pending.trace_id
         AND kept.environment = pending.environment)""").format(
    pending=PENDING_ENTRIES.format(tenant=ONE_TENANT.all, columns=list_names(ENTRY_COLUMNS)),
    sums=TRACE_COST.sums,
    added=SQL(", ").join(
        SQL("pending.{0} + coalesce(kept.{0}, 0) AS {0}").format(Identifier(name)) for name in TRACE_SUMS
    ),
    names=SQL(", ").join(
        SQL("""coalesce((SELECT (array_agg(DISTINCT name))[1:{1}]
                         FROM unnest(pending.{0} || kept.{0}) AS name), '{{}}') AS {0}""").format(
            Identifier(names), TRACE_NAMES_MAX
        )
        for names in TRACE_NAMES
    ),
)
IN_PERIOD = SQL("first_at >= %(start)s AND first_at < %(end)s AND {filters}")
NOT_WAITING = SQL("""NOT EXISTS (
            SELECT FROM waiting
            WHERE waiting.trace_id = stored.trace_id AND waiting.environment = stored.environment)""")
STORED = SQL("""
        SELECT {columns} FROM trace_cost AS stored
        WHERE tenant_id = %(tenant_id)s AND environment = ANY(%(environments)s::text[]) AND day >= {first_day}
          AND day <= %(last_day)s::date AND {in_period} AND {not_waiting}
        UNION ALL
        SELECT {columns} FROM waiting WHERE environment = ANY(%(environments)s::text[]) AND {in_period}""")

FIRST_DAY = SQL("%(first_day)s::date")
# The newest are in the last days that have so many, and more for those that wait.
DAY_OF_NEWEST = SQL("""coalesce((
              SELECT max(day) FROM (
                  SELECT day, sum(sum(traces)) OVER (ORDER BY day DESC) AS so_far FROM trace_day
                  WHERE tenant_id = %(tenant_id)s AND environment = ANY(%(environments)s::text[])
                    AND day >= %(first_whole_day)s::date AND day < %(end_whole_day)s::date
                  GROUP BY day) AS counted
              WHERE so_far >= %(offset)s + %(limit)s + (SELECT count(*) FROM waiting)), %(first_day)s::date)""")
# The index has each day's dearest in their order: so many of each are more than enough to choose from.
DEAREST = SQL("""
        SELECT found.* FROM unnest(%(environments)s::text[]) AS one (environment)
        CROSS JOIN generate_series(%(first_day)s::timestamp, %(last_day)s::timestamp, interval '1 day') AS every (day)
        CROSS JOIN LATERAL (
            SELECT trace_id, environment, billed_cost FROM trace_cost AS stored
            WHERE tenant_id = %(tenant_id)s AND environment = one.environment AND day = every.day::date
              AND {in_period} AND {not_waiting}
            ORDER BY billed_cost DESC, trace_id DESC LIMIT %(offset)s + %(limit)s) AS found
        UNION ALL
        SELECT trace_id, environment, billed_cost FROM waiting
        WHERE environment = ANY(%(environments)s::text[]) AND {in_period}""")
ORDERS = {
    BY_COST: SQL("billed_cost"),
    BY_NEWEST: SQL("first_at"),
    BY_DURATION: SQL("(last_at - first_at)"),
    BY_CALLS: SQL("calls"),
}
LIST_TRACES = SQL("""{with_waiting},
    picked AS MATERIALIZED (
        SELECT trace_id, environment, {order} AS place FROM ({source}) AS traces
        ORDER BY place DESC, trace_id DESC, environment LIMIT %(limit)s OFFSET %(offset)s)
    SELECT {columns} FROM picked CROSS JOIN LATERAL (
        SELECT {rows} FROM trace_cost AS stored
        WHERE tenant_id = %(tenant_id)s AND trace_id = picked.trace_id AND environment = picked.environment
          AND {not_waiting}
        UNION ALL
        SELECT {rows} FROM waiting WHERE trace_id = picked.trace_id AND environment = picked.environment) AS traces
    ORDER BY place DESC, picked.trace_id DESC, picked.environment""")
SUM_TRACES = SQL("""{with_waiting}
    SELECT count(*), coalesce(sum(calls), 0)::bigint, coalesce(sum(unpriced_calls), 0)::bigint,
           coalesce(sum(billed_cost), 0)
    FROM ({source}) AS traces""")

# Without a filter, whole days are added up already. What waits replaces what is stored of it.
SUM_DAYS_OF_TRACES = SQL("""{with_waiting}
    SELECT coalesce(sum(traces), 0)::bigint, coalesce(sum(calls), 0)::bigint,
           coalesce(sum(unpriced_calls), 0)::bigint, coalesce(sum(billed_cost), 0)
    FROM (
        SELECT traces, calls, unpriced_calls, billed_cost FROM trace_day
        WHERE tenant_id = %(tenant_id)s AND environment = ANY(%(environments)s::text[])
          AND day >= %(first_whole_day)s::date AND day < %(end_whole_day)s::date
        UNION ALL
        SELECT 1, calls, unpriced_calls, billed_cost FROM trace_cost
        WHERE tenant_id = %(tenant_id)s AND environment = ANY(%(environments)s::text[])
          AND day = ANY(%(part_days)s::date[]) AND first_at >= %(start)s AND first_at < %(end)s
        UNION ALL
        SELECT -1, -stored.calls, -stored.unpriced_calls, -stored.billed_cost
        FROM waiting JOIN trace_cost AS stored ON stored.tenant_id = %(tenant_id)s
         AND stored.trace_id = waiting.trace_id AND stored.environment = waiting.environment
        WHERE stored.environment = ANY(%(environments)s::text[])
          AND stored.first_at >= %(start)s AND stored.first_at < %(end)s
        UNION ALL
        SELECT 1, calls, unpriced_calls, billed_cost FROM waiting
        WHERE environment = ANY(%(environments)s::text[]) AND first_at >= %(start)s AND first_at < %(end)s) AS part""")

# Of each environment one look-up, however many traces it has.
LIST_TRACE_ENVIRONMENTS_SQL = SQL("""
    WITH RECURSIVE found AS (
        (SELECT environment FROM trace_cost WHERE tenant_id = %(tenant_id)s ORDER BY environment LIMIT 1)
        UNION ALL
        SELECT (SELECT environment FROM trace_cost
                WHERE tenant_id = %(tenant_id)s AND environment > found.environment ORDER BY environment LIMIT 1)
        FROM found WHERE found.environment IS NOT NULL)
    SELECT environment FROM found WHERE environment IS NOT NULL
    UNION
    SELECT environment FROM ({pending}) AS entry WHERE trace_id <> ''""").format(
    pending=PENDING_ENTRIES.format(tenant=ONE_TENANT.all, columns=list_names(ENTRY_COLUMNS))
)


def list_traces(query: TraceQuery, *, using: str = "default") -> TracePage:
    """A page of the tenant's traces in the order of the query, the most first, and what all of them add up to.

    By cost, and the newest without a filter, a page is found without reading the others; else every trace of the
    period is read.
    A trace of which nothing has a price stands last by cost.
    """
    conditions, values = _write_filters(query, using=using)
    in_period = IN_PERIOD.format(filters=conditions)
    with reading_scope(query.tenant_id, using=using), connections[using].cursor() as cursor:
        values["environments"] = _list_environments(cursor, query)
        cursor.execute(_write_list(query, in_period), values)
        lines = [_read_line(row) for row in cursor.fetchall()]
        cursor.execute(_write_sums(query, in_period), values)
        totals = TraceSums(*cursor.fetchone())
        return TracePage(_describe_lines(cursor, query.tenant_id, lines), totals)


def _write_list(query: TraceQuery, in_period: Composable) -> Composed:
    if query.order == BY_COST:
        source = DEAREST.format(in_period=in_period, not_waiting=NOT_WAITING)
    else:
        first_day = DAY_OF_NEWEST if query.order == BY_NEWEST and not _is_filtered(query) else FIRST_DAY
        columns = ("trace_id", "environment", "first_at", "last_at", "calls")
        source = _write_stored(columns, in_period, first_day=first_day)
    return LIST_TRACES.format(
        with_waiting=WITH_WAITING,
        source=source,
        order=ORDERS[query.order],
        columns=SQL(", ").join(Identifier("traces", name) for name in COLUMNS),
        rows=list_names(COLUMNS),
        not_waiting=NOT_WAITING,
    )


def _write_sums(query: TraceQuery, in_period: Composable) -> Composed:
    if not _is_filtered(query):
        return SUM_DAYS_OF_TRACES.format(with_waiting=WITH_WAITING)
    source = _write_stored(("calls", "unpriced_calls", "billed_cost"), in_period)
    return SUM_TRACES.format(with_waiting=WITH_WAITING, source=source)


def _is_filtered(query: TraceQuery) -> bool:
    return bool(query.features or query.models or query.users or query.search)


def _write_stored(columns: tuple[str, ...], in_period: Composable, *, first_day: Composable = FIRST_DAY) -> Composed:
    return STORED.format(columns=list_names(columns), in_period=in_period, not_waiting=NOT_WAITING, first_day=first_day)


def _write_filters(query: TraceQuery, *, using: str) -> tuple[Composed, dict[str, Any]]:
    """The conditions on a trace, and every parameter of the statements."""
    user_refs = find_user_refs(tenant_id=query.tenant_id, users=query.users, using=using)
    wanted = {"features": query.features, "model_names": query.models, "user_refs": user_refs}
    conditions: list[Composable] = [
        SQL("{} && {}::text[]").format(Identifier(names), SQL(f"%({names})s"))
        for names, values in wanted.items()
        if values
    ]
    if query.search:
        conditions.append(SQL("(starts_with(trace_id, %(search)s) OR session_ids @> ARRAY[%(search)s])"))
    values = {
        "tenant_id": query.tenant_id,
        "start": query.start,
        "end": query.end,
        **_name_days(query.start.astimezone(UTC), query.end.astimezone(UTC)),
        "search": query.search,
        "offset": query.offset,
        "limit": query.limit,
        **{names: list(values) for names, values in wanted.items()},
    }
    return SQL(" AND ").join([SQL("true"), *conditions]), values


def _name_days(start: datetime, end: datetime) -> dict[str, object]:
    """The days in UTC that a period touches, those it has whole, and those of which it has a part."""
    first_day, last_day = start.date(), (end - timedelta(microseconds=1)).date()
    first_whole = first_day if start.time() == time() else first_day + timedelta(days=1)
    end_whole = max(first_whole, end.date())
    parts = [day for day in sorted({first_day, last_day}) if not first_whole <= day < end_whole]
    return {
        "first_day": first_day,
        "last_day": last_day,
        "first_whole_day": first_whole,
        "end_whole_day": end_whole,
        "part_days": parts,
    }


def _list_environments(cursor: Any, query: TraceQuery) -> list[str]:
    if query.environment:
        return [query.environment]
    cursor.execute(LIST_TRACE_ENVIRONMENTS_SQL, {"tenant_id": query.tenant_id})
    return [environment for (environment,) in cursor.fetchall()]


def _read_line(row: Sequence[Any]) -> TraceLine:
    found: Mapping[str, Any] = dict(zip(COLUMNS, row, strict=True))
    return TraceLine(
        trace_id=found["trace_id"],
        environment=found["environment"],
        first_at=found["first_at"],
        last_at=found["last_at"],
        calls=found["calls"],
        unpriced_calls=found["unpriced_calls"],
        error_calls=found["error_calls"],
        tokens=found["tokens"],
        billed_cost=None if found["unpriced_calls"] and not found["billed_cost"] else found["billed_cost"],
        features=found["features"],
        user_refs=found["user_refs"],
        session_ids=found["session_ids"],
        models=found["model_names"],
    )


SUM_TRACE_SQL = SQL("""
    WITH entry AS (
        SELECT {columns} FROM ledger_entry
        WHERE tenant_id = %(tenant_id)s AND trace_id = %(trace_id)s AND trace_id <> '')
    {sums} ORDER BY environment""").format(columns=list_names(ENTRY_COLUMNS), sums=TRACE_COST.sums)


def sum_trace(cursor: Any, *, tenant_id: int, trace_id: str) -> list[TraceLine]:
    """All entries of one trace, from the ledger itself, by environment; in the tenant's scope."""
    cursor.execute(SUM_TRACE_SQL, {"tenant_id": tenant_id, "trace_id": trace_id})
    return [_read_line(row) for row in cursor.fetchall()]


# A trace may have ten thousand spans, and its root any of their ids: it is looked for among the first ones only.
DESCRIBE_TRACES_SQL = """
    SELECT wanted.trace_id, kept.spans, root.name
    FROM unnest(%(trace_ids)s::text[]) AS wanted (trace_id)
    CROSS JOIN LATERAL (
        SELECT count(*) AS spans FROM (
            SELECT FROM span WHERE tenant_id = %(tenant_id)s AND span.trace_id = wanted.trace_id
            LIMIT %(spans_max)s) AS counted) AS kept
    CROSS JOIN LATERAL (
        SELECT name FROM (
            SELECT name, parent_span_id, started_at FROM span
            WHERE tenant_id = %(tenant_id)s AND span.trace_id = wanted.trace_id
            ORDER BY span_id LIMIT %(sought_among)s) AS sought
        ORDER BY parent_span_id <> '', started_at LIMIT 1) AS root"""


def _describe_lines(cursor: Any, tenant_id: int, lines: Sequence[TraceLine]) -> list[TraceLine]:
    """The same with what their spans say, where they are kept."""
    cursor.execute(
        DESCRIBE_TRACES_SQL,
        {
            "tenant_id": tenant_id,
            "trace_ids": sorted({line.trace_id for line in lines}),
            "spans_max": SPANS_COUNTED_MAX,
            "sought_among": ROOT_SOUGHT_AMONG,
        },
    )
    known = {trace_id: (spans, name) for trace_id, spans, name in cursor.fetchall()}
    return [
        replace(line, spans=known[line.trace_id][0], name=known[line.trace_id][1]) if line.trace_id in known else line
        for line in lines
    ]

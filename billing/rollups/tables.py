"""What each rollup holds: the sums of entries that make it, and the statements that add, compare and rebuild it.

A sum is written once, over a relation named `entry`, and used three times: over the entries of claimed batches when
they are added, and over all settled entries when a rollup is compared with the ledger or made again.
"""

from dataclasses import dataclass
from typing import NamedTuple

from psycopg.sql import SQL, Composable, Composed, Identifier

from billing.core.histograms import ZERO_BUCKET

MINUTES_KEPT_DAYS = 30

DIMENSIONS = (
    "billing_period", "environment", "feature", "cost_center", "provider", "model", "operation", "service_tier",
    "api_key_id",
)  # fmt: skip
TOKENS = (
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "output_tokens",
    "reasoning_tokens",
)  # fmt: skip
MONEY = (
    "input_cost", "cache_read_cost", "cache_write_cost", "output_cost", "other_cost", "billed_cost", "list_cost",
    "saved_cost", "reported_cost",
)  # fmt: skip
QUANTITIES = ("calls", "unpriced_calls", "error_calls", *TOKENS, *MONEY)
# A question has few dimensions. For each of these sets the days and weeks are summed by it and the environment alone;
# the least rows first, for a question is answered by the first slice that has its columns. The last has them all, of
# weeks only: its days are `cost_day`.
SLICES = {
    "total": (),
    "operation": ("operation", "service_tier"),
    "provider": ("provider",),
    "cost_center": ("cost_center",),
    "key": ("api_key_id",),
    "feature": ("feature",),
    "owner": ("feature", "cost_center", "api_key_id"),
    "model": ("provider", "model"),
    "cost_center_model": ("cost_center", "provider", "model"),
    "feature_model": ("feature", "provider", "model"),
    "all": ("feature", "cost_center", "provider", "model", "operation", "service_tier", "api_key_id"),
}
WEEKLY_SLICE = "all"
SLICED = SLICES[WEEKLY_SLICE]
MEASURES = ("billed_cost", "input_tokens", "output_tokens", "latency_ms")


class KeptHistograms(NamedTuple):
    """Of which columns histograms are kept beside those of a feature's model and day, for which measures and spans."""

    kept: tuple[str, ...]
    measures: tuple[str, ...]
    spans: tuple[str, ...]


# What is asked for over months. The least rows first: models are too many to be counted by the day once more.
HISTOGRAM_SLICES = {
    "total": KeptHistograms((), ("billed_cost",), ("day", "week")),
    "feature": KeptHistograms(("feature",), ("billed_cost", "input_tokens", "output_tokens"), ("day", "week")),
    "model": KeptHistograms(("model",), ("billed_cost",), ("week",)),
}

ENTRY_COLUMNS = (
    "charge_period_start", *DIMENSIONS, "user_ref", "calls", "pricing_status", "status", *TOKENS, *MONEY, "latency_ms",
    "trace_id", "session_id",
)  # fmt: skip


def list_names(names: tuple[str, ...]) -> Composed:
    """Columns, with commas between."""
    return SQL(", ").join(map(Identifier, names))


def sum_quantities() -> Composed:
    """The quantities of a group of entries. An unpriced entry has no money: it adds nothing, and is counted."""
    return SQL(", ").join(
        [
            SQL("sum(calls) AS calls"),
            SQL("coalesce(sum(calls) FILTER (WHERE pricing_status = 'unpriced'), 0) AS unpriced_calls"),
            SQL("coalesce(sum(calls) FILTER (WHERE status = 'error'), 0) AS error_calls"),
            *(SQL("sum({0}) AS {0}").format(Identifier(name)) for name in TOKENS),
            *(SQL("coalesce(sum({0}), 0) AS {0}").format(Identifier(name)) for name in MONEY),
        ]
    )


def bucket_of(measure: str) -> Composed:
    """`billing.core.histograms.find_bucket`, in SQL: the same formula on the same doubles."""
    return SQL(
        "CASE WHEN {0} = 0 THEN {1} ELSE ceil(ln(abs({0})::float8) / ln(1.01::float8 / 0.99::float8)) END::smallint"
    ).format(Identifier(measure), ZERO_BUCKET)


@dataclass(frozen=True, slots=True)
class RollupTable:
    """A rollup: its columns after the tenant, the sums that fill it, and how a sum is added to a row."""

    name: str
    keys: tuple[str, ...]
    values: tuple[str, ...]
    sums: Composable  # SELECT keys, values FROM entry …
    addition: Composable  # SET …, from `stored` and `excluded`
    kept: Composable | None = None  # which of its rows are compared; None: all

    @property
    def columns(self) -> tuple[str, ...]:
        return self.keys + self.values


def add_each(values: tuple[str, ...]) -> Composed:
    """Each value plus what is new of it."""
    return SQL(", ").join(SQL("{0} = stored.{0} + excluded.{0}").format(Identifier(value)) for value in values)


# Sums of sums.
ADD_UP = SQL(", ").join(SQL("sum({0}) AS {0}").format(Identifier(name)) for name in QUANTITIES)

# The day in the tenant's reporting time zone.
LOCAL_DAY = SQL(
    "(charge_period_start AT TIME ZONE (SELECT timezone FROM tenant WHERE id = %(tenant_id)s))::date AS day"
)

COST_HOUR = RollupTable(
    "cost_hour",
    keys=("hour", *DIMENSIONS),
    values=QUANTITIES,
    sums=SQL("""
        SELECT date_trunc('hour', charge_period_start, 'UTC') AS hour, {dimensions}, {quantities}
        FROM entry GROUP BY hour, {dimensions}""").format(
        dimensions=list_names(DIMENSIONS), quantities=sum_quantities()
    ),
    addition=add_each(QUANTITIES),
)

COST_DAY = RollupTable(
    "cost_day",
    keys=("day", *DIMENSIONS),
    values=QUANTITIES,
    sums=SQL("""
        SELECT {local_day}, {dimensions}, {quantities}
        FROM entry GROUP BY day, {dimensions}""").format(
        local_day=LOCAL_DAY, dimensions=list_names(DIMENSIONS), quantities=sum_quantities()
    ),
    addition=add_each(QUANTITIES),
)


def sum_slices(days: Composable) -> Composed:
    """Sums by slice and span over sums that have a day and every dimension; what a slice leaves out is ''."""
    return SQL("""
        SELECT CASE grouping({sliced}) {names} END AS slice,
               CASE grouping(day) WHEN 0 THEN 'day' ELSE 'week' END AS span, coalesce(day, week) AS day,
               environment, {columns}, {totals}
        FROM (SELECT *, date_trunc('week', day::timestamp)::date AS week FROM ({days}) AS cost) AS cost
        GROUP BY environment, GROUPING SETS ((day), (week)), GROUPING SETS ({sets})
        HAVING grouping(day) = 1 OR grouping({sliced}) <> {weekly}""").format(
        sliced=list_names(SLICED),
        names=SQL(" ").join(SQL("WHEN {} THEN {}").format(_number(kept), name) for name, kept in SLICES.items()),
        columns=SQL(", ").join(SQL("coalesce({0}, '') AS {0}").format(Identifier(column)) for column in SLICED),
        totals=ADD_UP,
        days=days,
        sets=SQL(", ").join(SQL("({})").format(list_names(kept)) for kept in SLICES.values()),
        weekly=_number(SLICED),
    )


def _number(kept: tuple[str, ...]) -> int:
    """What grouping() says of a set: a bit for each column that it leaves out, that of the last one the lowest."""
    return sum(1 << place for place, column in enumerate(reversed(SLICED)) if column not in kept)


COST_SLICE = RollupTable(
    "cost_slice",
    keys=("slice", "span", "day", "environment", *SLICED),
    values=QUANTITIES,
    sums=sum_slices(COST_DAY.sums),
    addition=add_each(QUANTITIES),
)

COST_USER_HOUR = RollupTable(
    "cost_user_hour",
    keys=("hour", "environment", "feature", "model", "user_ref"),
    values=QUANTITIES,
    sums=SQL("""
        SELECT date_trunc('hour', charge_period_start, 'UTC') AS hour, environment, feature, model, user_ref,
               {quantities}
        FROM entry GROUP BY hour, environment, feature, model, user_ref""").format(quantities=sum_quantities()),
    addition=add_each(QUANTITIES),
)

CALLS_MINUTE = RollupTable(
    "calls_minute",
    keys=("minute", "feature"),
    values=("calls", "error_calls", "billed_cost"),
    sums=SQL("""
        SELECT date_trunc('minute', charge_period_start, 'UTC') AS minute, feature, sum(calls) AS calls,
               coalesce(sum(calls) FILTER (WHERE status = 'error'), 0) AS error_calls,
               coalesce(sum(billed_cost), 0) AS billed_cost
        FROM entry WHERE charge_period_start >= %(minutes_from)s GROUP BY minute, feature"""),
    addition=add_each(("calls", "error_calls", "billed_cost")),
    kept=SQL("minute >= %(minutes_from)s"),
)


def _merge_buckets(number: str) -> Composed:
    """A histogram plus what is new of it; `number` is the type of its counts."""
    return SQL("""(buckets, calls) = (
            SELECT array_agg(bucket), array_agg(calls)
            FROM (SELECT bucket, sum(calls)::{} AS calls
                  FROM unnest(stored.buckets || excluded.buckets, stored.calls || excluded.calls)
                           AS count (bucket, calls)
                  GROUP BY bucket ORDER BY bucket) AS merged)""").format(SQL(number))


# Entries are grouped by their long text keys once, with an array for each measure; counting small numbers within
# these arrays is then cheap.
HISTOGRAM = RollupTable(
    "histogram",
    keys=("day", "environment", "feature", "model", "measure"),
    values=("buckets", "calls"),
    sums=SQL("""
        SELECT day, environment, feature, model, measure, counted.buckets, counted.calls
        FROM (SELECT {local_day}, environment, feature, model, array_agg(calls::integer) AS calls, {arrays}
              FROM entry GROUP BY day, environment, feature, model) AS grouped
        CROSS JOIN LATERAL (VALUES {measures}) AS measured (measure, buckets)
        CROSS JOIN LATERAL (
            SELECT array_agg(bucket) AS buckets, array_agg(calls) AS calls
            FROM (SELECT bucket, sum(calls)::integer AS calls
                  FROM unnest(measured.buckets, grouped.calls) AS call (bucket, calls)
                  WHERE bucket IS NOT NULL GROUP BY bucket ORDER BY bucket) AS count) AS counted
        WHERE counted.buckets IS NOT NULL""").format(
        local_day=LOCAL_DAY,
        arrays=SQL(", ").join(
            SQL("array_agg({}) AS {}").format(bucket_of(measure), Identifier(f"{measure}_buckets"))
            for measure in MEASURES
        ),
        measures=SQL(", ").join(
            SQL("({}, {})").format(measure, Identifier(f"{measure}_buckets")) for measure in MEASURES
        ),
    ),
    addition=_merge_buckets("integer"),
)


def sum_histogram_slices(days: Composable) -> Composed:
    """The histograms of HISTOGRAM_SLICES over those of days, features and models."""
    return SQL("""
        SELECT slice, span, day, measure, environment, feature, model, counted.buckets, counted.calls
        FROM (SELECT {slice} AS slice, CASE grouping(week) WHEN 0 THEN 'week' ELSE 'day' END AS span,
                     coalesce(week, day) AS day, measure, environment, coalesce(feature, '') AS feature,
                     coalesce(model, '') AS model, array_agg(bucket) AS buckets, array_agg(calls) AS calls
              FROM (SELECT day, date_trunc('week', day::timestamp)::date AS week, measure, environment, feature, model,
                           unnest(buckets) AS bucket, unnest(calls) AS calls
                    FROM ({days}) AS histogram WHERE measure IN ({measures})) AS call
              GROUP BY measure, environment, GROUPING SETS ({sets})
              HAVING {wanted}) AS grouped
        CROSS JOIN LATERAL (
            SELECT array_agg(bucket) AS buckets, array_agg(calls) AS calls
            FROM (SELECT bucket, sum(calls)::bigint AS calls
                  FROM unnest(grouped.buckets, grouped.calls) AS call (bucket, calls)
                  GROUP BY bucket ORDER BY bucket) AS count) AS counted""").format(
        days=days,
        slice=SQL("CASE {} END").format(
            SQL(" ").join(SQL("WHEN {} THEN {}").format(_is_of(each), name) for name, each in HISTOGRAM_SLICES.items())
        ),
        measures=SQL(", ").join(sorted({name for each in HISTOGRAM_SLICES.values() for name in each.measures})),
        sets=SQL(", ").join(
            SQL("({})").format(list_names((span, *each.kept)))
            for each in HISTOGRAM_SLICES.values()
            for span in each.spans
        ),
        wanted=SQL(" OR ").join(
            SQL("{} AND measure IN ({})").format(_is_of(each), SQL(", ").join(each.measures))
            for each in HISTOGRAM_SLICES.values()
        ),
    )


def _is_of(each: KeptHistograms) -> Composed:
    """Whether a group is of this slice, by the columns that it leaves out."""
    number = sum(1 << place for place, name in enumerate(("model", "feature")) if name not in each.kept)
    return SQL("(grouping(feature, model) = {})").format(number)


HISTOGRAM_SLICE = RollupTable(
    "histogram_slice",
    keys=("slice", "span", "measure", "day", "environment", "feature", "model"),
    values=("buckets", "calls"),
    sums=sum_histogram_slices(HISTOGRAM.sums),
    addition=_merge_buckets("bigint"),
)

# Names that the entries of a trace have, and the column that says them. The first of the alphabet are kept: of two
# sums' firsts, the firsts are those of both together, in whatever order they are added.
TRACE_NAMES = {"features": "feature", "user_refs": "user_ref", "session_ids": "session_id", "model_names": "model"}
TRACE_NAMES_MAX = 20
TRACE_SUMS = ("calls", "unpriced_calls", "error_calls", "tokens", "billed_cost")
LATENCY_COUNTED_MS_MAX = 30 * 86_400_000  # of an event that says more, lest its end be no time

TRACE_COST = RollupTable(
    "trace_cost",
    keys=("trace_id", "environment"),
    values=("first_at", "last_at", *TRACE_SUMS, *TRACE_NAMES),
    sums=SQL("""
        SELECT trace_id, environment, min(charge_period_start) AS first_at,
               max(charge_period_start
                   + least(greatest(coalesce(latency_ms, 0), 0), {latency_max}) * interval '1 millisecond') AS last_at,
               sum(calls) AS calls,
               coalesce(sum(calls) FILTER (WHERE pricing_status = 'unpriced'), 0) AS unpriced_calls,
               coalesce(sum(calls) FILTER (WHERE status = 'error'), 0) AS error_calls,
               sum(input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens + output_tokens)
                   AS tokens,
               coalesce(sum(billed_cost), 0) AS billed_cost, {names}
        FROM entry WHERE trace_id <> '' GROUP BY trace_id, environment""").format(
        latency_max=LATENCY_COUNTED_MS_MAX,
        names=SQL(", ").join(
            SQL("coalesce((array_agg(DISTINCT {1}) FILTER (WHERE {1} <> ''))[1:{2}], '{{}}') AS {0}").format(
                Identifier(names), Identifier(name), TRACE_NAMES_MAX
            )
            for names, name in TRACE_NAMES.items()
        ),
    ),
    addition=SQL(", ").join(
        [
            SQL("first_at = least(stored.first_at, excluded.first_at)"),
            SQL("last_at = greatest(stored.last_at, excluded.last_at)"),
            add_each(TRACE_SUMS),
            *(
                SQL("""{0} = CASE WHEN stored.{0} @> excluded.{0} THEN stored.{0} ELSE (
                    SELECT (array_agg(DISTINCT name))[1:{1}]
                    FROM unnest(stored.{0} || excluded.{0}) AS name) END""").format(Identifier(names), TRACE_NAMES_MAX)
                for names in TRACE_NAMES
            ),
        ]
    ),
)

# Sums of sums: what a list of traces adds up to, by the day in UTC in which they began, without reading them all.
TRACE_DAY_SUMS = ("traces", "calls", "unpriced_calls", "billed_cost")
TRACE_DAY = RollupTable(
    "trace_day",
    keys=("environment", "day"),
    values=TRACE_DAY_SUMS,
    sums=SQL("""
        SELECT environment, (first_at AT TIME ZONE 'UTC')::date AS day, count(*) AS traces, sum(calls) AS calls,
               sum(unpriced_calls) AS unpriced_calls, sum(billed_cost) AS billed_cost
        FROM ({}) AS trace GROUP BY environment, day""").format(TRACE_COST.sums),
    addition=add_each(TRACE_DAY_SUMS),
    kept=SQL("traces <> 0"),  # a day's last trace may have begun the day before, as it turns out
)

TABLES = (
    COST_HOUR, COST_DAY, COST_SLICE, COST_USER_HOUR, CALLS_MINUTE, HISTOGRAM, HISTOGRAM_SLICE, TRACE_COST,
    TRACE_DAY,
)  # fmt: skip
DAILY_TABLES = (COST_DAY, COST_SLICE, HISTOGRAM, HISTOGRAM_SLICE)  # what depends on the tenant's time zone

# A look-up for each batch, whatever the planner believes of a month that was never analysed: OFFSET 0 keeps it from
# turning the look-ups into one scan of the ledger. The moment tells which partition, the other two find the rows.
ENTRIES_OF_BATCHES = SQL("""
        SELECT found.*
        FROM unnest(%(batch_ids)s::uuid[], %(recorded_ats)s::timestamptz[]) AS batch (batch_id, recorded_at)
        CROSS JOIN LATERAL (
            SELECT {columns} FROM ledger_entry
            WHERE tenant_id = %(tenant_id)s AND batch_id = batch.batch_id AND recorded_at = batch.recorded_at
            OFFSET 0) AS found""").format(columns=list_names(ENTRY_COLUMNS))

# What the rollups hold already: a batch leaves the outbox in the transaction that adds it. An act costs nothing, calls
# nobody and is never sent to the rollups.
SETTLED_ENTRIES = SQL("""
        SELECT {columns} FROM ledger_entry
        WHERE tenant_id = %(tenant_id)s AND kind <> 'admin_act' AND NOT EXISTS (
            SELECT FROM outbox
            WHERE topic = 'rollup' AND outbox.tenant_id = %(tenant_id)s AND outbox.batch_id = ledger_entry.batch_id)
        """).format(columns=list_names(ENTRY_COLUMNS))


def add_batches_to(table: RollupTable) -> Composed:
    """Add the entries of batches to the rows that stand for them."""
    return SQL("""
    WITH entry AS ({entries})
    INSERT INTO {table} AS stored (tenant_id, {columns})
    SELECT %(tenant_id)s, {columns} FROM ({sums}) AS summed
    ON CONFLICT (tenant_id, {keys}) DO UPDATE SET {addition}""").format(
        entries=ENTRIES_OF_BATCHES,
        table=Identifier(table.name),
        columns=list_names(table.columns),
        sums=table.sums,
        keys=list_names(table.keys),
        addition=table.addition,
    )


SUM_BY_HOUR_AND_DAY = SQL("""
        SELECT date_trunc('hour', charge_period_start, 'UTC') AS hour, {local_day}, {dimensions}, {quantities}
        FROM entry GROUP BY hour, day, {dimensions}""").format(
    local_day=LOCAL_DAY, dimensions=list_names(DIMENSIONS), quantities=sum_quantities()
)


def add_batches_to_costs() -> Composed:
    """Add the entries of batches to hours, days and slices at once: entries are many, their sums by these few."""
    return SQL("""
    WITH entry AS ({entries}),
    cost AS MATERIALIZED ({sums}),
    cost_of_day AS MATERIALIZED (SELECT day, {dimensions}, {totals} FROM cost GROUP BY day, {dimensions}),
    add_hours AS (
        INSERT INTO cost_hour AS stored (tenant_id, hour, {dimensions}, {quantities})
        SELECT %(tenant_id)s, hour, {dimensions}, {totals} FROM cost GROUP BY hour, {dimensions}
        ON CONFLICT (tenant_id, hour, {dimensions}) DO UPDATE SET {addition}),
    add_days AS (
        INSERT INTO cost_day AS stored (tenant_id, day, {dimensions}, {quantities})
        SELECT %(tenant_id)s, day, {dimensions}, {quantities} FROM cost_of_day
        ON CONFLICT (tenant_id, day, {dimensions}) DO UPDATE SET {addition})
    INSERT INTO cost_slice AS stored (tenant_id, {slice_keys}, {quantities})
    SELECT %(tenant_id)s, {slice_keys}, {quantities} FROM ({slices}) AS summed
    ON CONFLICT (tenant_id, {slice_keys}) DO UPDATE SET {addition}""").format(
        entries=ENTRIES_OF_BATCHES,
        sums=SUM_BY_HOUR_AND_DAY,
        dimensions=list_names(DIMENSIONS),
        quantities=list_names(QUANTITIES),
        totals=ADD_UP,
        addition=add_each(QUANTITIES),
        slice_keys=list_names(COST_SLICE.keys),
        slices=sum_slices(SQL("SELECT * FROM cost_of_day")),
    )


def add_batches_to_histograms() -> Composed:
    """Add the entries of batches to the histograms of days and to their slices at once, likewise."""
    return SQL("""
    WITH entry AS ({entries}),
    histogram_of_day AS MATERIALIZED ({sums}),
    add_days AS (
        INSERT INTO histogram AS stored (tenant_id, {columns})
        SELECT %(tenant_id)s, {columns} FROM histogram_of_day
        ON CONFLICT (tenant_id, {keys}) DO UPDATE SET {addition})
    INSERT INTO histogram_slice AS stored (tenant_id, {slice_columns})
    SELECT %(tenant_id)s, {slice_columns} FROM ({slices}) AS summed
    ON CONFLICT (tenant_id, {slice_keys}) DO UPDATE SET {slice_addition}""").format(
        entries=ENTRIES_OF_BATCHES,
        sums=HISTOGRAM.sums,
        columns=list_names(HISTOGRAM.columns),
        keys=list_names(HISTOGRAM.keys),
        addition=HISTOGRAM.addition,
        slice_columns=list_names(HISTOGRAM_SLICE.columns),
        slices=sum_histogram_slices(SQL("SELECT * FROM histogram_of_day")),
        slice_keys=list_names(HISTOGRAM_SLICE.keys),
        slice_addition=HISTOGRAM_SLICE.addition,
    )


def add_batches_to_traces() -> Composed:
    """Add the entries of batches to their traces, and to the days what that changes: each as it is, less as it was."""
    return SQL("""
    WITH entry AS ({entries}),
    changed AS (
        INSERT INTO trace_cost AS stored (tenant_id, {columns})
        SELECT %(tenant_id)s, {columns} FROM ({sums}) AS summed
        ON CONFLICT (tenant_id, {keys}) DO UPDATE SET {addition}
        RETURNING new.environment, new.day AS new_day, {now}, old.day AS old_day, {before}),
    moved AS (
        SELECT environment, new_day AS day, 1 AS traces, {added} FROM changed
        UNION ALL
        SELECT environment, old_day, -1, {removed} FROM changed WHERE old_day IS NOT NULL)
    INSERT INTO trace_day AS stored (tenant_id, environment, day, {day_sums})
    SELECT %(tenant_id)s, environment, day, {totals} FROM moved GROUP BY environment, day
    ON CONFLICT (tenant_id, environment, day) DO UPDATE SET {day_addition}""").format(
        entries=ENTRIES_OF_BATCHES,
        columns=list_names(TRACE_COST.columns),
        sums=TRACE_COST.sums,
        keys=list_names(TRACE_COST.keys),
        addition=TRACE_COST.addition,
        now=_write_each("new.{0} AS {1}", prefix="new_"),
        before=_write_each("old.{0} AS {1}", prefix="old_"),
        added=_write_each("{1} AS {0}", prefix="new_"),
        removed=_write_each("-{1}", prefix="old_"),
        day_sums=list_names(TRACE_DAY_SUMS),
        totals=SQL(", ").join(SQL("sum({})").format(Identifier(name)) for name in TRACE_DAY_SUMS),
        day_addition=TRACE_DAY.addition,
    )


def _write_each(template: str, *, prefix: str) -> Composed:
    """A part of a statement for each sum of a trace that its day adds up."""
    return SQL(", ").join(
        SQL(template).format(Identifier(name), Identifier(prefix + name)) for name in TRACE_DAY_SUMS if name != "traces"
    )


def compare_with_ledger(table: RollupTable) -> Composed:
    """One row for each group in which the ledger (first) and the rollup (second) differ, each as JSON, or null."""
    return SQL("""
    WITH entry AS ({entries}),
    summed AS ({sums}),
    stored AS (SELECT {columns} FROM {table} WHERE tenant_id = %(tenant_id)s AND {kept})
    SELECT to_jsonb(summed)::text, to_jsonb(stored)::text
    FROM summed FULL JOIN stored USING ({keys})
    WHERE ({summed_values}) IS DISTINCT FROM ({stored_values})""").format(
        entries=SETTLED_ENTRIES,
        sums=table.sums,
        columns=list_names(table.columns),
        table=Identifier(table.name),
        kept=table.kept or SQL("true"),
        keys=list_names(table.keys),
        summed_values=SQL(", ").join(Identifier("summed", value) for value in table.values),
        stored_values=SQL(", ").join(Identifier("stored", value) for value in table.values),
    )


def clear_rows_of(table: RollupTable) -> Composed:
    return SQL("DELETE FROM {} WHERE tenant_id = %(tenant_id)s").format(Identifier(table.name))


def sum_ledger_into(table: RollupTable) -> Composed:
    """Fill the emptied rollup from the ledger, in the order in which a period's rows are read."""
    return SQL("""
    WITH entry AS ({entries})
    INSERT INTO {table} (tenant_id, {columns})
    SELECT %(tenant_id)s, {columns} FROM ({sums}) AS summed ORDER BY {keys}""").format(
        entries=SETTLED_ENTRIES,
        table=Identifier(table.name),
        columns=list_names(table.columns),
        sums=table.sums,
        keys=list_names(table.keys),
    )

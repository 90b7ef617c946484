"""Percentiles of calls, from histograms that are added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg.sql import SQL, Composed, Identifier

from billing.core.histograms import find_percentiles
from billing.rollups.tables import HISTOGRAM_SLICES, MEASURES, bucket_of
from billing.selectors.queries import QueryRefused
from billing.selectors.sources import (
    DAYS,
    ONE_TENANT,
    WEEKS_AND_DAYS,
    list_pending_entries,
    name_days,
    name_filters,
    write_filters,
)
from tenants.prepared import prepared_cursor
from tenants.scope import reading_scope

FILTERS = ("environment", "feature", "model")

# Arrays as the server sends them: as many numbers as a page has of these take longer one by one than all together. The
# counts of days and features' models are of four bytes, all others of eight.
READ_HISTOGRAMS = SQL("""
    SELECT value, is_wide, array_send(buckets), counts FROM ({sources}) AS histogram""")
ARRAY_HEADER_BYTES = 20
BUCKETS_TYPE = np.dtype([("length", ">i4"), ("number", ">i2")])
WIDE_CALLS_TYPE = np.dtype([("length", ">i4"), ("number", ">i8")])
NARROW_CALLS_TYPE = np.dtype([("length", ">i4"), ("number", ">i4")])

FROM_DAYS = SQL("""
        SELECT {value}, false AS is_wide, buckets, array_send(calls) AS counts FROM histogram
        WHERE tenant_id = %(tenant_id)s AND day >= %({first})s AND day < %({end})s AND measure = %(measure)s
          AND {filters}""")
FROM_SLICE = SQL("""
        SELECT {value}, true AS is_wide, buckets, array_send(calls) AS counts FROM histogram_slice
        WHERE tenant_id = %(tenant_id)s AND slice = {slice} AND span = {span} AND measure = %(measure)s
          AND day >= %({first})s AND day < %({end})s AND {filters}""")

FROM_PENDING = SQL("""
        SELECT {value}, true AS is_wide, ARRAY[{bucket}]::smallint[] AS buckets, array_send(ARRAY[calls]::bigint[])
        FROM (SELECT *, (charge_period_start AT TIME ZONE
                         (SELECT timezone FROM tenant WHERE id = %(tenant_id)s))::date AS day
              FROM ({pending}) AS entry) AS entry
        WHERE {measure} IS NOT NULL AND day >= %(first_day)s AND day < %(end_day)s AND {filters}""")


@dataclass(frozen=True, slots=True)
class PercentilesBy:
    """Percentiles by percent: of all calls, and of those of each value of a dimension."""

    whole: Mapping[int, Decimal]
    values: Mapping[str, Mapping[int, Decimal]]


def get_percentiles(
    *,
    tenant_id: int,
    start_day: date,
    end_day: date,
    measure: str,
    filters: Mapping[str, tuple[str, ...]] | None = None,
    percents: Sequence[int] = (50, 95, 99),
    using: str = "default",
) -> dict[int, Decimal]:
    """Percentiles of a measure over the calls of [start_day, end_day), days in the tenant's time zone; within 1 %.

    measure: of MEASURES; calls without it, such as unpriced ones without a cost, do not count. filters: environment,
    feature, model. Empty where there was no call. Raises QueryRefused.
    """
    return _find(None, tenant_id, (start_day, end_day), measure, filters or {}, percents, using).whole


def get_percentiles_by(
    dimension: str,
    *,
    tenant_id: int,
    start_day: date,
    end_day: date,
    measure: str,
    filters: Mapping[str, tuple[str, ...]] | None = None,
    percents: Sequence[int] = (50, 95, 99),
    using: str = "default",
) -> PercentilesBy:
    """The same for each value of environment, feature or model, and for all of them together, in one statement."""
    return _find(dimension, tenant_id, (start_day, end_day), measure, filters or {}, percents, using)


def _find(
    dimension: str | None,
    tenant_id: int,
    days: tuple[date, date],
    measure: str,
    filters: Mapping[str, tuple[str, ...]],
    percents: Sequence[int],
    using: str,
) -> PercentilesBy:
    if measure not in MEASURES:
        raise QueryRefused(f"measure is one of {', '.join(MEASURES)}, not {measure!r}")
    if {dimension, *filters} - {None, *FILTERS}:
        raise QueryRefused(f"percentiles are kept by {', '.join(FILTERS)} only")
    values = {"tenant_id": tenant_id, "measure": measure, **name_days(*days), **name_filters(filters)}
    with reading_scope(tenant_id, using=using), prepared_cursor(using=using, binary=True) as cursor:
        cursor.execute(read_histograms(dimension, measure=measure, filters=tuple(filters)), values)
        rows = cursor.fetchall()
    names = sorted({row[0] for row in rows if row[0] is not None})
    numbers = {value: number for number, value in enumerate([*names, None])}
    owners, buckets, calls = (
        np.concatenate(parts)
        for parts in zip(*(_read_arrays(rows, numbers, is_wide=is_wide) for is_wide in (False, True)), strict=True)
    )
    *found, whole = find_percentiles(owners, buckets, calls, count=len(numbers), percents=percents)
    return PercentilesBy(whole=whole, values={name: found[numbers[name]] for name in names if found[numbers[name]]})


def _read_arrays(
    rows: Sequence[tuple[Any, ...]], numbers: Mapping[str | None, int], *, is_wide: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Owners, buckets and calls, in step, of the rows whose counts are so wide."""
    some = [row for row in rows if row[1] == is_wide]
    buckets, calls = (
        np.frombuffer(b"".join(row[place][ARRAY_HEADER_BYTES:] for row in some), kind)["number"].astype(np.int64)
        for place, kind in ((2, BUCKETS_TYPE), (3, WIDE_CALLS_TYPE if is_wide else NARROW_CALLS_TYPE))
    )
    lengths = [(len(row[2]) - ARRAY_HEADER_BYTES) // BUCKETS_TYPE.itemsize for row in some]
    return np.repeat(np.array([numbers[row[0]] for row in some], dtype=np.int64), lengths), buckets, calls


def read_histograms(dimension: str | None, *, measure: str, filters: tuple[str, ...]) -> Composed:
    """The statement that reads what is counted; see `sources` for its parameters."""
    conditions = write_filters(filters)
    value = SQL("{} AS value").format(Identifier(dimension) if dimension else SQL("NULL::text"))
    used = {dimension, *filters} - {None, "environment"}
    name = next(
        (name for name, each in HISTOGRAM_SLICES.items() if used <= set(each.kept) and measure in each.measures), None
    )
    sources = [
        FROM_SLICE.format(value=value, filters=conditions, slice=name, span=span, first=SQL(first), end=SQL(end))
        if name and span in HISTOGRAM_SLICES[name].spans
        else FROM_DAYS.format(value=value, filters=conditions, first=SQL(first), end=SQL(end))
        for span, first, end in (WEEKS_AND_DAYS if name else DAYS)
    ]
    sources.append(
        FROM_PENDING.format(
            value=value,
            filters=conditions,
            measure=Identifier(measure),
            bucket=bucket_of(measure),
            pending=list_pending_entries(ONE_TENANT),
        )
    )
    return READ_HISTOGRAMS.format(sources=SQL("\n        UNION ALL").join(sources))

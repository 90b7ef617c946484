"""The statement of a tenant and month, read from the ledger's rows.

Rollups know what a feature and a model cost, and no price, no kind and no meter beside the token buckets. So a
statement's lines are summed from the rows, and its totals are compared with the rollups (`audit.recomputing`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import groupby
from typing import Any

from django.db import connections, transaction
from psycopg.sql import SQL, Composed, Identifier

from audit.core.prices import TOKENS, Part, Place, RowSums
from audit.core.statement import Checkpoint, Statement, find_bounds
from audit.core.statement_lines import RateContent, make_statement
from billing.explanations import ExplanationLine, list_price_lines
from billing.selectors.rate_versions import read_rate_versions
from billing.selectors.rates_in_parts import list_rates_in_parts
from ledger.sealing.proofs import get_checkpoint_over
from tenants.scope import reading_scope, tenant_scope
from tenants.selectors import TenantInfo

ROWS_PER_FETCH = 2_000
WORK_MEMORY = "64MB"
BOOKED_BEFORE = timedelta(minutes=10)  # what was used at a month's first moment may be booked by a clock that is behind

# A row's place in a statement. What is no call says what it is by its tags, and a correction why it was made.
_SUBJECT = SQL("""CASE
               WHEN kind = 'usage' THEN '{{}}'
               WHEN kind IN ('rating', 'correction') THEN
                   jsonb_build_object('reason', coalesce(tags ->> 'tokenledger.reason', ''))::text
               ELSE jsonb_strip_nulls(jsonb_build_object(
                   'operation', operation, 'meter', nullif(tags ->> 'tokenledger.meter', ''),
                   'month', tags ->> 'tokenledger.month', 'reason', tags ->> 'tokenledger.reason'))::text END""")
_KEY = (
    "kind", "pricing_status", "feature", "provider", "model", "rate_version_id", "context_tier", "cache_hit",
    "charge_month", "subject",
)  # fmt: skip
_PLACE = {
    "day": SQL("(charge_period_start AT TIME ZONE 'UTC')::date"),
    "environment": SQL("environment"),
    "cost_center": SQL("cost_center"),
    "service_tier": SQL("service_tier"),
    "region": SQL("region"),
}
# Rows that are alike in these were charged alike, whatever their price list says of parts and minimums.
_VECTOR = (*TOKENS, "other_usage", "status", "sign")
_OF_PERIOD = SQL("""tenant_id = %(tenant_id)s AND billing_period = %(period)s
                AND recorded_at >= %(booked_from)s AND recorded_at < %(booked_until)s::timestamptz
                AND charge_period_start < %(end)s AND kind <> 'admin_act'""")
_USED_NOTHING = SQL(" AND ").join(
    [*(SQL("{} = 0").format(Identifier(name)) for name in TOKENS), SQL("other_usage = '{{}}'").format()]
)
# A call that a price by request counts: one that was made, unless it says its own number of requests.
_REQUESTS = SQL("""sum(CASE WHEN other_usage ? 'requests' OR (status = 'error' AND {nothing}) THEN 0
                        ELSE sign(calls) END)::bigint""").format(nothing=_USED_NOTHING)


# Nearly every call is charged in the month of its use, and to compare is quicker than to truncate.
_CHARGE_MONTH = SQL("""CASE WHEN charge_period_start >= %(start)s::timestamptz THEN %(period)s::date
                         ELSE date_trunc('month', charge_period_start AT TIME ZONE 'UTC')::date END""")


def _write_sums(*, by_place: bool, in_parts: bool) -> Composed:
    """The rows of a month by group: one row for a group, and one for each further usage name of it, in its order."""
    place = _PLACE if by_place else {}
    names_of_keys = (*place, *_KEY, *(_VECTOR if in_parts else ()))
    keys = SQL(", ").join(map(Identifier, names_of_keys))
    columns = [SQL("{} AS {}").format(each, Identifier(name)) for name, each in place.items()]
    columns += [SQL("{} AS subject").format(_SUBJECT.format())]
    columns += [SQL("{} AS charge_month").format(_CHARGE_MONTH)]
    columns += [SQL("sign(calls)::int AS sign")]
    names = ("kind", "pricing_status", "feature", "provider", "model", "rate_version_id", "context_tier", "cache_hit",
             "status", "calls", "recorded_at", "other_usage", *TOKENS, "billed_cost", "list_cost", "saved_cost",
             )  # fmt: skip
    return SUM_ROWS.format(
        keys=keys,
        columns=SQL(", ").join([*columns, *map(Identifier, names)]),
        keys_alike=SQL(", ").join(map(Identifier, dict.fromkeys((*names_of_keys, "other_usage")))),
        tokens=SQL(", ").join(
            SQL("sum({})::bigint AS {}").format(Identifier(name), Identifier(f"{name}_sum")) for name in TOKENS
        ),
        token_rows=SQL(", ").join(
            SQL("count(nullif({}, 0)) AS {}").format(Identifier(name), Identifier(f"{name}_rows")) for name in TOKENS
        ),
        counts=SQL(", ").join(
            SQL("sum({})::bigint").format(Identifier(name))
            for name in ("calls", "requests", *(f"{each}_{of}" for of in ("sum", "rows") for each in TOKENS))
        ),
        nothing=SQL(", ").join([SQL("NULL::bigint")] * (2 * len(TOKENS))),
        requests=_REQUESTS,
        of_period=_OF_PERIOD,
        which=_IN_PARTS if in_parts else _BY_PRODUCT,
    )


_IN_PARTS = SQL("rate_version_id = ANY(%(in_parts)s::bigint[]) AND pricing_status = 'priced' AND NOT cache_hit")
_BY_PRODUCT = SQL("NOT coalesce({}, false)").format(_IN_PARTS)
# Read once, and grouped by what else was used besides: that is the same few things again and again. Grouped before
# they are put in order: a month's rows fall into a few hundred groups, which the planner cannot know.
SUM_ROWS = SQL("""
    WITH entry AS NOT MATERIALIZED (
        SELECT {columns} FROM ledger_entry WHERE {of_period} AND {which}),
    alike AS MATERIALIZED (
        SELECT {keys_alike}, count(*) AS ledger_rows, max(recorded_at) AS booked_until, sum(calls)::bigint AS calls,
               {requests} AS requests, {tokens}, {token_rows}, sum(billed_cost) AS billed_cost,
               sum(list_cost) AS list_cost, sum(saved_cost) AS saved_cost
        FROM entry GROUP BY {keys_alike}),
    summed AS MATERIALIZED (
        SELECT {keys}, ''::text AS usage, sum(ledger_rows)::bigint, max(booked_until), {counts}, sum(billed_cost),
               sum(list_cost), sum(saved_cost)
        FROM alike GROUP BY {keys}),
    used AS MATERIALIZED (
        SELECT {keys}, used.name, sum(ledger_rows)::bigint, NULL::timestamptz, NULL::bigint, NULL::bigint, {nothing},
               sum(used.quantity::numeric * ledger_rows), NULL::numeric, NULL::numeric
        FROM alike CROSS JOIN LATERAL jsonb_each_text(other_usage) AS used (name, quantity)
        WHERE other_usage <> '{{}}' GROUP BY {keys}, used.name)
    SELECT * FROM summed UNION ALL SELECT * FROM used
    ORDER BY {keys}, usage""")
SUM_ROWS_SQL = _write_sums(by_place=False, in_parts=False)
SUM_ROWS_IN_PARTS_SQL = _write_sums(by_place=False, in_parts=True)
SUM_ROWS_BY_PLACE_SQL = _write_sums(by_place=True, in_parts=False)
SUM_ROWS_IN_PARTS_BY_PLACE_SQL = _write_sums(by_place=True, in_parts=True)


def get_statement(*, tenant: TenantInfo, period: date, now: datetime, using: str = "default") -> Statement:
    """The tenant's statement of the month that begins with `period`, of one moment; empty where nothing was used.

    `audit.core.statement.read_period` reads and checks a month.
    """
    with snapshot_scope(tenant.id, using=using):
        sums = list(_read_sums(tenant.id, period, by_place=False, using=using))
        return make_statement(
            sums,
            rates=read_contents(each.rate_version_id for each in sums),
            tenant_slug=tenant.slug,
            tenant_name=tenant.name,
            period=period,
            acts=_count_acts(tenant.id, period, using=using),
            now=now,
            checkpoint=_find_checkpoint(tenant.id, period, using=using),
            is_simulated=tenant.is_demo,
        )


def list_place_sums(
    *, tenant_id: int, period: date, booked_on: date | None = None, using: str = "default"
) -> Iterator[RowSums]:
    """The month's sums by day, environment, cost centre, service tier and region besides, a day after the other.

    booked_on: of what was booked on this day of UTC alone. Within `snapshot_scope`; it holds a few thousand rows at a
    time.
    """
    yield from _read_sums(tenant_id, period, by_place=True, booked_on=booked_on, using=using)


TAKE_SNAPSHOT_SQL = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@contextmanager
def snapshot_scope(tenant_id: int, *, using: str = "default") -> Iterator[None]:
    """The tenant's scope, in which everything that is read is of one moment; inside another transaction of its own."""
    if connections[using].in_atomic_block:
        with reading_scope(tenant_id, using=using):
            yield
        return
    with transaction.atomic(using=using):
        with connections[using].cursor() as cursor:
            cursor.execute(TAKE_SNAPSHOT_SQL)
        with tenant_scope(tenant_id, using=using):
            yield


def read_contents(rate_version_ids: Iterable[int | None]) -> dict[int, RateContent]:
    """The price lists of these versions, by id."""
    ids = {each for each in rate_version_ids if each is not None}
    return {
        version_id: RateContent(record.content, record.content_hash)
        for version_id, record in read_rate_versions(ids).items()
    }


def _read_sums(
    tenant_id: int, period: date, *, by_place: bool, booked_on: date | None = None, using: str
) -> Iterator[RowSums]:
    in_parts = list_rates_in_parts(using=using)
    values = {**name_period(tenant_id, period), **name_day(booked_on), "in_parts": list(in_parts)}
    by_product, by_parts = (
        (SUM_ROWS_BY_PLACE_SQL, SUM_ROWS_IN_PARTS_BY_PLACE_SQL) if by_place else (SUM_ROWS_SQL, SUM_ROWS_IN_PARTS_SQL)
    )
    yield from _fetch_sums(by_product, values, by_place=by_place, is_vector=False, using=using)
    if in_parts:
        for each in _fetch_sums(by_parts, values, by_place=by_place, is_vector=True, using=using):
            yield _charge_in_parts(each, in_parts[each.rate_version_id])


def name_period(tenant_id: int, period: date) -> dict[str, Any]:
    """The parameters of a statement about a month's rows: nothing of it was booked long before, or used after it."""
    start, end = find_bounds(period)
    return {
        "tenant_id": tenant_id, "period": period, "start": start, "end": end, "booked_from": start - BOOKED_BEFORE,
        "booked_until": "infinity",
    }  # fmt: skip


def name_day(day: date | None) -> dict[str, datetime]:
    """The parameters that keep a statement to what was booked on a day of UTC; none where there is no day."""
    if day is None:
        return {}
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return {"booked_from": start, "booked_until": start + timedelta(days=1)}


def _fetch_sums(
    statement: Composed, values: Mapping[str, Any], *, by_place: bool, is_vector: bool, using: str
) -> Iterator[RowSums]:
    places, vectors = len(_PLACE) if by_place else 0, len(_VECTOR) if is_vector else 0
    width = places + len(_KEY) + vectors
    with _group_by_hashing(using=using), connections[using].chunked_cursor() as cursor:
        cursor.execute(statement, values)
        rows = (row for page in iter(lambda: cursor.fetchmany(ROWS_PER_FETCH), []) for row in page)
        for key, found in groupby(rows, key=lambda row: row[:width]):
            (_, *sums), *others = (row[width:] for row in found)
            yield _read_group(key, sums, others, places=places)


GET_PLANNING_SQL = """
    SELECT current_setting('enable_sort') AS sort, current_setting('enable_incremental_sort') AS incremental_sort,
           current_setting('work_mem') AS memory"""
SET_PLANNING_SQL = """
    SELECT set_config('enable_sort', %(sort)s, true), set_config('enable_incremental_sort', %(incremental_sort)s, true),
           set_config('work_mem', %(memory)s, true)"""


@contextmanager
def _group_by_hashing(*, using: str) -> Iterator[None]:
    """Millions of rows are not sorted to be added up, whatever the planner expects of their groups."""
    with connections[using].cursor() as cursor:
        cursor.execute(GET_PLANNING_SQL)
        before = dict(zip(("sort", "incremental_sort", "memory"), cursor.fetchone(), strict=True))
        cursor.execute(SET_PLANNING_SQL, {"sort": "off", "incremental_sort": "off", "memory": WORK_MEMORY})
        yield
        cursor.execute(SET_PLANNING_SQL, before)


def _read_group(key: Sequence[Any], sums: Sequence[Any], others: Iterable[Sequence[Any]], *, places: int) -> RowSums:
    """One group from its row, and from those of its further usage names, in the order of SUM_ROWS."""
    place = Place(*key[:places])
    (
        kind,
        pricing_status,
        feature,
        provider,
        model,
        rate_version_id,
        context_tier,
        cache_hit,
        charge_month,
        subject,
    ) = key[places : places + len(_KEY)]
    rows, booked_until, calls, requests, *figures = sums
    return RowSums(
        kind=kind,
        pricing_status=pricing_status,
        feature=feature,
        provider=provider,
        model=model,
        rate_version_id=rate_version_id,
        context_tier=context_tier,
        cache_hit=cache_hit,
        charge_month=charge_month,
        subject={name: value for name, value in json.loads(subject).items() if value},
        place=place,
        rows=rows,
        booked_until=booked_until,
        calls=calls,
        requests=requests,
        tokens=tuple(figures[: len(TOKENS)]),
        token_rows=tuple(figures[len(TOKENS) : 2 * len(TOKENS)]),
        costs=tuple(figures[2 * len(TOKENS) :]),
        other={name: (quantity, count) for name, count, *_, quantity, _, _ in others},
    )


# --- rows that are charged in parts ---


def _charge_in_parts(sums: RowSums, content: Mapping[str, Any]) -> RowSums:
    """The same, with the parts of one of its rows, which are all alike, times their number."""
    sign = 1 if sums.calls > 0 else -1
    each = {
        "calls": 1,
        "status": "error" if sums.requests == 0 else "ok",
        "cache_hit": False,
        "reported_cost": None,
        "other_usage": {name: sign * quantity / sums.rows for name, (quantity, _) in sums.other.items()},
        **{name: sign * total // sums.rows for name, total in zip(TOKENS, sums.tokens, strict=True)},
    }
    lines = list_price_lines(entry=each, content=content)
    return replace(sums, parts=tuple(_multiply_line(line, rows=sums.rows, sign=sign) for line in lines))


def _multiply_line(line: ExplanationLine, *, rows: int, sign: int) -> Part:
    quantity = sign * rows * line.quantity
    return Part(
        usage=line.usage,
        quantity=quantity,
        price=line.price,
        list_price=line.list_price,
        per=line.per,
        amount=Fraction(quantity) * Fraction(line.price) / line.per,
        list_amount=Fraction(quantity) * Fraction(line.list_price) / line.per,
        rows=rows,
        tier=line.tier,
        note=line.note,
    )


COUNT_ACTS_SQL = """
    SELECT count(*) FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND recorded_at >= %(booked_from)s
      AND charge_period_start < %(end)s AND kind = 'admin_act'"""


def _count_acts(tenant_id: int, period: date, *, using: str) -> int:
    with connections[using].cursor() as cursor:
        cursor.execute(COUNT_ACTS_SQL, name_period(tenant_id, period))
        return cursor.fetchone()[0]


# Whether all of the month's batches are sealed, and how many batches the tree had with the last of them.
FIND_SEALED_SIZE_SQL = """
    SELECT max(leaf_index) + 1, count(*) - count(leaf_index)
    FROM (SELECT DISTINCT batch_id FROM ledger_entry
          WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s AND recorded_at >= %(booked_from)s
            AND charge_period_start < %(end)s) AS batch
    LEFT JOIN seal_leaf AS leaf ON leaf.tenant_id = %(tenant_id)s AND leaf.batch_id = batch.batch_id"""


def _find_checkpoint(tenant_id: int, period: date, *, using: str) -> Checkpoint | None:
    """The smallest signed head over every batch of the month: what is booked later elsewhere does not change it."""
    with connections[using].cursor() as cursor:
        cursor.execute(FIND_SEALED_SIZE_SQL, name_period(tenant_id, period))
        size, waiting = cursor.fetchone()
    signed = get_checkpoint_over(tenant_id=tenant_id, size=size, using=using) if size and not waiting else None
    if signed is None:
        return None
    return Checkpoint(signed.origin, signed.size, signed.root.hex(), signed.signed_at, signed.key_id)

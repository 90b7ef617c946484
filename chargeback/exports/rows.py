"""The ledger's rows that were booked on a day, page by page by their key: flat memory, and no long transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import connections
from psycopg.sql import SQL, Composed, Identifier

from audit.statements import name_day
from chargeback.core.exports import PeriodTotals
from ledger.selectors import ENTRY_COLUMNS
from tenants.scope import reading_scope

ROWS_PER_PAGE = 10_000

WHOLE = frozenset((
    "line", "latency_ms", "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_tokens", "reasoning_tokens", "calls", "rate_version_id", "context_tier",
))  # fmt: skip
MOMENTS = frozenset(("charge_period_start", "recorded_at"))
COLUMNS = tuple(name for name in ENTRY_COLUMNS if name != "tenant_id")
BATCH, LINE, LEAF, BILLED = (COLUMNS.index(name) for name in ("batch_id", "line", "leaf", "billed_cost"))
_READ_AS = {"batch_id": "{}::text", "tags": "{}::text", "other_usage": "{}::text", "leaf": "encode({}, 'hex')"}


def _write_column(name: str) -> Composed:
    return SQL(_READ_AS.get(name, "{}")).format(Identifier(name))


# In the order of the key, not of the column of the same name, which is text.
READ_PAGE_SQL = SQL("""
    SELECT {columns} FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND recorded_at >= %(booked_from)s AND recorded_at < %(booked_until)s
      AND kind <> 'admin_act' AND (batch_id, line) > (%(batch_id)s::uuid, %(line)s)
      AND batch_id <= %(last_batch_id)s::uuid
    ORDER BY ledger_entry.batch_id, ledger_entry.line LIMIT %(rows)s""").format(
    columns=SQL(", ").join(map(_write_column, COLUMNS))
)
# A month's rows lie in the order of their batches: a day's are looked for between its first and its last one.
FIND_BATCHES_SQL = """
    SELECT (SELECT batch_id FROM ledger_batch
            WHERE tenant_id = %(tenant_id)s AND recorded_at >= %(booked_from)s AND recorded_at < %(booked_until)s
            ORDER BY batch_id LIMIT 1),
           (SELECT batch_id FROM ledger_batch
            WHERE tenant_id = %(tenant_id)s AND recorded_at >= %(booked_from)s AND recorded_at < %(booked_until)s
            ORDER BY batch_id DESC LIMIT 1)"""


def read_pages(*, tenant_id: int, day: date, using: str) -> Iterator[Sequence[tuple[Any, ...]]]:
    """The day's rows in the order of COLUMNS: texts of JSON, `leaf` hexadecimal, Decimal or None, aware times."""
    values = {"tenant_id": tenant_id, **name_day(day), "rows": ROWS_PER_PAGE}
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(FIND_BATCHES_SQL, values)
        first, last = cursor.fetchone()
    key, is_last = (first, -1), first is None
    while not is_last:
        with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
            cursor.execute(READ_PAGE_SQL, values | {"batch_id": key[0], "line": key[1], "last_batch_id": last})
            page = cursor.fetchall()
        is_last = len(page) < ROWS_PER_PAGE
        if page:
            key = (page[-1][BATCH], page[-1][LINE])
            yield page


@dataclass(frozen=True, slots=True)
class _Types:
    """Arrow's types of the columns, by kind."""

    whole: Any
    moment: Any
    money: Any
    day: Any
    flag: Any
    text: Any

    def find(self, name: str) -> Any:
        if name in WHOLE:
            return self.whole
        if name in MOMENTS:
            return self.moment
        if name.endswith("_cost"):
            return self.money
        return {"billing_period": self.day, "cache_hit": self.flag}.get(name, self.text)


def make_schema() -> Any:
    """Arrow's schema of the file: money with 12 decimals, times of UTC to the microsecond."""
    import pyarrow as pa

    types = _Types(
        pa.int64(), pa.timestamp("us", tz="UTC"), pa.decimal128(24, 12), pa.date32(), pa.bool_(), pa.string()
    )
    return pa.schema([(name, types.find(name)) for name in COLUMNS])


SUM_DAY_SQL = """
    SELECT billing_period, count(*), coalesce(sum(calls), 0)::bigint, count(*) FILTER (WHERE billed_cost IS NULL),
           coalesce(sum(billed_cost), 0), coalesce(sum(list_cost), 0)
    FROM ledger_entry
    WHERE tenant_id = %(tenant_id)s AND recorded_at >= %(booked_from)s AND recorded_at < %(booked_until)s
      AND kind <> 'admin_act'
    GROUP BY billing_period ORDER BY billing_period"""


def sum_day(*, tenant_id: int, day: date, using: str) -> list[PeriodTotals]:
    """What was booked on the day by billing period, as PostgreSQL adds it up: what the files are compared with."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(SUM_DAY_SQL, {"tenant_id": tenant_id, **name_day(day)})
        return [PeriodTotals(*row) for row in cursor.fetchall()]

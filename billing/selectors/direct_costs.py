"""What a month cost each cost centre, as chargeback begins with it."""

from datetime import date
from typing import NamedTuple

from psycopg.sql import SQL

from billing.rollups.tables import list_names
from billing.selectors.sources import ENTRY_COLUMNS, ONE_TENANT, PENDING_ENTRIES
from tenants.prepared import prepared_cursor
from tenants.scope import reading_scope

GROUPS = ("cost_center", "feature", "provider", "model")
TOKENS_IN_AND_OUT = SQL("input_tokens + cache_read_tokens + cache_write_tokens + cache_write_1h_tokens + output_tokens")


class MonthCost(NamedTuple):
    """billed: in pico-USD. cost_center: '' for what is unallocated. tokens: in and out."""

    cost_center: str
    feature: str
    provider: str
    model: str
    billed: int
    calls: int
    tokens: int


SUM_MONTH_COSTS_SQL = SQL("""
    SELECT {groups}, (sum(billed_cost) * 1000000000000)::numeric(60, 0), sum(calls)::bigint, sum(tokens)::bigint
    FROM (SELECT {groups}, billed_cost, calls, {tokens} AS tokens FROM cost_day
          WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s
          UNION ALL
          SELECT {groups}, coalesce(billed_cost, 0), calls::bigint, {tokens} FROM ({entries}) AS entry
          WHERE billing_period = %(period)s) AS cost
    GROUP BY {groups}""").format(
    groups=list_names(GROUPS),
    tokens=TOKENS_IN_AND_OUT,
    entries=PENDING_ENTRIES.format(tenant=ONE_TENANT.all, columns=list_names((*ENTRY_COLUMNS, "billing_period"))),
)


def sum_month_costs(*, tenant_id: int, period: date, using: str = "default") -> list[MonthCost]:
    """By GROUPS: the rollups and what still waits, of one snapshot, of the month that begins with `period`."""
    with reading_scope(tenant_id, using=using), prepared_cursor(using=using) as cursor:
        cursor.execute(SUM_MONTH_COSTS_SQL, {"tenant_id": tenant_id, "period": period})
        return [MonthCost(*row[:4], int(row[4]), *row[5:]) for row in cursor.fetchall()]


LIST_COST_CENTERS_USED_SQL = """
    SELECT DISTINCT cost_center FROM cost_slice
    WHERE tenant_id = %(tenant_id)s AND slice = 'cost_center' AND span = 'week' AND cost_center <> ''
    ORDER BY cost_center"""


def list_cost_centers_used(*, tenant_id: int, using: str = "default") -> list[str]:
    """The codes under which anything was ever booked, as far as it is added up."""
    with reading_scope(tenant_id, using=using), prepared_cursor(using=using) as cursor:
        cursor.execute(LIST_COST_CENTERS_USED_SQL, {"tenant_id": tenant_id})
        return [code for (code,) in cursor.fetchall()]

"""What a billing period cost: whatever is charged in that month, whenever it was used."""

from datetime import date

from psycopg.sql import SQL, Identifier

from billing.rollups.tables import MONEY, QUANTITIES, list_names
from billing.selectors.quantities import Quantities
from billing.selectors.sources import ENTRY_COLUMNS, ENTRY_QUANTITIES, ONE_TENANT, PENDING_ENTRIES
from tenants.prepared import prepared_cursor
from tenants.scope import reading_scope

GROUPS = ("feature", "provider", "model")
SUM_PERIOD_SQL = SQL("""
    SELECT {groups}, {sums}
    FROM (SELECT {groups}, {quantities} FROM cost_day
          WHERE tenant_id = %(tenant_id)s AND billing_period = %(period)s
          UNION ALL
          SELECT {groups}, {entry_quantities} FROM ({entries}) AS entry
          WHERE billing_period = %(period)s) AS cost
    GROUP BY {groups}""").format(
    groups=list_names(GROUPS),
    sums=SQL(", ").join(
        SQL("sum({})::{}").format(Identifier(name), SQL("numeric" if name in MONEY else "bigint"))
        for name in QUANTITIES
    ),
    quantities=list_names(QUANTITIES),
    entry_quantities=SQL(", ").join(ENTRY_QUANTITIES[name] for name in QUANTITIES),
    entries=PENDING_ENTRIES.format(tenant=ONE_TENANT.all, columns=list_names((*ENTRY_COLUMNS, "billing_period"))),
)


def sum_period(*, tenant_id: int, period: date, using: str = "default") -> dict[tuple[str, str, str], Quantities]:
    """By feature, provider and model: the rollups, and what still waits, of the month that begins with `period`."""
    with reading_scope(tenant_id, using=using), prepared_cursor(using=using) as cursor:
        cursor.execute(SUM_PERIOD_SQL, {"tenant_id": tenant_id, "period": period})
        return {tuple(row[: len(GROUPS)]): Quantities._make(row[len(GROUPS) :]) for row in cursor.fetchall()}


LIST_PERIODS_SQL = "SELECT DISTINCT billing_period FROM cost_day WHERE tenant_id = %(tenant_id)s ORDER BY 1"


def list_periods(*, tenant_id: int, using: str = "default") -> list[date]:
    """The months in which something was charged, by their first days, as far as it is added up."""
    with reading_scope(tenant_id, using=using), prepared_cursor(using=using) as cursor:
        cursor.execute(LIST_PERIODS_SQL, {"tenant_id": tenant_id})
        return [period for (period,) in cursor.fetchall()]

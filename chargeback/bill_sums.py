"""Which lines of bills count now, and what they come to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection, connections
from psycopg.sql import SQL

from chargeback.core.bills import Coverage
from chargeback.core.bills.charges import strip_zeros
from tenants.scope import reading_scope

DayKey = tuple[str, str, date, str]  # provider, account, day, currency

# A line counts unless a newer file that is no part tells of its day anew.
LINES_THAT_COUNT = SQL("""
    FROM bill_charge AS charge JOIN provider_bill AS bill
      ON bill.tenant_id = charge.tenant_id AND bill.id = charge.bill_id AND bill.withdrawn_at IS NULL
    WHERE charge.tenant_id = %(tenant_id)s
      AND NOT EXISTS (
          SELECT FROM bill_day AS newer JOIN provider_bill AS teller
            ON teller.tenant_id = newer.tenant_id AND teller.id = newer.bill_id AND teller.withdrawn_at IS NULL
          WHERE newer.tenant_id = charge.tenant_id AND newer.provider = charge.provider
            AND newer.account = charge.account AND newer.day = charge.filed_day AND newer.bill_id > charge.bill_id)""")


@dataclass(frozen=True, slots=True)
class BilledSum:
    """What bills charge of one provider, model, day, category and currency."""

    provider: str
    model: str
    day: date
    category: str
    currency: str
    amount: Decimal


SUM_COVERED_DAYS_SQL = (
    SQL("""
    SELECT charge.filed_day, charge.currency, sum(charge.amount) {counting}
      AND charge.provider = %(provider)s AND charge.account = %(account)s
      AND charge.filed_day BETWEEN %(first)s AND %(last)s
    GROUP BY charge.filed_day, charge.currency""")
    .format(counting=LINES_THAT_COUNT)
    .as_string()
)


def sum_covered_days(covers: Iterable[Coverage], *, tenant_id: int) -> dict[DayKey, Decimal]:
    """What counts now of the days that a file is about; call it inside the tenant's scope."""
    sums: dict[DayKey, Decimal] = {}
    with connection.cursor() as cursor:
        for cover in covers:
            named = {"provider": cover.provider, "account": cover.account, "first": cover.first, "last": cover.last}
            cursor.execute(SUM_COVERED_DAYS_SQL, {"tenant_id": tenant_id, **named})
            for day, currency, amount in cursor.fetchall():
                sums[cover.provider, cover.account, day, currency] = strip_zeros(amount)
    return sums


SUM_BILLED_SQL = (
    SQL("""
    SELECT charge.provider, charge.model, charge.day, charge.category, charge.currency, sum(charge.amount) {counting}
      AND charge.day >= %(first)s AND charge.day < %(after)s
    GROUP BY charge.provider, charge.model, charge.day, charge.category, charge.currency
    ORDER BY charge.provider, charge.model, charge.day, charge.category, charge.currency""")
    .format(counting=LINES_THAT_COUNT)
    .as_string()
)


def sum_billed(*, tenant_id: int, first: date, after: date, using: str = "default") -> list[BilledSum]:
    """What is charged for the days of [first, after), whichever file says it."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(SUM_BILLED_SQL, {"tenant_id": tenant_id, "first": first, "after": after})
        return [BilledSum(*row[:5], strip_zeros(row[5])) for row in cursor.fetchall()]

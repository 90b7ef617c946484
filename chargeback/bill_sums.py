"""Which lines of bills count now, and what they come to."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from django.db import connections
from psycopg.sql import SQL

from chargeback.core.bills.charges import DIGITS_MAX, strip_zeros
from tenants.scope import reading_scope

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


@dataclass(frozen=True, slots=True)
class RestatedDay:
    """What a day of a provider's account was told to be, and what it is since a file."""

    provider: str
    account: str
    day: date
    currency: str
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        with localcontext(prec=DIGITS_MAX):
            return self.after - self.before


# Both sides of a file: what counted of its days before it, and with it. A day that nothing told before is not restated.
LIST_RESTATED_DAYS_SQL = """
    WITH days AS (
        SELECT provider, account, day FROM bill_day WHERE tenant_id = %(tenant_id)s AND bill_id = %(bill_id)s
        UNION
        SELECT provider, account, filed_day FROM bill_charge
        WHERE tenant_id = %(tenant_id)s AND bill_id = %(bill_id)s),
    lines AS (
        SELECT charge.provider, charge.account, days.day, charge.currency, charge.amount, charge.bill_id,
               (SELECT coalesce(max(newer.bill_id) FILTER (WHERE newer.bill_id < %(bill_id)s), 0)
                FROM bill_day AS newer JOIN provider_bill AS teller
                  ON teller.tenant_id = newer.tenant_id AND teller.id = newer.bill_id AND teller.withdrawn_at IS NULL
                WHERE newer.tenant_id = %(tenant_id)s AND newer.provider = days.provider
                  AND newer.account = days.account AND newer.day = days.day) AS told_before,
               EXISTS (SELECT FROM bill_day AS own
                       WHERE own.tenant_id = %(tenant_id)s AND own.bill_id = %(bill_id)s
                         AND own.provider = days.provider AND own.account = days.account
                         AND own.day = days.day) AS is_told_anew
        FROM days JOIN bill_charge AS charge
          ON charge.tenant_id = %(tenant_id)s AND charge.provider = days.provider AND charge.account = days.account
             AND charge.filed_day = days.day AND charge.bill_id <= %(bill_id)s
        JOIN provider_bill AS bill
          ON bill.tenant_id = charge.tenant_id AND bill.id = charge.bill_id AND bill.withdrawn_at IS NULL)
    SELECT provider, account, day, currency,
           coalesce(sum(amount) FILTER (WHERE bill_id < %(bill_id)s AND bill_id >= told_before), 0),
           coalesce(sum(amount) FILTER (
               WHERE bill_id = %(bill_id)s OR (NOT is_told_anew AND bill_id >= told_before)), 0)
    FROM lines
    GROUP BY provider, account, day, currency
    HAVING count(*) FILTER (WHERE bill_id < %(bill_id)s AND bill_id >= told_before) > 0
    ORDER BY provider, account, day, currency"""


def list_restated_days(*, tenant_id: int, bill_id: int, using: str = "default") -> tuple[RestatedDay, ...]:
    """The days of a file that counts which others had told otherwise before it."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_RESTATED_DAYS_SQL, {"tenant_id": tenant_id, "bill_id": bill_id})
        found = [RestatedDay(*row[:4], strip_zeros(row[4]), strip_zeros(row[5])) for row in cursor.fetchall()]
    return tuple(each for each in found if each.before != each.after)


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

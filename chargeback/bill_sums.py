"""Which lines of bills count now, and what they come to."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from django.db import connection, connections
from psycopg.sql import SQL

from chargeback.core.bills import ReadBill
from chargeback.core.bills.charges import DIGITS_MAX, strip_zeros, sum_amounts
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


DayKey = tuple[str, str, date, str]  # provider, account, day, currency

SUM_COVERED_DAYS_SQL = (
    SQL("""
    SELECT charge.filed_day, charge.currency, sum(charge.amount) {counting}
      AND charge.provider = %(provider)s AND charge.account = %(account)s
      AND charge.filed_day BETWEEN %(first)s AND %(last)s
    GROUP BY charge.filed_day, charge.currency""")
    .format(counting=LINES_THAT_COUNT)
    .as_string()
)


def find_restated_days(read: ReadBill, *, tenant_id: int, is_part: bool) -> tuple[RestatedDay, ...]:
    """The days that a file is about to tell otherwise than others did; call it inside the tenant's scope."""
    before: dict[DayKey, Decimal] = {}
    with connection.cursor() as cursor:
        for cover in read.covers:
            named = {"provider": cover.provider, "account": cover.account, "first": cover.first, "last": cover.last}
            cursor.execute(SUM_COVERED_DAYS_SQL, {"tenant_id": tenant_id, **named})
            for day, currency, amount in cursor.fetchall():
                before[cover.provider, cover.account, day, currency] = strip_zeros(amount)
    own = sum_amounts(
        ((charge.provider, charge.account, charge.filed_day, charge.currency), charge.amount) for charge in read.charges
    )
    told = {key[:3] for key in before}
    found = []
    for key in sorted({*before, *own}):
        kept = before.get(key, Decimal(0))
        with localcontext(prec=DIGITS_MAX):
            after = strip_zeros(own.get(key, Decimal(0)) + (kept if is_part else 0))
        if key[:3] in told and after != kept:
            found.append(RestatedDay(*key, kept, after))
    return tuple(found)


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

"""What a USD is worth, by day: entered by an operator, never changed, and of a day the newest counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db import connection, connections, transaction

from chargeback.core.exchange import FxRate
from chargeback.core.rule_fields import write_number
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.models import OPERATOR_SLUG
from tenants.scope import tenant_scope
from tenants.selectors import get_tenant

RATES_MAX = 5_000  # at once


@dataclass(frozen=True, slots=True)
class Entering:
    """What became of rates: entered anew, or known already."""

    entered: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class KeptRate:
    """The rate of a day that counts. corrections: how many of its day it took the place of."""

    currency: str
    day: date
    rate: Decimal
    source: str
    entered_by: str
    entered_at: datetime
    corrections: int

    @property
    def fx_rate(self) -> FxRate:
        """As an exchange is found among several."""
        return FxRate(self.currency, self.day, self.rate, self.source)


# What the day has already adds no row, so that a file may be sent again.
ENTER_RATES_SQL = """
    INSERT INTO fx_rate (currency, day, rate, source, entered_by, entered_at)
    SELECT new.currency, new.day, new.rate, new.source, %(actor)s, %(now)s
    FROM unnest(%(currencies)s::text[], %(days)s::date[], %(rates)s::numeric[], %(sources)s::text[])
         AS new (currency, day, rate, source)
    LEFT JOIN LATERAL (
        SELECT rate, source FROM fx_rate AS kept
        WHERE kept.currency = new.currency AND kept.day = new.day
        ORDER BY id DESC LIMIT 1) AS before ON true
    WHERE (before.rate, before.source) IS DISTINCT FROM (new.rate, new.source)"""


def enter_rates(rates: Sequence[FxRate], *, actor: str, now: datetime) -> Entering:
    """Keep all of the rates, each currency and day once; an act of the operator's ledger, where any is new."""
    ordered = sorted(rates, key=lambda rate: (rate.currency, rate.day))
    values = {
        "actor": actor,
        "now": now,
        "currencies": [rate.currency for rate in ordered],
        "days": [rate.day for rate in ordered],
        "rates": [rate.rate for rate in ordered],
        "sources": [rate.source for rate in ordered],
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ENTER_RATES_SQL, values)
        entered = cursor.rowcount
        if entered:
            _record("fx_rates.entered", _sum_up(ordered, entered=entered), actor=actor, now=now)
    return Entering(entered, len(ordered) - entered)


def _sum_up(rates: Sequence[FxRate], *, entered: int) -> dict[str, str]:
    """What was sent, in short where it is much; each rate stands in `fx_rate`, the earlier ones of its day too."""
    days = [rate.day for rate in rates]
    facts = {
        "currencies": ", ".join(sorted({rate.currency for rate in rates})),
        "entered": str(entered),
        "unchanged": str(len(rates) - entered),
        "first_day": min(days).isoformat(),
        "last_day": max(days).isoformat(),
    }
    if len(rates) == 1:
        facts |= {"rate": write_number(rates[0].rate), "source": rates[0].source}
    return facts


def _record(name: str, facts: Mapping[str, str], *, actor: str, now: datetime) -> None:
    """Keep the act in the operator's ledger, in the caller's transaction."""
    operator = get_tenant(OPERATOR_SLUG)
    with tenant_scope(operator.id):
        book_act(tenant_id=operator.id, act=Act(name=name, actor=actor, facts=facts), now=now)


LIST_FX_RATES_SQL = """
    SELECT currency, day, rate, source, entered_by, entered_at, rows - 1
    FROM (SELECT DISTINCT ON (currency, day) *, count(*) OVER (PARTITION BY currency, day) AS rows FROM fx_rate
          WHERE day >= %(first)s AND day < %(after)s AND (%(currency)s::text IS NULL OR currency = %(currency)s)
          ORDER BY currency, day, id DESC) AS current
    ORDER BY day DESC, currency"""


def list_rates(*, first: date, after: date, currency: str | None = None, using: str = "default") -> list[KeptRate]:
    """The rates that count of [first, after), the newest day first; of one currency, of all where none is named."""
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_FX_RATES_SQL, {"first": first, "after": after, "currency": currency})
        return [KeptRate(*row) for row in cursor.fetchall()]


FIND_FX_RATE_SQL = """
    SELECT currency, day, rate, source FROM fx_rate
    WHERE currency = %(currency)s AND day <= %(last_day)s
    ORDER BY day DESC, id DESC LIMIT 1"""


def find_rate(currency: str, *, last_day: date, using: str = "default") -> FxRate | None:
    """The one by which a month that ends with `last_day` is charged, None where there is none."""
    with connections[using].cursor() as cursor:
        cursor.execute(FIND_FX_RATE_SQL, {"currency": currency, "last_day": last_day})
        row = cursor.fetchone()
    return FxRate(*row) if row else None

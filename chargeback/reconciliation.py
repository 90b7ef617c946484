"""A month of bills beside the ledger: read, explained by people, signed. Days are those of UTC, as providers count.

What a bill says in another currency than the ledger's is compared at the rate in force on the month's last day. Where
none is known it is no row: it is told apart, and stands in the way of a sign-off like what nothing explains.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from django.db import connection, connections

from audit.core.focus import PROVIDER_NAMES
from billing.selectors import CostQuery, QueryRefused, get_billed_costs
from billing.selectors.rate_versions import find_alias, list_model_aliases
from chargeback.bill_sums import BilledSum, sum_billed
from chargeback.bill_tolerances import get_tolerance
from chargeback.bills import lock_bills
from chargeback.core.billed_models import match_models
from chargeback.core.bills.charges import strip_zeros, sum_amounts
from chargeback.core.exchange import FxRate
from chargeback.core.reconciliation import (
    REASONS,
    Billed,
    Booked,
    Comparison,
    Decision,
    Row,
    compare,
    explain_rest,
    next_month,
    to_ledger_currency,
)
from chargeback.exchange_rates import find_rate
from chargeback.variance_decisions import (
    KeptDecision,
    ReconciliationRefused,
    check_comment,
    keep_decisions,
    read_decisions,
)
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import reading_scope

LEDGER_CURRENCY = "USD"
DAYS_AT_ONCE = 7  # where the days of a month have too many models for one question


@dataclass(frozen=True, slots=True)
class SignOff:
    """What both sides of a month were when a person signed it."""

    period: date
    bill: Decimal
    ledger: Decimal
    unexplained: Decimal
    open_groups: int
    comment: str
    signed_by: str
    signed_at: datetime


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A month of a tenant. exchanges: the rates at which bills of other currencies are compared.

    other_currencies: what bills say that is not compared, for want of a rate. sign_off: the newest, if any.
    """

    period: date
    after: date
    comparison: Comparison
    exchanges: dict[str, FxRate]
    other_currencies: dict[str, Decimal]
    sign_off: SignOff | None

    @property
    def is_signed(self) -> bool:
        """Whether what was signed is what stands now."""
        total, signed = self.comparison.total, self.sign_off
        return signed is not None and (signed.bill, signed.ledger, signed.unexplained) == (
            total.bill,
            total.ledger,
            total.unexplained,
        )

    @property
    def blockers(self) -> list[str]:
        """What a sign-off needs a reason for, in sentences."""
        found = [
            f"{PROVIDER_NAMES.get(group.provider, group.provider)} {group.model}".strip()
            + f": {strip_zeros(group.sums.unexplained):f} USD is not explained"
            for group in self.comparison.open_groups
        ]
        return found + [
            f"{strip_zeros(amount):f} {currency} is billed, and no rate of exchange is known for it"
            for currency, amount in self.other_currencies.items()
        ]


def reconcile(*, tenant_id: int, period: date, using: str = "default") -> Reconciliation:
    """A month, its first day given: both sides as they stand now, and what is said of them."""
    after = next_month(period)
    with reading_scope(tenant_id, using=using):
        billed = sum_billed(tenant_id=tenant_id, first=period, after=after, using=using)
        booked = read_booked(tenant_id=tenant_id, first=period, after=after, using=using)
        decisions = read_decisions(tenant_id=tenant_id, first=period, after=after, using=using)
        tolerance = get_tolerance(tenant_id=tenant_id, using=using)
        signed = get_sign_off(tenant_id=tenant_id, period=period, using=using)
        aliases = list_model_aliases()
    exchanges = _find_exchanges({each.currency for each in billed}, last_day=after - timedelta(days=1), using=using)
    own = [_exchange(each, exchanges) for each in billed if each.currency in (LEDGER_CURRENCY, *exchanges)]
    sides = _name_places(own, booked, aliases=aliases)
    others = sum_amounts(
        (each.currency, each.amount) for each in billed if each.currency not in (LEDGER_CURRENCY, *exchanges)
    )
    return Reconciliation(period, after, compare(*sides, decisions, tolerance=tolerance), exchanges, others, signed)


def _find_exchanges(currencies: set[str], *, last_day: date, using: str) -> dict[str, FxRate]:
    found = {name: find_rate(name, last_day=last_day, using=using) for name in sorted(currencies - {LEDGER_CURRENCY})}
    return {name: rate for name, rate in found.items() if rate is not None}


def _exchange(billed: BilledSum, exchanges: dict[str, FxRate]) -> BilledSum:
    if billed.currency == LEDGER_CURRENCY:
        return billed
    amount = to_ledger_currency(billed.amount, rate=exchanges[billed.currency].rate)
    return replace(billed, amount=amount, currency=LEDGER_CURRENCY)


def _name_places(
    billed: Sequence[BilledSum], booked: Sequence[Booked], *, aliases: dict
) -> tuple[list[Billed], list[Booked]]:
    """Both sides by the names under which they are compared. What is of no model stays so."""
    names = match_models(
        {(each.provider, each.model) for each in billed if each.model},
        {each.place[:2] for each in booked if each.place[1]},
        find_meaning=lambda provider, model: find_alias(aliases, provider, model),
    )

    def name(provider: str, model: str) -> tuple[str, str]:
        return names.get((provider, model), (provider, model))

    return (
        [Billed((*name(each.provider, each.model), each.day), each.category, each.amount) for each in billed],
        [Booked((*name(*each.place[:2]), each.place[2]), each.amount) for each in booked],
    )


def read_booked(*, tenant_id: int, first: date, after: date, using: str = "default") -> list[Booked]:
    """What the rollups say of each provider, model and day that has a price."""
    try:
        return _ask_rollups(tenant_id=tenant_id, first=first, after=after, using=using)
    except QueryRefused:
        step = timedelta(days=DAYS_AT_ONCE)
        starts = [first + step * number for number in range((after - first) // step + 1)]
        return [
            booked
            for start in starts
            if start < after
            for booked in _ask_rollups(tenant_id=tenant_id, first=start, after=min(start + step, after), using=using)
        ]


def _ask_rollups(*, tenant_id: int, first: date, after: date, using: str) -> list[Booked]:
    start, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, after))
    query = CostQuery(tenant_id=tenant_id, start=start, end=end, group_by=("provider", "model"))
    return [
        Booked((*row.group, row.period_start.date()), strip_zeros(row.billed_cost))
        for row in get_billed_costs(query, using=using).rows
        if row.period_start is not None and row.billed_cost
    ]


def explain(
    *,
    tenant_id: int,
    period: date,
    provider: str,
    reason: str,
    comment: str,
    actor: str,
    now: datetime,
    model: str | None = None,
    day: date | None = None,
    amount: Decimal | None = None,
) -> KeptDecision:
    """Say why a provider's bill differs: of one model, of one day, or of all that is unexplained of the month.

    amount: how much of one row it explains; None for all that is not explained. Raises ReconciliationRefused.
    """
    if reason not in REASONS:
        raise ReconciliationRefused("reason_unknown", f"a reason is one of {', '.join(REASONS)}")
    comment = check_comment(comment)
    with lock_bills(tenant_id=tenant_id):
        rows = [
            row
            for row in reconcile(tenant_id=tenant_id, period=period).comparison.rows
            if row.provider == provider and model in (None, row.model) and day in (None, row.day)
        ]
        decisions = _decide(rows, reason=reason, amount=amount)
        return keep_decisions(decisions, comment=comment, tenant_id=tenant_id, actor=actor, now=now)


def _decide(rows: Sequence[Row], *, reason: str, amount: Decimal | None) -> list[Decision]:
    if amount is None:
        decisions = explain_rest(rows, reason=reason)
    elif len(rows) == 1 and amount:
        decisions = [Decision(rows[0].place, reason, amount)]
    else:
        raise ReconciliationRefused("row_unknown", "an amount is of one model and day, and not zero; name both")
    if not decisions:
        raise ReconciliationRefused("row_unknown", "nothing there is unexplained")
    return decisions


ADD_SIGN_OFF_SQL = """
    INSERT INTO bill_sign_off (tenant_id, period, bill, ledger, unexplained, open_groups, comment, signed_by, signed_at)
    VALUES (%(tenant_id)s, %(period)s, %(bill)s, %(ledger)s, %(unexplained)s, %(open_groups)s, %(comment)s, %(actor)s,
            %(now)s)"""


def sign_off(
    *, tenant_id: int, period: date, comment: str, actor: str, now: datetime, accepts_unexplained: bool = False
) -> SignOff:
    """Sign that a month's bills are what the ledger says, or differ for the reasons given.

    What is beyond the tolerance and unexplained is signed only by one who says that it is accepted, with the comment as
    its reason. Raises ReconciliationRefused for that, for no comment, and for a month that is not over.
    """
    comment = check_comment(comment)
    if next_month(period) > now.astimezone(UTC).date():
        raise ReconciliationRefused("month_running", "the month is not over; sign it afterwards")
    with lock_bills(tenant_id=tenant_id), connection.cursor() as cursor:
        found = reconcile(tenant_id=tenant_id, period=period)
        if found.blockers and not accepts_unexplained:
            told = f"{'; '.join(found.blockers[:5])}. Explain it, or accept it with a reason."
            raise ReconciliationRefused("unexplained", told)
        total = found.comparison.total
        values = {
            "bill": total.bill,
            "ledger": total.ledger,
            "unexplained": total.unexplained,
            "open_groups": len(found.blockers),
        }
        named = {"tenant_id": tenant_id, "period": period, "comment": comment, "actor": actor, "now": now}
        cursor.execute(ADD_SIGN_OFF_SQL, values | named)
        facts = {"period": period.isoformat(), "comment": comment}
        facts |= {name: f"{value:f}" if isinstance(value, Decimal) else str(value) for name, value in values.items()}
        _record("reconciliation.signed", facts, tenant_id=tenant_id, actor=actor, now=now)
    return SignOff(period=period, comment=comment, signed_by=actor, signed_at=now, **values)


GET_SIGN_OFF_SQL = """
    SELECT period, bill, ledger, unexplained, open_groups, comment, signed_by, signed_at FROM bill_sign_off
    WHERE tenant_id = %(tenant_id)s AND period = %(period)s
    ORDER BY id DESC LIMIT 1"""


def get_sign_off(*, tenant_id: int, period: date, using: str = "default") -> SignOff | None:
    """The newest of a month."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(GET_SIGN_OFF_SQL, {"tenant_id": tenant_id, "period": period})
        row = cursor.fetchone()
    return None if row is None else SignOff(row[0], *(strip_zeros(amount) for amount in row[1:4]), *row[4:])


def _record(name: str, facts: dict[str, str], *, tenant_id: int, actor: str, now: datetime) -> None:
    """Keep the act in the tenant's ledger, in the caller's transaction."""
    book_act(tenant_id=tenant_id, act=Act(name=name, actor=actor, facts=facts), now=now)

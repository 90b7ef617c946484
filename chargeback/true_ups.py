"""True-ups: what a bill charges and nothing explains, booked as an adjustment, so that the ledger says it too."""

import hashlib
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from billing.adjustments import ADJUSTMENT, Adjustment, AdjustmentRefused, book_adjustment
from chargeback.core.bills.charges import DIGITS_MAX
from chargeback.core.reconciliation import Group, next_month
from chargeback.reconciliation import reconcile
from chargeback.variance_decisions import ReconciliationRefused, check_comment

PICO = Decimal("0.000000000001")
NOON = time(12, tzinfo=UTC)


def book_true_up(
    *,
    tenant_id: int,
    period: date,
    provider: str,
    model: str,
    comment: str,
    actor: str,
    now: datetime,
    cost_center: str = "",
) -> str:
    """Book what is unexplained of a model's month as an entry of its last day; the entry's id.

    To twelve decimals, half-even: what is less stays unexplained. What is of a closed month is charged in the first
    open one. It is an act. Raises ReconciliationRefused where nothing is unexplained, and as a sign-off does.
    """
    comment = " ".join(check_comment(comment).split())
    if next_month(period) > now.astimezone(UTC).date():
        raise ReconciliationRefused("month_running", "the month is not over; true it up afterwards")
    groups = reconcile(tenant_id=tenant_id, period=period).comparison.groups
    group = next((each for each in groups if (each.provider, each.model) == (provider, model)), None)
    with localcontext(prec=DIGITS_MAX):
        amount = group.sums.unexplained.quantize(PICO, ROUND_HALF_EVEN) if group else Decimal(0)
    if group is None or not amount:
        raise ReconciliationRefused("row_unknown", "nothing there is unexplained")
    adjustment = Adjustment(
        id=f"true-up-{period:%Y-%m}-{_name_state(group)}",
        kind=ADJUSTMENT,
        amount=amount,
        reason=comment,
        time=datetime.combine(next_month(period) - timedelta(days=1), NOON),
        cost_center=cost_center,
        provider=provider,
        model=model,
    )
    try:
        return book_adjustment(adjustment, tenant_id=tenant_id, actor=actor, now=now)
    except AdjustmentRefused as refused:
        raise ReconciliationRefused("adjustment_refused", str(refused)) from refused


def _name_state(group: Group) -> str:
    """A name of what both sides are now: two who book the same true-up at once book it once."""
    sums = group.sums
    said = [group.provider, group.model, f"{sums.bill:f}", f"{sums.ledger:f}", f"{sums.unexplained:f}"]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]

"""A month on its way: looked at, closed, and opened again.

    open → in_review → closed → open
      ↑________|        (returned; reopened, where another person than who asked for it agrees)

Each step is one transaction with its act in the tenant's ledger. What changes where entries are charged raises the rate
book's version: a booking that is under way commits before it, or is made again after it. Where `RATES_FOUR_EYES` is
on, nobody reopens alone.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from django.conf import settings
from django.db import connection

from billing.core.month_totals import MonthTotals
from billing.models import BillingPeriod, BillingPeriodStep
from billing.periods.totals import complete_totals, sum_settled
from billing.rates.book import raise_version
from ledger.acts import book_act
from ledger.core.acts import Act
from tenants.scope import tenant_scope

REASON_LENGTH_MAX = 500


class PeriodStepRefused(ValueError):
    """A step that the month's state, or who takes it, does not allow; `code` says which."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def review_month(*, tenant_id: int, period: date, actor: str, now: datetime, reason: str = "") -> None:
    """Have a month that is over looked at; bookings go on. Raises PeriodStepRefused `period_state`, `period_not_over`.

    period: its first day, here and below.
    """
    with tenant_scope(tenant_id):
        month = _lock_month(tenant_id, period, states=("open",), step="reviewed", actor=actor, now=now)
        _refuse_unfinished(period, now)
        _move(month, "in_review", actor=actor, now=now)
        _record(month, "reviewed", actor=actor, now=now, reason=_check_reason(reason))


def return_month(*, tenant_id: int, period: date, actor: str, now: datetime, reason: str = "") -> None:
    """End a review without a close."""
    with tenant_scope(tenant_id):
        month = _lock_month(tenant_id, period, states=("in_review",), step="returned", actor=actor, now=now)
        _move(month, "open", actor=actor, now=now)
        _record(month, "returned", actor=actor, now=now, reason=_check_reason(reason))


def close_month(*, tenant_id: int, period: date, actor: str, now: datetime, reason: str = "") -> MonthTotals:
    """Let nothing be charged in a reviewed month any more; its control totals, which are kept.

    Raises PeriodStepRefused `period_state`: who comes second is told so.
    """
    with tenant_scope(tenant_id):
        month = _lock_month(tenant_id, period, states=("in_review",), step="closed", actor=actor, now=now)
        reason = _check_reason(reason)
        settled = sum_settled(tenant_id=tenant_id, period=period)
        _move(month, "closed", actor=actor, now=now)
        raise_version()
        totals = complete_totals(settled, tenant_id=tenant_id, period=period)
        _record(month, "closed", actor=actor, now=now, reason=reason, totals=totals)
    return totals


def reopen_month(*, tenant_id: int, period: date, actor: str, now: datetime, reason: str) -> bool:
    """Ask for a closed month to be open again; whether it is at once, which it is without `RATES_FOUR_EYES`.

    Raises PeriodStepRefused `period_state`, `reason_missing`, `period_reopening_asked` where somebody asked before.
    """
    with tenant_scope(tenant_id):
        month = _lock_month(tenant_id, period, states=("closed",), step="reopened", actor=actor, now=now)
        reason = _check_reason(reason, is_needed=True)
        if month.reopen_asked_by:
            raise PeriodStepRefused("period_reopening_asked", f"{month.reopen_asked_by} asked for it already")
        if settings.RATES_FOUR_EYES:
            month.reopen_asked_by = actor
            month.save(update_fields=["reopen_asked_by"])
            _record(month, "reopen_asked", actor=actor, now=now, reason=reason)
            return False
        _reopen(month, actor=actor, now=now, reason=reason)
    return True


def approve_reopening(*, tenant_id: int, period: date, actor: str, now: datetime, reason: str = "") -> None:
    """Open a closed month again, as another person asked. Without a reason it is the one that was asked with.

    Raises PeriodStepRefused `period_state`, `period_needs_another`, `period_reopening_unasked`.
    """
    with tenant_scope(tenant_id):
        month = _lock_month(tenant_id, period, states=("closed",), step="reopened", actor=actor, now=now)
        asked = _find_question(month)
        if settings.RATES_FOUR_EYES and actor == asked.actor:
            raise PeriodStepRefused("period_needs_another", "somebody else than who asked reopens a month")
        _reopen(month, actor=actor, now=now, reason=_check_reason(reason) or asked.reason, asked_by=asked.actor)


def decline_reopening(*, tenant_id: int, period: date, actor: str, now: datetime, reason: str) -> None:
    """Leave a closed month as it is, though somebody asked; who asked may take it back so too. Raises as above."""
    with tenant_scope(tenant_id):
        month = _lock_month(tenant_id, period, states=("closed",), step="reopened", actor=actor, now=now)
        asked = _find_question(month)
        reason = _check_reason(reason, is_needed=True)
        month.reopen_asked_by = ""
        month.save(update_fields=["reopen_asked_by"])
        _record(month, "reopen_declined", actor=actor, now=now, reason=reason, asked_by=asked.actor)


def _reopen(month: BillingPeriod, *, actor: str, now: datetime, reason: str, **facts: str) -> None:
    _move(month, "open", actor=actor, now=now)
    raise_version()
    _record(month, "reopened", actor=actor, now=now, reason=reason, **facts)


ADD_PERIOD_SQL = """
    INSERT INTO billing_period (tenant_id, period, state, changed_by, changed_at)
    VALUES (%(tenant_id)s, %(period)s, 'open', %(changed_by)s, %(changed_at)s)
    ON CONFLICT DO NOTHING"""


def _lock_month(
    tenant_id: int, period: date, *, states: tuple[str, ...], step: str, actor: str, now: datetime
) -> BillingPeriod:
    """The month's row, nobody else's until the end of the transaction. Raises PeriodStepRefused."""
    with connection.cursor() as cursor:
        cursor.execute(
            ADD_PERIOD_SQL, {"tenant_id": tenant_id, "period": period, "changed_by": actor, "changed_at": now}
        )
    month = BillingPeriod.objects.select_for_update().get(tenant_id=tenant_id, period=period)
    if month.state not in states:
        since = f" since {month.changed_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, by {month.changed_by}"
        told = f"{period:%B %Y} is {month.state.replace('_', ' ')}{since if month.state != 'open' else ''}"
        raise PeriodStepRefused("period_state", f"{told}; it cannot be {step}")
    return month


def _refuse_unfinished(period: date, now: datetime) -> None:
    if (period.year, period.month) >= (now.astimezone(UTC).year, now.astimezone(UTC).month):
        raise PeriodStepRefused("period_not_over", f"{period:%B %Y} is not over; what it costs may still be used")


def _find_question(month: BillingPeriod) -> BillingPeriodStep:
    """Who asked last for a month to be reopened, and why."""
    if not month.reopen_asked_by:
        raise PeriodStepRefused("period_reopening_unasked", f"nobody asked to reopen {month.period:%B %Y}")
    steps = BillingPeriodStep.objects.filter(tenant_id=month.tenant_id, period=month.period, step="reopen_asked")
    return steps.order_by("-id")[0]


def _check_reason(reason: str, *, is_needed: bool = False) -> str:
    reason = reason.strip()
    if (is_needed and not reason) or len(reason) > REASON_LENGTH_MAX or not reason.isprintable():
        least = 1 if is_needed else 0
        raise PeriodStepRefused("reason_missing", f"say why, in {least} to {REASON_LENGTH_MAX} printable characters")
    return reason


def _move(month: BillingPeriod, state: str, *, actor: str, now: datetime) -> None:
    month.state, month.changed_by, month.changed_at, month.reopen_asked_by = state, actor, now, ""
    month.save(update_fields=["state", "changed_by", "changed_at", "reopen_asked_by"])


ADD_PERIOD_STEP_SQL = """
    INSERT INTO billing_period_step (tenant_id, period, step, actor, taken_at, reason, totals, totals_hash)
    VALUES (%(tenant_id)s, %(period)s, %(step)s, %(actor)s, %(now)s, %(reason)s, %(totals)s, %(totals_hash)s)"""


def _record(
    month: BillingPeriod,
    step: str,
    *,
    actor: str,
    now: datetime,
    reason: str,
    totals: MonthTotals | None = None,
    **facts: str,
) -> None:
    """Keep the step, with what stood in the month where it is its close, and its act in the tenant's ledger."""
    with connection.cursor() as cursor:
        cursor.execute(
            ADD_PERIOD_STEP_SQL,
            {
                "tenant_id": month.tenant_id,
                "period": month.period,
                "step": step,
                "actor": actor,
                "now": now,
                "reason": reason,
                "totals": totals.write() if totals else "",
                "totals_hash": totals.digest if totals else b"",
            },
        )
    said: Mapping[str, str] = {"reason": reason} if reason else {}
    found = {"period": f"{month.period:%Y-%m}", **said, **facts, **(_sum_up(totals) if totals else {})}
    book_act(tenant_id=month.tenant_id, act=Act(name=f"period.{step}", actor=actor, facts=found), now=now)


def _sum_up(totals: MonthTotals) -> dict[str, str]:
    """The control totals in short; their hash stands for the rest."""
    total = totals.total
    return {
        "entries": str(total.entries),
        "calls": str(total.calls),
        "unpriced_calls": str(total.unpriced_calls),
        "billed_cost": f"{total.billed_cost:.12f}",
        "tree_size": str(totals.tree_size),
        "totals_sha256": totals.digest.hex(),
    }

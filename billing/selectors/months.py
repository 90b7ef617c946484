"""What is known of a tenant's months: how each stands, what was done to it, and what stood in it on a date."""

from dataclasses import dataclass
from datetime import date, datetime

from django.db import connections

from billing.core.month_totals import MonthTotals
from billing.selectors.periods import list_periods
from tenants.scope import reading_scope

OPEN, IN_REVIEW, CLOSED = "open", "in_review", "closed"


@dataclass(frozen=True, slots=True)
class MonthInfo:
    """A month by its first day. Nothing was ever done to it: open, changed by nobody.

    reopen_asked_by: who waits for another person's answer, '' for nobody.
    """

    period: date
    state: str = OPEN
    changed_by: str = ""
    changed_at: datetime | None = None
    reopen_asked_by: str = ""


@dataclass(frozen=True, slots=True)
class MonthStep:
    """What somebody did to a month, and the control totals that were kept where it was its close."""

    period: date
    step: str  # reviewed, returned, closed, reopen_asked, reopen_declined, reopened
    actor: str
    taken_at: datetime
    reason: str
    totals: MonthTotals | None
    totals_hash: str  # hexadecimal SHA-256 over what was kept, '' for nothing


LIST_PERIOD_STATES_SQL = """
    SELECT period, state, changed_by, changed_at, reopen_asked_by FROM billing_period
    WHERE tenant_id = %(tenant_id)s ORDER BY period"""


def list_months(*, tenant_id: int, using: str = "default") -> list[MonthInfo]:
    """Every month in which something is charged, or to which something was done, in their order."""
    with reading_scope(tenant_id, using=using):
        known = _list_states(tenant_id, using=using)
        charged = list_periods(tenant_id=tenant_id, using=using)
    return [known.get(period) or MonthInfo(period) for period in sorted({*known, *charged})]


def get_month(*, tenant_id: int, period: date, using: str = "default") -> MonthInfo:
    """How one month stands."""
    with reading_scope(tenant_id, using=using):
        return _list_states(tenant_id, using=using).get(period) or MonthInfo(period)


def _list_states(tenant_id: int, *, using: str) -> dict[date, MonthInfo]:
    with connections[using].cursor() as cursor:
        cursor.execute(LIST_PERIOD_STATES_SQL, {"tenant_id": tenant_id})
        return {row[0]: MonthInfo(*row) for row in cursor.fetchall()}


LIST_PERIOD_STEPS_SQL = """
    SELECT period, step, actor, taken_at, reason, totals, totals_hash FROM billing_period_step
    WHERE tenant_id = %(tenant_id)s AND (%(period)s::date IS NULL OR period = %(period)s::date)
    ORDER BY id"""


def list_month_steps(*, tenant_id: int, period: date | None = None, using: str = "default") -> list[MonthStep]:
    """What was done to a month, or to every month, in its order."""
    with reading_scope(tenant_id, using=using), connections[using].cursor() as cursor:
        cursor.execute(LIST_PERIOD_STEPS_SQL, {"tenant_id": tenant_id, "period": period})
        return [
            MonthStep(*said, totals=MonthTotals.read(totals) if totals else None, totals_hash=bytes(digest).hex())
            for *said, totals, digest in cursor.fetchall()
        ]


def find_totals(*, tenant_id: int, period: date, at: datetime, using: str = "default") -> MonthTotals | None:
    """The control totals of a month as it was closed at a moment; None where it was open then."""
    totals = None
    for step in list_month_steps(tenant_id=tenant_id, period=period, using=using):
        if step.taken_at > at:
            break
        if step.step in ("closed", "reopened"):
            totals = step.totals
    return totals

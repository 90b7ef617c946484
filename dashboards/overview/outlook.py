"""What the month that goes on is expected to end at."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from alerts.core.outlooks import Outlook
from alerts.forecasts import list_events, read_month
from alerts.forecasts.days import to_dollars
from dashboards.access import Seat
from dashboards.core.periods import ONE_DAY
from dashboards.frame import ALL_ENVIRONMENTS, make_link


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """expected, low, high: USD, None where nothing can be forecast; then `reason` says why."""

    last_day: date
    href: str
    expected: Decimal | None
    low: Decimal | None
    high: Decimal | None
    reason: str


def read_month_end(seat: Seat, *, environment: str, now: datetime) -> MonthEnd:
    """By three statements. environment: '' for all of them."""
    events = list_events(tenant_id=seat.tenant.id)
    filters = {"environment": environment} if environment else {}
    view = read_month(tenant=seat.tenant, now=now, events=events, filters=filters)
    outlook, ends, reason = view.outlook, (None, None, None), ""
    if isinstance(outlook, Outlook):
        ends = tuple(to_dollars(end) for end in (outlook.expected, outlook.low, outlook.high))
    else:
        reason = outlook.reason
    href = make_link("forecast", {**seat.link_query, "environment": environment or ALL_ENVIRONMENTS})
    return MonthEnd(view.month.after - ONE_DAY, href, *ends, reason)

"""What the month that goes on is expected to end at."""

from collections.abc import Sequence
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
class DayAhead:
    """What a day that is not over is expected to cost as a whole, with the two ends of its band; USD."""

    day: date
    expected: Decimal
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """expected, low, high: USD, None where nothing can be forecast; then `reason` says why. days: from today on."""

    last_day: date
    href: str
    expected: Decimal | None
    low: Decimal | None
    high: Decimal | None
    reason: str
    days: Sequence[DayAhead] = ()

    @property
    def rest(self) -> DayAhead:
        """All of the days together; their last day."""
        sums = (sum((getattr(day, name) for day in self.days), Decimal(0)) for name in ("expected", "low", "high"))
        return DayAhead(self.last_day, *sums)


def read_month_end(seat: Seat, *, environment: str, now: datetime) -> MonthEnd:
    """By three statements. environment: '' for all of them."""
    events = list_events(tenant_id=seat.tenant.id)
    filters = {"environment": environment} if environment else {}
    view = read_month(tenant=seat.tenant, now=now, events=events, filters=filters)
    outlook, last_day = view.outlook, view.month.after - ONE_DAY
    href = make_link("forecast", {**seat.link_query, "environment": environment or ALL_ENVIRONMENTS})
    if not isinstance(outlook, Outlook):
        return MonthEnd(last_day, href, None, None, None, outlook.reason)
    ends = (to_dollars(end) for end in (outlook.expected, outlook.low, outlook.high))
    return MonthEnd(last_day, href, *ends, "", _list_days(outlook, today=view.month.today))


def _list_days(outlook: Outlook, *, today: date) -> list[DayAhead]:
    return [
        DayAhead(today + number * ONE_DAY, *map(to_dollars, (expected, low, high)))
        for number, (expected, (low, high)) in enumerate(zip(outlook.daily, outlook.list_band(), strict=True))
    ]

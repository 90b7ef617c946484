"""The calendar windows of budgets: hours of UTC, days and longer ones by a tenant's clock and fiscal year. Pure."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.core.budgets import Window
from billing.core.periods import start_of_day

MONTHS = 12


def find_window(window: Window, at: datetime, *, timezone: str, fiscal_month: int) -> tuple[datetime, datetime]:
    """The window that `at` lies in, [start, end) in UTC.

    Days, weeks (from Monday) and longer ones begin at midnight in `timezone`, where clocks change with a day of 23 or
    25 hours; quarters and years with the month `fiscal_month` (1 to 12). Hours are those of UTC, by which cost is
    summed: they begin at a local half hour in zones that are half an hour off.
    """
    if window == "hour":
        start = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return start, start + timedelta(hours=1)
    zone = ZoneInfo(timezone)
    first = _find_first_day(window, at.astimezone(zone).date(), fiscal_month)
    after = _find_next_day(window, first)
    # Where clocks go back over midnight a date comes again; what is counted goes on with the one after it.
    while start_of_day(after, zone) <= at:
        first, after = after, _find_next_day(window, after)
    return start_of_day(first, zone), start_of_day(after, zone)


def find_window_before(
    window: Window, start: datetime, *, timezone: str, fiscal_month: int
) -> tuple[datetime, datetime]:
    """The window that ends where one starts."""
    return find_window(window, start - timedelta(microseconds=1), timezone=timezone, fiscal_month=fiscal_month)


def _find_first_day(window: Window, day: date, fiscal_month: int) -> date:
    if window == "day":
        return day
    if window == "week":
        return day - timedelta(days=day.weekday())
    months_into_year = (day.month - fiscal_month) % MONTHS
    back = {"month": 0, "quarter": months_into_year % 3, "year": months_into_year}[window]
    return _add_months(day.replace(day=1), -back)


def _find_next_day(window: Window, first: date) -> date:
    if window in ("day", "week"):
        return first + timedelta(days=1 if window == "day" else 7)
    return _add_months(first, {"month": 1, "quarter": 3, "year": MONTHS}[window])


def _add_months(first: date, months: int) -> date:
    years, month_index = divmod(first.month - 1 + months, MONTHS)
    return date(first.year + years, month_index + 1, 1)

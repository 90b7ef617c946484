"""The period of a question: boundaries given as days or moments, and the period that comes before."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def find_moment(boundary: datetime | date, *, timezone: str) -> datetime:
    """The boundary in UTC; a day means its beginning in `timezone`."""
    if isinstance(boundary, datetime):
        return boundary
    return datetime.combine(boundary, time(), ZoneInfo(timezone)).astimezone(UTC)


def find_previous_period(
    *, start: datetime, end: datetime, granularity: str, timezone: str
) -> tuple[datetime, datetime]:
    """The half-open period that start–end is compared with, in UTC.

    Whole months, or the first days of one, are compared with as many months earlier; weeks and every other number
    of whole days with as many days just before; anything else with as much time just before. The calendar is that
    of `timezone`, so a day of 23 hours counts as a day.
    """
    zone = ZoneInfo(timezone)
    first, after = start.astimezone(zone), end.astimezone(zone)
    if first.timetz().replace(tzinfo=None) != time() or after.timetz().replace(tzinfo=None) != time():
        return start - (end - start), start
    months = (after.year - first.year) * 12 + after.month - first.month
    if granularity != "week" and first.day == 1 and after.day == 1:
        return _add_months(first, -months).astimezone(UTC), start
    if granularity != "week" and first.day == 1 and months == 0:
        before = _add_months(first, -1)
        return before.astimezone(UTC), min(before + (after - first), first).astimezone(UTC)
    return (first - timedelta(days=(after.date() - first.date()).days)).astimezone(UTC), start


def _add_months(first_of_month: datetime, months: int) -> datetime:
    index = first_of_month.year * 12 + first_of_month.month - 1 + months
    return first_of_month.replace(year=index // 12, month=index % 12 + 1)

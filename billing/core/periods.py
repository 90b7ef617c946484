"""Calendar periods in a time zone, half-open: where they begin, and which one came before."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

FOUR_WEEKS = timedelta(weeks=4)  # no zone changes its clock for less
GRANULARITIES = ("hour", "day", "week", "month", "total")


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day, in UTC; where midnight does not exist, the instant after the gap."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def is_day_start(moment: datetime, zone: ZoneInfo) -> bool:
    return start_of_day(moment.astimezone(zone).date(), zone) == moment


def is_period_start(moment: datetime, granularity: str, zone: ZoneInfo) -> bool:
    """Whether a period begins here. A total may begin at any full hour, and with any day."""
    local = moment.astimezone(zone)
    is_full_hour = (moment.minute, moment.second, moment.microsecond) == (0, 0, 0)
    if granularity == "hour" or (granularity == "total" and is_full_hour):
        return is_full_hour
    if granularity == "week" and local.weekday() != 0:
        return False
    if granularity == "month" and local.day != 1:
        return False
    return is_day_start(moment, zone)


def has_whole_hours(start: datetime, end: datetime, zone: ZoneInfo) -> bool:
    """Whether hours of UTC are hours of the zone, throughout a period: Lord Howe Island's are in winter alone."""
    moments = [start + step * FOUR_WEEKS for step in range((end - start) // FOUR_WEEKS + 1)]
    offsets = (moment.astimezone(zone).utcoffset() or timedelta() for moment in (*moments, end))
    return not any(offset % timedelta(hours=1) for offset in offsets)


def previous_period(start: datetime, end: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """What to compare [start, end) with.

    Whole months: as many months before. A month up to some day: the same days of the month before, or all of it
    where it is shorter. Whole days: as many days before. Else the same length of time before.
    """
    if not is_day_start(start, zone) or not is_day_start(end, zone):
        return start - (end - start), start
    first, last = start.astimezone(zone).date(), end.astimezone(zone).date()
    if first.day == 1 and last.day == 1:
        months = (last.year - first.year) * 12 + last.month - first.month
        return start_of_day(_add_months(first, -months), zone), start
    if first.day == 1 and last <= _add_months(first, 1):
        before = _add_months(first, -1)
        return start_of_day(before, zone), start_of_day(min(before + (last - first), first), zone)
    return start_of_day(first - (last - first), zone), start


def _add_months(first: date, months: int) -> date:
    years, month_index = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month_index + 1, 1)

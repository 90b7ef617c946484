"""The parts that a period is shown in: hours, days, weeks from Monday, months; its ends may cut one. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from dashboards.core.periods import ONE_DAY, Period

HOUR, DAY, WEEK, MONTH = GRANULARITIES = ("hour", "day", "week", "month")
HOURS_SHOWN_DAYS = 31  # longer than that nobody reads hours
ONE_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A row of a table by time. key: what its calls are found by; days: those it lies in, an hour's own one."""

    key: date | datetime
    days: Period
    label: str


def list_buckets(period: Period, granularity: str, zone: ZoneInfo) -> list[Bucket]:
    """The parts of the period in their order, without a gap."""
    if granularity == HOUR:
        return list(_list_hours(period, zone))
    found: dict[date, Bucket] = {}
    for day in period.list_days():
        key = find_key(day, granularity)
        first = found[key].days.first if key in found else day
        days = Period(first, day + ONE_DAY)
        found[key] = Bucket(key, days, _write(days, granularity))
    return list(found.values())


def find_key(day: date, granularity: str) -> date:
    """What all days of one bucket have in common: the first day that an uncut one has."""
    if granularity == WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if granularity == MONTH else day


def _list_hours(period: Period, zone: ZoneInfo) -> Iterator[Bucket]:
    """By real time: a day on which clocks change has 23 or 25."""
    start, end = period.get_bounds(zone.key)
    moment = start
    while moment < end:
        local = moment.astimezone(zone)
        day = Period(local.date(), local.date() + ONE_DAY)
        yield Bucket(moment.astimezone(UTC), day, f"{local.day} {local:%b %H:%M}{' again' if local.fold else ''}")
        moment += ONE_HOUR


def _write(days: Period, granularity: str) -> str:
    if granularity == DAY:
        return f"{days.first.day} {days.first:%b %a}"
    if granularity == MONTH and days.days >= 28:
        return f"{days.first:%B %Y}"
    return days.write_short()

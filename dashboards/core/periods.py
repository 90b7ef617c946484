"""The days that a page is about, as its address says them, and the days they are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from billing.core.periods import previous_period, start_of_day

PERIOD_DAYS_MAX = 400
LAST_DAYS = {"7d": 7, "30d": 30, "90d": 90}
PERIOD_NAMES = {
    "month": "Month to date",
    "last-month": "Last month",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
}
EN_DASH = "\N{EN DASH}"
ONE_DAY = timedelta(days=1)


class PeriodInvalid(ValueError):
    """An address whose period cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open days of a calendar: `first` is in it, `after` is not. name: of PERIOD_NAMES, or '' for from and to."""

    first: date
    after: date
    name: str = ""

    @property
    def last(self) -> date:
        return self.after - ONE_DAY

    @property
    def days(self) -> int:
        return (self.after - self.first).days

    def list_days(self) -> list[date]:
        return [self.first + i * ONE_DAY for i in range(self.days)]

    def get_bounds(self, timezone: str) -> tuple[datetime, datetime]:
        """The instants, in UTC, at which it begins and ends where the days are those of `timezone`."""
        zone = ZoneInfo(timezone)
        return start_of_day(self.first, zone), start_of_day(self.after, zone)

    def get_query(self) -> dict[str, str]:
        """The parameters of an address that mean this period."""
        return {"period": self.name} if self.name else self.get_dates()

    def get_dates(self) -> dict[str, str]:
        """The same by its dates, for a link that must go on meaning these days tomorrow."""
        return {"from": self.first.isoformat(), "to": self.last.isoformat()}

    def write(self) -> str:
        """1–19 November 2026; 28 Oct – 3 Nov 2026; 19 November 2026."""
        is_in_one_month = (self.first.year, self.first.month) == (self.last.year, self.last.month)
        return self._write("%B" if is_in_one_month else "%b", year=True)

    def write_short(self) -> str:
        """1–19 Nov, with the year only where it turns."""
        return self._write("%b", year=self.first.year != self.last.year)

    def _write(self, month: str, *, year: bool) -> str:
        first, last = self.first, self.last
        end = f"{last.day} {last:{month}}" + (f" {last.year}" if year else "")
        if first == last:
            return end
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day}{EN_DASH}{end}"
        begin = f"{first.day} {first:{month}}" + (f" {first.year}" if first.year != last.year else "")
        return f"{begin} {EN_DASH} {end}"


def read_period(query: Mapping[str, str], *, today: date, default: str = "month") -> Period:
    """The period of an address: `period`, or `from` and `to`, both included. Raises PeriodInvalid."""
    if query.get("from") or query.get("to"):
        return _read_dates(query.get("from", ""), query.get("to", ""), today=today)
    name = query.get("period") or default
    if name == "month":
        return Period(today.replace(day=1), today + ONE_DAY, name)
    if name == "last-month":
        after = today.replace(day=1)
        return Period((after - ONE_DAY).replace(day=1), after, name)
    if name in LAST_DAYS:
        return Period(today - timedelta(days=LAST_DAYS[name] - 1), today + ONE_DAY, name)
    raise PeriodInvalid(f"No period is called “{name}”.")


def _read_dates(first: str, last: str, *, today: date) -> Period:
    try:
        end = date.fromisoformat(last) if last else today
        begin = date.fromisoformat(first) if first else end.replace(day=1)
    except ValueError as error:
        raise PeriodInvalid("A date is written like 2026-11-19.") from error
    if begin > end:
        raise PeriodInvalid("The first day stands after the last.")
    if (end - begin).days >= PERIOD_DAYS_MAX:
        raise PeriodInvalid(f"A page shows at most {PERIOD_DAYS_MAX} days.")
    if not date(2000, 1, 1) <= begin <= end < date(2200, 1, 1):
        raise PeriodInvalid("No usage can stand in those days.")
    return Period(begin, end + ONE_DAY)


def find_previous_period(period: Period) -> Period:
    """What a period is compared with, by the rule of the API: the same days of the month before for a month up to
    some day, a whole month with the whole one before, else as many days just before.
    """
    zone = ZoneInfo("UTC")  # the rule is about days of a calendar, whatever their zone
    begin, end = previous_period(start_of_day(period.first, zone), start_of_day(period.after, zone), zone)
    return Period(begin.date(), end.date())

"""The days that a report is about, and when it goes out, by the tenant's calendar."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from billing.core.periods import previous_period, start_of_day

Cadence = Literal["weekly", "monthly"]
CADENCES: tuple[Cadence, ...] = ("weekly", "monthly")
DAY = timedelta(days=1)
SENT_AT = time(6)
EN_DASH = "\N{EN DASH}"
# After so long a report goes out with what there is, and says what it waited for.
WAITS_MAX: dict[Cadence, timedelta] = {"weekly": timedelta(hours=12), "monthly": timedelta(days=3)}


@dataclass(frozen=True, slots=True)
class ReportPeriod:
    """Whole days of a tenant's calendar, half-open: a week from Monday, or a month."""

    cadence: Cadence
    first: date
    after: date

    @property
    def last(self) -> date:
        return self.after - DAY

    def get_bounds(self, timezone: str) -> tuple[datetime, datetime]:
        """The instants, in UTC, at which it begins and ends."""
        zone = ZoneInfo(timezone)
        return start_of_day(self.first, zone), start_of_day(self.after, zone)

    def find_due(self, timezone: str) -> datetime:
        """When its report goes out: on the Monday after a week, on the second day after a month, at SENT_AT."""
        day = self.after if self.cadence == "weekly" else self.after + DAY
        return datetime.combine(day, SENT_AT, ZoneInfo(timezone)).astimezone(UTC)

    def find_previous(self) -> "ReportPeriod":
        """What it is compared with: what the pages compare the same days with."""
        zone = ZoneInfo("UTC")  # the rule is about days of a calendar, whatever their zone
        begin, end = previous_period(start_of_day(self.first, zone), start_of_day(self.after, zone), zone)
        return ReportPeriod(self.cadence, begin.date(), end.date())

    def find_next(self) -> "ReportPeriod":
        """The week, or the month, after it."""
        days = 7 if self.cadence == "weekly" else 31
        after = self.after + days * DAY
        return ReportPeriod(self.cadence, self.after, after if self.cadence == "weekly" else after.replace(day=1))

    def write(self) -> str:
        """16–22 November 2026; 28 September – 4 October 2026."""
        first, last = self.first, self.last
        end = f"{last.day} {last:%B %Y}"
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day}{EN_DASH}{end}"
        return f"{first.day} {first:%B}{f' {first.year}' if first.year != last.year else ''} {EN_DASH} {end}"

    def write_name(self) -> str:
        """What a report is called by: “October 2026”, or the days of its week."""
        return f"{self.first:%B %Y}" if self.cadence == "monthly" else self.write()


def find_period(cadence: Cadence, *, now: datetime, timezone: str) -> ReportPeriod:
    """The latest whole week, or month, whose report was due by `now`."""
    today = now.astimezone(ZoneInfo(timezone)).date()
    after = today - timedelta(days=today.weekday()) if cadence == "weekly" else today.replace(day=1)
    period = make_period(cadence, after=after)
    return period if period.find_due(timezone) <= now else make_period(cadence, after=period.first)


def make_period(cadence: Cadence, *, after: date) -> ReportPeriod:
    """The week, or the month, that ends before a Monday, or before the first of a month."""
    first = after - 7 * DAY if cadence == "weekly" else (after - DAY).replace(day=1)
    return ReportPeriod(cadence, first, after)

"""What a month will have cost at its end: its complete days, and a forecast of the others. Pure; money in pico-USD."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import NamedTuple

from alerts.core.forecasts import (
    Forecast,
    History,
    KnownEvent,
    NoForecast,
    PastForecast,
    TrackRecord,
    find_day_used_up,
    forecast_cost,
    measure_track_record,
)
from alerts.core.forecasts.track_records import OWN_ERRORS_MIN

RUN_RATE = "run_rate"  # a method: the straight line, where nothing did better


class Scope(NamedTuple):
    """Of what: `environment`, `cost_center`, `feature` with its name, `budget` with its number; '' for all of it."""

    kind: str = ""
    value: str = ""


WHOLE = Scope()


def find_scope(filters: Mapping[str, str]) -> Scope | None:
    """What runs are kept of that has these values; None of what has two of them at once."""
    if len(filters) > 1:
        return None
    return Scope(*next(iter(filters.items()))) if filters else WHOLE


@dataclass(frozen=True, slots=True)
class Event:
    """Something known of a day beforehand; cost_center, feature: whose it is, '' for nobody's alone."""

    day: date
    amount: int
    cost_center: str = ""
    feature: str = ""

    def counts_for(self, filters: Mapping[str, str]) -> bool:
        """Whether it is part of what has these values: of the whole and of an environment each event is.

        What only says that a day was unusual, and for nobody alone, says so of every part.
        """
        if not (self.amount or self.cost_center or self.feature):
            return True
        own = {"cost_center": self.cost_center, "feature": self.feature}
        return all(own.get(name, "") == value != "" for name, value in filters.items() if name != "environment")


@dataclass(frozen=True, slots=True)
class Window:
    """A calendar month, or what a budget is for, while `today` goes on. after: the day after its last."""

    first: date
    today: date
    after: date

    @property
    def days_elapsed(self) -> int:
        return (self.today - self.first).days

    @property
    def days_ahead(self) -> int:
        """Today and what follows."""
        return (self.after - self.today).days


def find_month(today: date) -> Window:
    first = today.replace(day=1)
    return Window(first, today, (first + timedelta(days=31)).replace(day=1))


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a month comes to. forecast: of the days from today on, as the method said.

    spent: what the month's days before today cost; today: what is booked of this day so far; extras: of each day ahead
    what is known of it beforehand, part of the forecast. record: of earlier forecasts. is_line: whether the straight
    line is shown in the method's place, because it was no worse in as many forecasts as it takes to tell.
    """

    month: Window
    spent: int
    today: int
    forecast: Forecast
    extras: tuple[int, ...]
    record: TrackRecord
    is_line: bool
    floor: int

    @property
    def method(self) -> str:
        return RUN_RATE if self.is_line else self.forecast.method

    @property
    def expected(self) -> int:
        return self._complete(sum(self.daily))

    @property
    def low(self) -> int:
        return self._complete(self._stretch(self.forecast.low))

    @property
    def high(self) -> int:
        return self._complete(self._stretch(self.forecast.high))

    @property
    def ceiling(self) -> int:
        """The stress ceiling."""
        return self._complete(self.forecast.ceiling)

    @property
    def run_rate(self) -> int:
        return self._complete(self.forecast.run_rate)

    @property
    def daily(self) -> tuple[int, ...]:
        """What each day from today on is expected to cost, events included."""
        if not self.is_line:
            return self.forecast.daily
        usual = _share_out(self.forecast.run_rate - self._known, len(self.extras))
        return tuple(cost + extra for cost, extra in zip(usual, self.extras, strict=True))

    def list_band(self) -> list[tuple[int, int]]:
        """Each day ahead as it would be if the month came to the range's lower end, and to its upper end."""
        usual = sum(self.daily) - self._known
        ends = [self._stretch(end) - self._known for end in (self.forecast.low, self.forecast.high)]
        return [
            (_scale(cost - extra, ends[0], usual) + extra, _scale(cost - extra, ends[1], usual) + extra)
            for cost, extra in zip(self.daily, self.extras, strict=True)
        ]

    def find_day_used_up(self, amount: int) -> date | None:
        """The first day by whose end the month has cost as much; None where it is not this month."""
        return find_day_used_up(replace(self.forecast, daily=self.daily), remaining=amount - self.spent)

    @property
    def _known(self) -> int:
        return sum(self.extras)

    def _stretch(self, end: int) -> int:
        """An end of the range, put around the straight line as far as around the forecast where that is shown."""
        if not self.is_line:
            return end
        usual, line = self.forecast.expected - self._known, self.forecast.run_rate - self._known
        return _scale(end - self._known, line, usual) + self._known

    def _complete(self, rest: int) -> int:
        return max(self.spent + rest, self.floor)


def look_ahead(
    history: History, *, month: Window, today_cost: int, events: Sequence[Event], past: Sequence[PastForecast]
) -> Outlook | NoForecast:
    """The outlook of the month, from a history that ends as today begins.

    events: those that are part of it. past: own forecasts of the same, of months that are over, oldest first. No total
    is below what is booked already, but for credits that are known to come. Where no day has cost anything, nothing is
    forecast: that is as often not priced, or not sent, as it is free.
    """
    if not any(cost > 0 for cost in history.costs):
        return NoForecast(complete_days=0)
    known = [KnownEvent(event.day, event.amount) for event in events]
    forecast = forecast_cost(history, period_start=month.first, period_end=month.after, events=known, past=past)
    if isinstance(forecast, NoForecast):
        return forecast
    record = measure_track_record(past)
    extras = [0] * month.days_ahead
    for event in events:
        if month.today <= event.day < month.after:
            extras[(event.day - month.today).days] += event.amount
    spent = sum(history.costs[max(len(history.costs) - month.days_elapsed, 0) :])
    return Outlook(
        month=month,
        spent=spent,
        today=today_cost,
        forecast=forecast,
        extras=tuple(extras),
        record=record,
        is_line=record.forecasts >= OWN_ERRORS_MIN and not record.is_worth_showing,
        floor=spent + today_cost + sum(amount for amount in extras if amount < 0),
    )


def _share_out(total: int, days: int) -> list[int]:
    """A sum in equal days, the odd ones first."""
    each, odd = divmod(total, days)
    return [each + (place < odd) for place in range(days)]


def _scale(cost: int, part: int, whole: int) -> int:
    return cost * part // whole if whole > 0 else cost

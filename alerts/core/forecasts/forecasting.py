"""A forecast of the rest of a period, from its complete days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import accumulate

from alerts.core.forecasts.histories import History, KnownEvent, Marks, Numbers
from alerts.core.forecasts.levels import WEEK, Outlook, expect_mean, expect_seldom, expect_weekdays, is_seldom
from alerts.core.forecasts.ranges import find_range
from alerts.core.forecasts.track_records import PastForecast

DAYS_MIN = 3
WEEKDAYS_DAYS_MIN = 14
STRESS_PERCENTILE = 95
# How a forecast was made.
MEAN_OF_SEVEN, MEAN_OF_FOUR_WEEKS, WEEKDAY_LEVEL = "mean_of_seven", "mean_of_four_weeks", "weekday_level"


@dataclass(frozen=True, slots=True)
class Forecast:
    """What each day from `first_day` on is expected to cost, in pico-USD: an estimate, told as whole numbers.

    expected: the sum of `daily`. low, high: of ten such sums eight should end within them. ceiling: the stress ceiling,
    as if every day cost the 95th percentile of the last week. run_rate: the straight line, as if every day cost the
    mean of the period's complete days so far (of the last week, where it has none). Known events are in all of them.
    growth: the last seven days beside the seven before, 0.15 for 15 % more, by the weekdays that are complete in both;
    None where there was nothing to grow from. volatility: to be kept for the track record.
    """

    method: str
    first_day: date
    daily: tuple[int, ...]
    low: int
    high: int
    ceiling: int
    run_rate: int
    growth: float | None
    volatility: float

    @property
    def expected(self) -> int:
        return sum(self.daily)

    @property
    def days_ahead(self) -> int:
        return len(self.daily)


@dataclass(frozen=True, slots=True)
class NoForecast:
    """Why nothing is forecast."""

    complete_days: int

    @property
    def reason(self) -> str:
        had = {0: "none", 1: "one"}.get(self.complete_days, str(self.complete_days))
        return (
            f"A forecast needs {DAYS_MIN} complete days; there {'is' if self.complete_days == 1 else 'are'} {had} yet."
        )


def forecast_cost(
    history: History,
    *,
    period_start: date,
    period_end: date,
    events: Sequence[KnownEvent] = (),
    past: Sequence[PastForecast] = (),
) -> Forecast | NoForecast:
    """The days from the history's end up to the period's, which is the day after its last one.

    Days with a known event in the past say nothing of a usual day, and are left out as well. past: own forecasts of
    periods that were over when this one is made, oldest first.
    Raises ValueError where the period ends before the history does.
    """
    days = (period_end - history.end).days
    if days < 0:
        raise ValueError(f"the period ends on {period_end}, before the history does, {history.end}")
    values, kept = history.read_last(without={event.day for event in events})
    complete_days = kept.sum().item()
    if complete_days < DAYS_MIN:
        return NoForecast(complete_days)
    method, outlook = _expect_days(values, kept, days=days)
    known = _place_events(events, first_day=history.end, days=days)
    daily = [round(value) for value in outlook.daily.tolist()]
    low, high = find_range(days=days, volatility=outlook.volatility, past=past)
    last_week = values[kept][-WEEK:]
    return Forecast(
        method=method,
        first_day=history.end,
        daily=tuple(usual + extra for usual, extra in zip(daily, known, strict=True)),
        low=round(sum(daily) * low) + sum(known),
        high=round(sum(daily) * high) + sum(known),
        ceiling=round(_find_stress(last_week.tolist()) * days) + sum(known),
        run_rate=round(_find_pace(history, period_start, last_week.mean().item()) * days) + sum(known),
        growth=_measure_growth(values, kept),
        volatility=outlook.volatility,
    )


def find_day_used_up(forecast: Forecast, *, remaining: int) -> date | None:
    """The first day by whose end as much is spent as remains of a budget, in pico-USD; None if that is not within the
    days forecast. Where nothing remains it is the first of them."""
    for place, spent in enumerate(accumulate(forecast.daily)):
        if spent >= remaining or remaining <= 0:
            return forecast.first_day + timedelta(days=place)
    return None


def _expect_days(values: Numbers, kept: Marks, *, days: int) -> tuple[str, Outlook]:
    if kept.sum() < WEEKDAYS_DAYS_MIN:
        return MEAN_OF_SEVEN, expect_mean(values, kept, days=days)
    if is_seldom(values, kept):
        return MEAN_OF_FOUR_WEEKS, expect_seldom(values, kept, days=days)
    return WEEKDAY_LEVEL, expect_weekdays(values, kept, days=days)


def _place_events(events: Sequence[KnownEvent], *, first_day: date, days: int) -> list[int]:
    """What is known of each day ahead; what lies before or after them is not added."""
    known = [0] * days
    for event in events:
        place = (event.day - first_day).days
        if 0 <= place < days:
            known[place] += event.amount
    return known


def _find_stress(costs: list[float]) -> float:
    """The 95th percentile, between the two highest of a week: of seven it lies 7 tenths of the way up."""
    *_, second, first = sorted(costs)
    place = (len(costs) - 1) * STRESS_PERCENTILE / 100
    return second + (first - second) * (place - (len(costs) - 2))


def _find_pace(history: History, period_start: date, otherwise: float) -> float:
    """The mean of the period's complete days so far."""
    cost, days = history.sum_from(period_start)
    return max(cost, 0) / days if days else otherwise


def _measure_growth(values: Numbers, kept: Marks) -> float | None:
    if len(values) < 2 * WEEK:
        return None
    both = kept[-WEEK:] & kept[-2 * WEEK : -WEEK]
    before = values[-2 * WEEK : -WEEK][both].sum().item()
    if before <= 0:
        return None
    growth: float = values[-WEEK:][both].sum().item() / before - 1
    return growth

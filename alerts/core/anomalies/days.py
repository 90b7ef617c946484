"""What is out of the ordinary about a day or a row of weeks. Days are those of the tenant's zone, whole ones. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from alerts.core.anomalies.anomaly import ORDINARY, Anomaly, Verdict, lack
from alerts.core.anomalies.thresholds import DEFAULTS, DailySpike, SustainedGrowth

Floats = NDArray[np.float64]

WEEK = 7
WEEKS_OF_INDEX_MAX = 8
DAYS_MAX = WEEK * WEEKS_OF_INDEX_MAX
DAYS_OF_AVERAGE = 28
# A day without cost has no logarithm; it counts as this part of an average one.
LEAST_DAY = 0.05
ROUNDING = 1 + 1e-9  # what just reaches the bound is not above it, in whatever unit of money
HORIZON_DAYS = 366


def find_budget_overrun(*, cost: int, budget: int, when: datetime) -> Verdict:
    """A day that costs more than its budget. It may still be going on. In pico-USD."""
    if cost <= budget:
        return ORDINARY
    over = cost - budget
    return Verdict(Anomaly("daily_budget", "alert", when, "cost", cost, budget, 0, budget, over))


@dataclass(frozen=True, slots=True)
class DayRange:
    """What a day was expected to cost and between which bounds, in pico-USD, from so many known days."""

    expected: float
    lower: float
    upper: float
    known_days: int


def find_daily_spike(
    costs: Sequence[int | None], *, when: datetime, thresholds: DailySpike = DEFAULTS.daily_spike
) -> Verdict:
    """Whether the last of some consecutive days rose out of proportion to the days before, as `measure_day` has it."""
    ranges = measure_day(costs, thresholds=thresholds)
    last = costs[-1]
    if isinstance(ranges, Verdict):
        return ranges
    if last is None or last <= ranges.upper * ROUNDING:
        return ORDINARY
    return Verdict(
        Anomaly(
            kind="daily_spike",
            level="alert",
            when=when,
            unit="cost",
            actual=last,
            expected=round(ranges.expected),
            lower=round(ranges.lower),
            upper=round(ranges.upper),
            impact=last - round(ranges.expected),
            facts={"days": ranges.known_days},
        )
    )


def measure_day(costs: Sequence[int | None], *, thresholds: DailySpike = DEFAULTS.daily_spike) -> DayRange | Verdict:
    """The range of the last of some consecutive days, or why there is none.

    costs: in pico-USD, the oldest first; up to 56 days before the last are used. Each is divided by what its weekday
    usually is of a week, and compared with the day before; with the median of the week, where that is higher, for the
    way back from a dip is no rise; with the least that this weekday had in four weeks, for the night of a weekly batch
    is none either. The spread is the MAD of one-day changes, as logarithms. None: a day that is not known whole; it
    counts as its weekday's median.
    """
    *before, last = costs[-DAYS_MAX - 1 :]
    known = sum(cost is not None for cost in before)
    needed = max(thresholds.days_min, WEEK)
    if known < needed:
        return lack("days", needed=needed, given=known)
    if last is None:
        return Verdict(unjudged="needs the whole day")
    days = _fill_gaps(before)
    mean = days.mean()
    if mean <= 0:
        return Verdict(unjudged="needs a day that cost something")
    index = _index_weekdays(days)
    levels = np.log(np.maximum(days, LEAST_DAY * mean) / index[np.arange(-len(days), 0) % WEEK])
    changes = np.diff(levels)
    mad = 1.4826 * np.median(np.abs(changes - np.median(changes))).item()
    factor = exp(thresholds.mads * max(mad, thresholds.mad_min))
    same_days = days[-WEEK : -DAYS_OF_AVERAGE - 1 : -WEEK]
    adjusted = exp(max(levels[-1], np.median(levels[-WEEK:]).item())) * index[0]
    expected = max(adjusted, np.min(same_days).item())
    average = days[-DAYS_OF_AVERAGE:].mean().item()
    upper = max(expected * factor, expected + thresholds.impact_min * average)
    return DayRange(expected, expected / factor, upper, known)


def _fill_gaps(costs: Sequence[int | None]) -> Floats:
    """Each unknown day as the median of its weekday's known ones; of all known ones, where its weekday has none."""
    days = np.array([np.nan if cost is None else cost for cost in costs], dtype=np.float64)
    for place in np.flatnonzero(np.isnan(days)).tolist():
        same = np.array([cost for cost in costs[place % WEEK :: WEEK] if cost is not None], dtype=np.float64)
        days[place] = np.median(same) if len(same) else np.nanmedian(days)
    return days


def _index_weekdays(days: Floats) -> Floats:
    """What a weekday usually is of its week, beginning with the weekday of the day after the last; mean 1.

    The median over whole weeks, drawn towards 1 as if two weeks more had had none: few weeks say little.
    """
    weeks = len(days) // WEEK
    table = days[-weeks * WEEK :].reshape(weeks, WEEK)
    means = table.mean(axis=1, keepdims=True)
    shares = np.where(means > 0, table / np.where(means > 0, means, 1), 1)
    index = np.maximum((weeks * np.median(shares, axis=0) + 2) / (weeks + 2), LEAST_DAY)
    return np.asarray(index / index.mean())


def find_daily_rise(
    *, last_day: int, week_before: int, when: datetime, thresholds: DailySpike = DEFAULTS.daily_spike
) -> Verdict:
    """At watch level: the last 24 hours beside the mean day of the seven days before them, all in pico-USD.

    It sees steps that a daily spike lets pass, in half again as many episodes.
    """
    if week_before <= 0:
        return Verdict(unjudged="needs a week that cost something")
    expected = Fraction(week_before, WEEK)
    upper = Fraction(thresholds.rise_max) * expected
    if last_day <= upper:
        return ORDINARY
    usual = round(expected)
    anomaly = Anomaly(
        "daily_spike", "watch", when, "cost", last_day, usual, 0, round(upper), last_day - usual, {"days": WEEK}
    )
    return Verdict(anomaly)


def find_sustained_growth(
    weeks: Sequence[int],
    *,
    when: datetime,
    budget: int | None = None,
    spent: int = 0,
    today: date | None = None,
    thresholds: SustainedGrowth = DEFAULTS.sustained_growth,
) -> Verdict:
    """Growth from each of the last weeks to the next.

    weeks: costs of whole weeks in pico-USD, the oldest first, the last ended at `when`. The fact `budget_ends` is the
    day on which a budget of which so much is spent before `today` is used up if it goes on like this; None without a
    budget, or where it lasts a year. The fact `growth` is that of a week, as a share.
    """
    steps = max(thresholds.weeks, 1)
    needed = steps + 1
    if len(weeks) < needed:
        return lack("weeks", needed=needed, given=len(weeks))
    last = weeks[-needed:]
    if min(last) <= 0:
        return Verdict(unjudged=f"needs {needed} weeks that cost something")
    least = 1 + Fraction(thresholds.growth_max)
    if any(after <= before * least for before, after in zip(last, last[1:], strict=False)):
        return ORDINARY
    growth = exp(log(last[-1] / last[0]) / steps)
    ends = None
    if budget is not None and today is not None:
        ends = _find_end(budget - spent, today=today, pace=last[-1] / WEEK, growth=growth)
    return Verdict(
        Anomaly(
            kind="sustained_growth",
            level="alert",
            when=when,
            unit="cost",
            actual=last[-1],
            expected=last[-2],
            lower=0,
            upper=round(least * last[-2]),
            impact=last[-1] - last[0],
            facts={"weeks": steps, "growth": growth - 1, "budget_ends": ends},
        )
    )


def _find_end(left: int, *, today: date, pace: float, growth: float) -> date | None:
    """The day on which the rest is used up by days that each cost growth^(1/7) times the one before."""
    daily = growth ** (1 / WEEK)
    for ahead in range(HORIZON_DAYS):
        pace *= daily
        left -= round(pace)
        if left <= 0:
            return today + timedelta(days=ahead)
    return None

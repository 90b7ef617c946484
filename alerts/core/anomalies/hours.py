"""Hourly spikes, of many series at once. Pure.

Hours are hours of UTC, so a day that has 23 or 25 of them in the tenant's zone needs no care: the same hour of the day
before is 24 hours ago, and the hour on either side of it, which counts too, is the one that the clock was set by.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.core.anomalies.anomaly import ORDINARY, Anomaly, Verdict, lack
from alerts.core.anomalies.thresholds import DEFAULTS, HourlySpike

Floats = NDArray[np.float64]

DAYS = 14
HOURS = DAYS * 24
# The judged hour is hour 336; the one just before it is none of the days before.
SAME_HOURS = np.array([hour for hour in range(HOURS - 1) if hour % 24 in (23, 0, 1)])
ROWS_AT_ONCE = 2_048  # what the processor's cache can hold, and no more memory than that
ROUNDING = 1 + 1e-9  # what just reaches the bound is not above it, in whatever unit of money
SPENT_NOTHING = (
    "needs an hour that cost something, and in 14 days there was none; what is first seen is a kind of its own"
)


@dataclass(frozen=True, slots=True)
class HourRanges:
    """By series: what its last hour was expected to cost, between which bounds, and from how many known hours."""

    expected: Floats
    lower: Floats
    upper: Floats
    known_hours: NDArray[np.int64]
    is_judged: NDArray[np.bool_]
    is_spike: NDArray[np.bool_]


def find_hourly_spikes(
    costs: NDArray[np.int64],
    *,
    when: datetime,
    known: NDArray[np.bool_] | None = None,
    thresholds: HourlySpike = DEFAULTS.hourly_spike,
) -> list[Verdict]:
    """A verdict for the last hour of each series.

    costs: (series, 337) in pico-USD, each below 9 million USD, consecutive hours, the oldest first; the last begins at
    `when`. It may still be going on: what it has cost so far is a spike already, or not yet. known: False where an
    hour's cost is not known, as before a tenant's first event or where its intake was incomplete; None: all are.
    """
    ranges = measure_hours(costs, known=known, thresholds=thresholds)
    verdicts = [ORDINARY] * len(costs)
    for row in np.flatnonzero(~ranges.is_judged | ranges.is_spike):
        if ranges.is_spike[row]:
            verdicts[row] = Verdict(_describe_hour(ranges, row, actual=int(costs[row, -1]), when=when))
        elif ranges.known_hours[row] < (needed := _need_hours(thresholds)):
            verdicts[row] = lack("hours", needed=needed, given=int(ranges.known_hours[row]))
        elif known is not None and not known[row, -1]:
            verdicts[row] = Verdict(unjudged="needs the hour's cost")
        else:
            verdicts[row] = Verdict(unjudged=SPENT_NOTHING)
    return verdicts


def find_past_spikes(
    costs: NDArray[np.int64],
    *,
    start: datetime,
    known: NDArray[np.bool_] | None = None,
    thresholds: HourlySpike = DEFAULTS.hourly_spike,
) -> list[Anomaly]:
    """What would have been told of one series, hour by hour from `start` on, each judged by the hours before it."""
    known = np.ones(costs.shape, dtype=bool) if known is None else known
    rows, known_rows = roll_hours(costs, known)
    ranges = measure_hours(rows, known=known_rows, thresholds=thresholds)
    return [
        _describe_hour(ranges, row, actual=int(costs[row]), when=start + timedelta(hours=row))
        for row in np.flatnonzero(ranges.is_spike).tolist()
    ]


def roll_hours(costs: NDArray[np.int64], known: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Of one series a row for each hour, which ends with it; what would lie before the first hour is not known."""
    view = np.lib.stride_tricks.sliding_window_view
    before = np.zeros(HOURS, dtype=np.int64)
    return view(np.concatenate([before, costs]), HOURS + 1), view(np.concatenate([before > 0, known]), HOURS + 1)


def _need_hours(thresholds: HourlySpike) -> int:
    return max(thresholds.hours_min, 24)


def _describe_hour(ranges: HourRanges, row: Any, *, actual: int, when: datetime) -> Anomaly:
    expected, lower, upper = (round(part[row].item()) for part in (ranges.expected, ranges.lower, ranges.upper))
    return Anomaly(
        kind="hourly_spike",
        level="alert",
        when=when,
        unit="cost",
        actual=actual,
        expected=expected,
        lower=lower,
        upper=upper,
        impact=actual - expected,
        facts={"days": int(ranges.known_hours[row]) // 24},
    )


def measure_hours(
    costs: NDArray[np.int64],
    *,
    known: NDArray[np.bool_] | None = None,
    thresholds: HourlySpike = DEFAULTS.hourly_spike,
) -> HourRanges:
    """The ranges alone, as `find_hourly_spikes` takes its series."""
    if costs.ndim != 2 or costs.shape[1] != HOURS + 1:
        raise ValueError(f"takes series of {HOURS + 1} hours, not {costs.shape}")
    known = np.ones(costs.shape, dtype=bool) if known is None else known
    expected, lower, upper = (np.zeros(len(costs)) for _ in range(3))
    known_hours = np.asarray(known[:, :-1].sum(axis=1), dtype=np.int64)
    is_judged = np.asarray((known_hours >= _need_hours(thresholds)) & known[:, -1])
    is_whole = known_hours == HOURS
    for rows in (np.flatnonzero(is_judged & is_whole), np.flatnonzero(is_judged & ~is_whole)):
        for first in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[first : first + ROWS_AT_ONCE]
            measured = _measure(costs[part, :-1].astype(np.float64), known[part, :-1], thresholds)
            expected[part], lower[part], upper[part], is_judged[part] = measured
    is_spike = is_judged & (costs[:, -1] > upper * ROUNDING)
    return HourRanges(expected, lower, upper, known_hours, is_judged, is_spike)


def _measure(
    hours: Floats, known: NDArray[np.bool_], thresholds: HourlySpike
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """expected, lower, upper, and whether anything was spent; hours: (series, 336)."""
    is_whole = bool(known.all())
    take_median, take_mean = (np.median, np.mean) if is_whole else (np.nanmedian, np.nanmean)
    if not is_whole:
        hours = np.where(known, hours, np.nan)
    mean = take_mean(hours, axis=1)
    deviation = (np.std if is_whole else np.nanstd)(hours, axis=1)
    same_hours = _fill(hours[:, SAME_HOURS], mean) if not is_whole else hours[:, SAME_HOURS]
    expected = take_median(same_hours, axis=1)
    mad = 1.4826 * take_median(np.abs(same_hours - expected[:, None]), axis=1)
    spread = thresholds.mads / thresholds.sensitivity * np.maximum(mad, thresholds.mad_min * mean)
    bounds = [
        mean + thresholds.deviations / thresholds.sensitivity * deviation,
        expected + spread,
        expected + thresholds.impact_min * mean,
    ]
    if thresholds.familiar_days:
        familiar = _find_familiar_height(hours, thresholds.familiar_days)
        bounds.append((1 + thresholds.margin / thresholds.sensitivity) * familiar)
    return expected, np.maximum(expected - spread, 0), np.max(bounds, axis=0), mean > 0


def _fill(same_hours: Floats, mean: Floats) -> Floats:
    """With the mean of all hours, where none of the same hours is known."""
    is_unknown = np.isnan(same_hours).all(axis=1, keepdims=True)
    return np.where(is_unknown, mean[:, None], same_hours)


def _find_familiar_height(hours: Floats, familiar_days: int) -> Floats:
    """The height that the highest hour of so many days reached; 0 where fewer days are known."""
    highest = np.fmax.reduce(hours.reshape(len(hours), DAYS, 24), axis=2)
    highest = np.sort(np.where(np.isnan(highest), 0, highest), axis=1)
    return np.asarray(highest[:, -min(familiar_days, DAYS)])

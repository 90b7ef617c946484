"""From days to what the next days are expected to cost: a weekday's share, days clipped to their surroundings, a level.

Measured against what else was tried in docs/benchmarks.md. Arrays end with the last complete day, so the place of a
weekday is counted from the end: 6 is the last day's, 0 the next day's.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from alerts.core.forecasts.histories import Marks, Numbers

WEEK = 7
WEEKS_MAX = 8
VARIANCE_OF_MEDIAN = 1.57  # pi / 2: of normal values, in variances of their mean
NOISE_WEIGHT = 2
SHARE_MIN = 0.05  # of a mean day: a weekday that costs less says nothing of the level
MEDIAN_REACH = 7  # days on either side
CLIP_DEVIATIONS = 3
DEVIATION_MIN = 0.10
NORMAL = 1.4826  # a normal deviation, in median absolute deviations
SMOOTHING = 0.3
PULL_DAYS = 28
KEPT_EACH_DAY = 0.98  # of the level's distance from the median of PULL_DAYS, for each day ahead
DRIFT_WEEKS = 6
DRIFT_KEPT = 0.5
DRIFT_MAX = 0.3  # a week's change in logarithms
DRIFT_DAYS = 28  # ahead; what comes later stays as high
WEEKS_COMPARED = 4
DAY_CHANGE_MIN, WEEK_CHANGE_MIN, CHANGE_MAX = 0.05, 0.02, 1.0
LEAST_SHARE = 0.05  # of the mean: what a day at zero counts as where a logarithm is taken
ZEROS_MAX = 0.25


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the next days cost, and how much days and weeks differ from those before them, in logarithms."""

    daily: Numbers
    volatility: float


def expect_mean(values: Numbers, kept: Marks, *, days: int) -> Outlook:
    """Each day the mean of the last 7 that are kept, each clipped to half and twice their median."""
    last = values[kept][-WEEK:]
    middle = _median(last)
    level = np.clip(last, middle / 2, middle * 2).mean() if middle > 0 else last.mean()
    return Outlook(np.full(days, level), _measure_volatility(last, np.ones_like(last)))


def expect_weekdays(values: Numbers, kept: Marks, *, days: int) -> Outlook:
    """Exponential smoothing of winsorised days, by weekday: drawn to the median of four weeks, or, where every week for
    long has cost more than the one before or every week less, moving on half as fast. At least 14 days."""
    filled = _fill_gaps(values, kept)
    clipped, weekdays = _winsorise(filled)
    shares = _repeat(weekdays, len(filled))
    level = _smooth(clipped, shares, kept)
    if drift := _find_drift(clipped):
        levels = level * np.exp(drift * np.minimum(np.arange(1, days + 1), DRIFT_DAYS))
    else:
        recent = _adjust(clipped, shares)[-PULL_DAYS:][kept[-PULL_DAYS:]]
        middle = _median(recent) if len(recent) else level
        levels = middle + (level - middle) * _weigh_ahead(days)
    return Outlook(levels * weekdays[_count_weekdays(0, days)], _measure_volatility(filled, shares))


def expect_seldom(values: Numbers, kept: Marks, *, days: int) -> Outlook:
    """The mean of four weeks, by weekday: for days that mostly cost nothing, of which a median knows nothing."""
    filled = _fill_gaps(values, kept)
    weekdays = _share_weekdays(filled)
    level = values[kept][-PULL_DAYS:].mean()
    return Outlook(
        level * weekdays[_count_weekdays(0, days)], _measure_volatility(filled, _repeat(weekdays, len(filled)))
    )


def is_seldom(values: Numbers, kept: Marks) -> bool:
    """Whether most days cost nothing."""
    return _median(values[kept]) == 0


def _fill_gaps(values: Numbers, kept: Marks) -> Numbers:
    """A day that is not kept costs the mean of the nearest kept ones of its weekday before and after it."""
    if kept.all():
        return values
    filled = values.copy()
    fallback = _median(values[kept])
    for gap in np.flatnonzero(~kept).tolist():
        before, after = slice(gap % WEEK, gap, WEEK), slice(gap + WEEK, None, WEEK)
        near = [*values[before][kept[before]][-1:], *values[after][kept[after]][:1]]
        filled[gap] = sum(near) / len(near) if near else fallback
    return filled


def _winsorise(values: Numbers) -> tuple[Numbers, Numbers]:
    """The days, clipped to some deviations from the centred median of their neighbours, and the weekdays' shares."""
    shares = _repeat(_share_weekdays(values), len(values))
    adjusted = _adjust(values, shares)
    middle = _centre_median(adjusted)
    seen = (adjusted > 0) & (middle > 0)
    deviation = max(_measure_deviation(np.log(adjusted[seen] / middle[seen])), DEVIATION_MIN)
    reach = np.exp(CLIP_DEVIATIONS * deviation)
    clipped = np.clip(values, middle / reach * shares, middle * reach * shares)
    return clipped, _share_weekdays(clipped)


def _share_weekdays(values: Numbers) -> Numbers:
    """What each weekday costs in mean days, over whole weeks up to the last day: the median of its share of each week.

    Drawn to equal days as far as the medians differ by no more than their noise would have it (James and Stein's
    shrinkage): not at all where all weeks are alike.
    """
    weeks = min(len(values) // WEEK, WEEKS_MAX)
    days = values[len(values) - weeks * WEEK :].reshape(weeks, WEEK)
    sums = days.sum(axis=1, keepdims=True)
    ratios = np.divide(days * WEEK, sums, out=np.ones_like(days), where=sums > 0).T
    middles = _sort_middle(ratios)
    deviations = NORMAL * _sort_middle(np.abs(ratios - middles[:, None]))
    noise = (deviations @ deviations).item() / WEEK * VARIANCE_OF_MEDIAN / weeks
    mean = middles.sum().item() / WEEK
    apart = middles - mean
    spread = (apart @ apart).item() / WEEK
    if spread <= NOISE_WEIGHT * noise or mean == 0:
        return np.ones(WEEK)
    trusted = 1 - NOISE_WEIGHT * noise / spread
    shares: Numbers = np.maximum(1 + apart * (trusted / mean), 0.0)
    return shares


def _adjust(values: Numbers, shares: Numbers) -> Numbers:
    """Each day as if its weekday were like the others; of a weekday that hardly counts, the median of the others."""
    counts = shares > SHARE_MIN
    adjusted = np.divide(values, shares, out=np.zeros_like(values), where=counts)
    if not counts.all():
        adjusted[~counts] = _median(adjusted[counts])
    return adjusted


def _repeat(weekdays: Numbers, count: int) -> Numbers:
    """Each of `count` days its weekday's figure; the last day's is the last."""
    return weekdays[_count_weekdays(-count, 0)]


@lru_cache(maxsize=512)
def _count_weekdays(start: int, end: int) -> NDArray[np.int64]:
    """Which weekday each day is, from the one `start` days after the last day's next on."""
    return np.arange(start, end) % WEEK


def _centre_median(values: Numbers) -> Numbers:
    """Of each day and MEDIAN_REACH on either side, the ends reflected."""
    return _sort_middle(values[_find_neighbours(len(values))])


@lru_cache(maxsize=128)
def _find_neighbours(count: int) -> NDArray[np.int64]:
    """The places of each day and those around it, a line a day."""
    places = np.abs(np.arange(count)[:, None] + np.arange(-MEDIAN_REACH, MEDIAN_REACH + 1))
    neighbours: NDArray[np.int64] = np.minimum(places, 2 * (count - 1) - places)
    return neighbours


def _smooth(values: Numbers, shares: Numbers, kept: Marks) -> float:
    """The level after the last day, from the median of the first week; the latest days weigh most.

    What the days cost by what their weekdays count, both smoothed: the mean of single days' ratios would let a weekday
    that costs next to nothing weigh as much as the others.
    """
    seen, counted = values[kept], shares[kept]
    weights, start = _weigh_behind(len(seen)), (1 - SMOOTHING) ** len(seen)
    cost = (weights * seen).sum().item() + start * _median(_adjust(values, shares)[:WEEK])
    level: float = cost / ((weights * counted).sum().item() + start)
    return level


@lru_cache(maxsize=128)
def _weigh_behind(days: int) -> Numbers:
    weights: Numbers = SMOOTHING * (1 - SMOOTHING) ** np.arange(days, dtype=np.float64)[::-1]
    return weights


@lru_cache(maxsize=512)
def _weigh_ahead(days: int) -> Numbers:
    weights: Numbers = KEPT_EACH_DAY ** np.arange(1, days + 1, dtype=np.float64)
    return weights


def _find_drift(values: Numbers) -> float:
    """By how much a day's logarithm goes on changing: half of the weeks' median change; 0 unless each of DRIFT_WEEKS
    changed the same way."""
    count = DRIFT_WEEKS + 1
    if len(values) < count * WEEK:
        return 0.0
    weeks = values[-count * WEEK :].reshape(count, WEEK).sum(axis=1)
    changes = weeks[1:] - weeks[:-1]
    if not weeks.all() or not ((changes > 0).all() or (changes < 0).all()):
        return 0.0
    change = _median(np.log(weeks[1:] / weeks[:-1]))
    return DRIFT_KEPT * min(max(change, -DRIFT_MAX), DRIFT_MAX) / WEEK


def _measure_volatility(values: Numbers, shares: Numbers) -> float:
    """How far days lie from the day before and weeks from the week before: the geometric mean of the two deviations.

    Days alone would take noise, of which little is left in a month, for change. They stand alone below four weeks.
    """
    counts = shares > SHARE_MIN
    days = _measure_day_changes(values[counts] / shares[counts])
    if len(values) < WEEKS_COMPARED * WEEK:
        return days
    weeks = _take_logarithm(np.convolve(values, np.ones(WEEK), mode="valid"))
    changes = weeks[WEEK:] - weeks[:-WEEK]
    deviation = sqrt((changes @ changes).item() / len(changes))
    return sqrt(days * min(max(deviation, WEEK_CHANGE_MIN), CHANGE_MAX))


def _measure_day_changes(adjusted: Numbers) -> float:
    """The robust deviation of the logarithms' changes. Where many days cost nothing the plain one counts as well: the
    robust one would not see the others."""
    logarithms = _take_logarithm(adjusted)
    changes = logarithms[1:] - logarithms[:-1]
    deviation = _measure_deviation(changes)
    if np.count_nonzero(adjusted) < (1 - ZEROS_MAX) * len(adjusted):
        deviation = max(deviation, changes.std().item())
    return min(max(deviation, DAY_CHANGE_MIN), CHANGE_MAX)


def _take_logarithm(values: Numbers) -> Numbers:
    """Of what is at least LEAST_SHARE of the mean; 0 throughout where all is zero."""
    total = values.sum().item()
    return np.log(np.maximum(values * (len(values) / total), LEAST_SHARE)) if total > 0 else np.zeros_like(values)


def _measure_deviation(values: Numbers) -> float:
    """The median absolute deviation, as a normal deviation; 0 of nothing."""
    if not len(values):
        return 0.0
    return NORMAL * _median(np.abs(values - _median(values)))


def _median(values: Numbers) -> float:
    """Of at least one; numpy's own takes ten times as long for so few."""
    middle: float = _sort_middle(values).item()
    return middle


def _sort_middle(values: Numbers) -> Numbers:
    """The median over the last axis."""
    ordered, half = values.copy(), values.shape[-1] // 2
    ordered.sort(axis=-1)
    if values.shape[-1] % 2:
        return ordered[..., half]
    return (ordered[..., half - 1] + ordered[..., half]) / 2

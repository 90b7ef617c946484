"""From days to what the next days are expected to cost: a weekday's share, days clipped to their surroundings, a level.

Measured against what else was tried in docs/benchmarks.md. Arrays end with the last complete day, so the place of a
weekday is counted from the end: 6 is the last day's, 0 the next day's.
"""

from dataclasses import dataclass

import numpy as np

from alerts.core.forecasts.histories import Marks, Numbers

WEEK = 7
WEEKS_MAX = 8
SHRINKAGE_WEEKS = 2  # as many weeks of equal weekdays are added to those that were seen
MEDIAN_REACH = 7  # days on either side
CLIP_DEVIATIONS = 3
DEVIATION_MIN = 0.10
NORMAL = 1.4826  # a normal deviation, in median absolute deviations
SMOOTHING = 0.3
PULL_DAYS = 28
KEPT_EACH_DAY = 0.98  # of the level's distance from the median of PULL_DAYS, for each day ahead
VOLATILITY_MIN = 0.05
VOLATILITY_MAX = 1.0
LEAST_SHARE = 0.05  # of a mean day: what a day at zero counts as where a logarithm is taken


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the next days cost, and the robust deviation of a day's weekday-adjusted logarithm from the day before."""

    daily: Numbers
    volatility: float


def expect_mean(values: Numbers, kept: Marks, *, days: int) -> Outlook:
    """Each day the mean of the last 7 that are kept, each clipped to half and twice their median."""
    last = values[kept][-WEEK:]
    middle = _median(last)
    level = np.clip(last, middle / 2, middle * 2).mean() if middle > 0 else last.mean()
    return Outlook(np.full(days, level), _measure_volatility(values[kept]))


def expect_weekdays(values: Numbers, kept: Marks, *, days: int) -> Outlook:
    """Exponential smoothing of winsorised, weekday-adjusted days, drawn to the median of four weeks; by weekday.

    values: at least 14 days.
    """
    filled = _fill_gaps(values, kept)
    clipped, weekdays = _winsorise(filled)
    adjusted = clipped / _repeat(weekdays, len(clipped))
    level = _smooth(adjusted, kept)
    middle = _median(adjusted[-PULL_DAYS:][kept[-PULL_DAYS:]]) if kept[-PULL_DAYS:].any() else level
    ahead = np.arange(days)
    daily = (middle + (level - middle) * KEPT_EACH_DAY ** (ahead + 1)) * weekdays[ahead % WEEK]
    return Outlook(daily, _measure_volatility(filled / _repeat(weekdays, len(filled))))


def _fill_gaps(values: Numbers, kept: Marks) -> Numbers:
    """A day that is not kept costs the mean of the nearest kept ones of its weekday before and after it."""
    if kept.all():
        return values
    filled = values.copy()
    fallback = _median(values[kept])
    for gap in np.flatnonzero(~kept).tolist():
        before, after = values[gap % WEEK : gap : WEEK], values[gap + WEEK :: WEEK]
        near = [*before[kept[gap % WEEK : gap : WEEK]][-1:], *after[kept[gap + WEEK :: WEEK]][:1]]
        filled[gap] = sum(near) / len(near) if near else fallback
    return filled


def _winsorise(values: Numbers) -> tuple[Numbers, Numbers]:
    """The days, clipped to some deviations from the centred median of their neighbours, and the weekdays' shares."""
    shares = _repeat(_share_weekdays(values), len(values))
    adjusted = values / shares
    middle = _centre_median(adjusted)
    seen = (adjusted > 0) & (middle > 0)
    deviation = max(_measure_deviation(np.log(adjusted[seen] / middle[seen])), DEVIATION_MIN)
    reach = np.exp(CLIP_DEVIATIONS * deviation)
    clipped = np.clip(adjusted, middle / reach, middle * reach) * shares
    return clipped, _share_weekdays(clipped)


def _share_weekdays(values: Numbers) -> Numbers:
    """What each weekday costs in mean days, over whole weeks up to the last day; shrunk towards equal days."""
    weeks = min(len(values) // WEEK, WEEKS_MAX)
    days = values[len(values) - weeks * WEEK :].reshape(weeks, WEEK)
    means = days.mean(axis=1, keepdims=True)
    ratios = np.divide(days, means, out=np.ones_like(days), where=means > 0)
    shares = (weeks * _sort_middle(ratios.T) + SHRINKAGE_WEEKS) / (weeks + SHRINKAGE_WEEKS)
    scaled: Numbers = shares / shares.mean()
    return scaled


def _repeat(weekdays: Numbers, count: int) -> Numbers:
    """Each of `count` days its weekday's figure; the last day's is the last."""
    return weekdays[np.arange(-count, 0) % WEEK]


def _centre_median(values: Numbers) -> Numbers:
    """Of each day and MEDIAN_REACH on either side, the ends reflected."""
    mirrored = values[::-1]
    padded = np.concatenate((mirrored[-MEDIAN_REACH - 1 : -1], values, mirrored[1 : MEDIAN_REACH + 1]))
    return _sort_middle(np.lib.stride_tricks.sliding_window_view(padded, 2 * MEDIAN_REACH + 1))


def _smooth(values: Numbers, kept: Marks) -> float:
    """The level after the last day: l += SMOOTHING (v - l) for each kept day, from the median of the first week."""
    seen = values[kept]
    weights = SMOOTHING * (1 - SMOOTHING) ** np.arange(len(seen))[::-1]
    level: float = (weights * seen).sum().item() + (1 - SMOOTHING) ** len(seen) * _median(values[:WEEK])
    return level


def _measure_volatility(adjusted: Numbers) -> float:
    """Between VOLATILITY_MIN and VOLATILITY_MAX. Where most days are alike the plain deviation counts: the robust one
    would see none of the others."""
    if len(adjusted) < 3 or not adjusted.any():
        return VOLATILITY_MIN
    changes = np.diff(np.log(np.maximum(adjusted, LEAST_SHARE * adjusted.mean())))
    deviation = _measure_deviation(changes)
    if (adjusted == 0).mean() > 0.25:
        deviation = max(deviation, changes.std().item())
    return min(max(deviation, VOLATILITY_MIN), VOLATILITY_MAX)


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
    ordered, half = np.sort(values, axis=-1), values.shape[-1] // 2
    if values.shape[-1] % 2:
        return ordered[..., half]
    return (ordered[..., half - 1] + ordered[..., half]) / 2

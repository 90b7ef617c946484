"""Where the table of `alerts.core.forecasts.ranges` comes from, and what a range covers that never saw its own group.

Every series of `bench.forecasts` but the sessions, which are one half year, is forecast anew every day, or every third
day of the long ones, once 56 days are known. A group's tenths are those of ln(actual / forecast) in volatilities; the
table has the means of the groups. `python -m bench.forecast_ranges` prints it, and the coverage of each group by a
table that was made of the others, with own errors added as in the product.
"""

import sys
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import log
from statistics import fmean, quantiles
from unittest.mock import patch

from alerts.core.forecasts import Forecast, NoForecast, forecast_cost, ranges
from alerts.core.forecasts.ranges import DAYS_AHEAD
from bench.forecasts import GROUPS, HISTORY_DAYS_MIN, SESSIONS, Series, measure_coverage, read_series, walk_origins

LONG_SERIES_DAYS = 1_000
EVERY_LONG = 3

Tenths = dict[int, tuple[float, float]]


def measure_tenths() -> dict[str, Tenths]:
    """By group and days ahead, the tenth and the ninetieth percentile."""
    errors: dict[str, dict[int, list[float]]] = {group: {days: [] for days in DAYS_AHEAD} for group in GROUPS}
    for series in read_series():
        for days, error in _list_errors(series):
            errors[series.group][days].append(error)
    return {
        group: {days: (tenths[0], tenths[-1]) for days in DAYS_AHEAD if (tenths := quantiles(by_days[days], n=10))}
        for group, by_days in errors.items()
        if group != SESSIONS
    }


def _list_errors(series: Series) -> Iterator[tuple[int, float]]:
    """(days ahead, error in volatilities) of each day's forecast."""
    step = EVERY_LONG if len(series.values) > LONG_SERIES_DAYS else 1
    for place in range(HISTORY_DAYS_MIN, len(series.values) - DAYS_AHEAD[0], step):
        if series.values[place - 1] is None or series.count_days(0, place) < HISTORY_DAYS_MIN:
            continue
        for days in DAYS_AHEAD:
            if place + days > len(series.values):
                continue
            forecast = _forecast(series, place, days)
            if isinstance(forecast, NoForecast):
                continue
            there = [value is not None for value in series.values[place : place + days]]
            expected = sum(value for value, is_there in zip(forecast.daily, there, strict=True) if is_there)
            actual = series.sum_days(place, place + days)
            if expected > 0 and actual > 0:
                yield days, log(actual / expected) / forecast.volatility


def _forecast(series: Series, place: int, days: int) -> Forecast | NoForecast:
    history = series.read_history(max(place - 2 * HISTORY_DAYS_MIN, 0), place)
    return forecast_cost(history, period_start=history.end, period_end=series.find_day(place + days))


def average_tenths(groups: Sequence[Tenths]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The table: what each group has, each as heavy as the others; no narrower for more days."""
    low, high = ([fmean(tenths[days][end] for tenths in groups) for days in DAYS_AHEAD] for end in (0, 1))
    return tuple(round(end, 2) for end in accumulate(low, min)), tuple(round(end, 2) for end in accumulate(high, max))


def main() -> None:
    tenths = measure_tenths()
    low, high = average_tenths(list(tenths.values()))
    print("days ahead", DAYS_AHEAD, "\ntenth     ", low, "\nninetieth ", high)
    print("shipped   ", ranges.LOW_TENTHS, ranges.HIGH_TENTHS)
    for group in GROUPS:
        low, high = average_tenths([others for name, others in tenths.items() if name != group])
        with patch.multiple(ranges, LOW_TENTHS=low, HIGH_TENTHS=high):
            origins = [
                origin
                for series in read_series()
                if series.group == group
                for origin in walk_origins(series, history_days_min=HISTORY_DAYS_MIN)
            ]
        print(f"{group}: {100 * measure_coverage(origins):.0f} % within a range that never saw it")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
